"""A study as short as can be: one question about one year of two schools, four covariates."""

from __future__ import annotations

from dataclasses import replace

from commands import DESIGN
from homevisit_eval.design import StudyDesign, read_design

__all__ = ["short_design"]

COVARIATES = ("attendance_rate_prior", "any_incident_prior", "female", "age_for_grade")


def short_design(*outcomes: str) -> StudyDesign:
    """Return the study's design with its first question only, of the district `strong`."""
    study = read_design(DESIGN)
    return replace(
        study,
        school_years=(2015,),
        covariates=tuple(one for one in study.covariates if one.name in COVARIATES),
        questions=(replace(study.questions[0], outcomes=outcomes),),
        sensitivity=(),
        timing_contrasts=(),
    )
