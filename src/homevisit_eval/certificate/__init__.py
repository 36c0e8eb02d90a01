"""Does a design recover a known truth? Replications, performance, verdicts."""

from homevisit_eval.certificate.certificate import Certificate
from homevisit_eval.certificate.performance import Estimated, Performance, Spread, Verdict
from homevisit_eval.certificate.trial import MAIN, MODES, Mode, Replication, Seconds, Trial

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
]
