"""Who enters a question: windows, eligibility, the comparison pool, and the flow."""

from homevisit_eval.sample.analytic_sample import AnalyticSample
from homevisit_eval.sample.flow import FlowStep, flow_adds_up
from homevisit_eval.sample.imputed import completed_samples, impute_baseline
from homevisit_eval.sample.incident_times import incident_times
from homevisit_eval.sample.missing import MissingCount
from homevisit_eval.sample.risk_sets import expand_risk_sets
from homevisit_eval.sample.select import select_sample

__all__ = [
    "AnalyticSample",
    "FlowStep",
    "MissingCount",
    "completed_samples",
    "expand_risk_sets",
    "flow_adds_up",
    "impute_baseline",
    "incident_times",
    "select_sample",
]
