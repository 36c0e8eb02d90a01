"""The numbered tables of a report. Each is safe to publish; `.frame` holds its numbers."""

from __future__ import annotations

from homevisit_eval.report.audit_table import match_audit
from homevisit_eval.report.balance_tables import (
    balance_before_and_after,
    balance_by_group,
    baseline_equivalence,
)
from homevisit_eval.report.certificate_design_tables import (
    certificate_designs,
    certificate_expectations,
)
from homevisit_eval.report.certificate_tables import (
    certificate_districts,
    certificate_performance,
    certificate_verdicts,
)
from homevisit_eval.report.impact_tables import full_estimates, impacts, sensitivity_grid
from homevisit_eval.report.inference_tables import standard_errors, subgroups
from homevisit_eval.report.method_tables import (
    decisions,
    matching_specification,
    panel_counts,
    provenance,
    variables,
)
from homevisit_eval.report.missing_table import missing_covariates
from homevisit_eval.report.sample_tables import sample_counts, sample_flow
from homevisit_eval.report.table_one import table_one
from homevisit_eval.report.timing_tables import impact_by_timing

__all__ = [
    "balance_before_and_after",
    "balance_by_group",
    "baseline_equivalence",
    "certificate_designs",
    "certificate_districts",
    "certificate_expectations",
    "certificate_performance",
    "certificate_verdicts",
    "decisions",
    "full_estimates",
    "impact_by_timing",
    "impacts",
    "match_audit",
    "matching_specification",
    "missing_covariates",
    "panel_counts",
    "provenance",
    "sample_counts",
    "sample_flow",
    "sensitivity_grid",
    "standard_errors",
    "subgroups",
    "table_one",
    "variables",
]
