"""Does a design recover a known truth? Replications, performance, verdicts."""

from homevisit_eval.certificate.certificate import Certificate
from homevisit_eval.certificate.certify import certify, certify_iter, collect_certificate
from homevisit_eval.certificate.performance import Estimated, Performance, Spread, Verdict
from homevisit_eval.certificate.summarize import power_curve, summarize
from homevisit_eval.certificate.trial import MAIN, MODES, Mode, Replication, Seconds, Trial
from homevisit_eval.certificate.verdicts import judge

__all__ = [
    "MAIN",
    "MODES",
    "Certificate",
    "Estimated",
    "Mode",
    "Performance",
    "Replication",
    "Seconds",
    "Spread",
    "Trial",
    "Verdict",
    "certify",
    "certify_iter",
    "collect_certificate",
    "judge",
    "power_curve",
    "summarize",
]
