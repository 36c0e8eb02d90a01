"""The rules for grades without a pretest or a test, in words for readers."""

from __future__ import annotations

from collections.abc import Mapping

from homevisit_eval.design import Achievement
from homevisit_eval.design.achievement import GradeRule

__all__ = ["score_rules_aloud"]

WITHOUT_PRETEST: Mapping[GradeRule, str] = {
    "leave_out": "Impacts on a test score are for grades and years that have a pretest, the score "
    "of the same subject a year before; others are left out.",
    "keep": "Impacts on a test score are also for grades and years without a pretest, the score of "
    "the same subject a year before: students there are compared on the other covariates, and "
    "whether they were alike at pretest is not known.",
}
WITHOUT_OUTCOME: Mapping[GradeRule, str] = {
    "leave_out": "Grades that are not tested in the outcome's year are left out.",
    "keep": "Grades that are not tested in the outcome's year are matched as well; only the few "
    "who were tested out of grade enter the impact.",
}
RETESTS = (
    "A pretest is taken from whatever test the student's grade took the year before (DC CAS to "
    "2013-14, PARCC later), in standard deviations of all who took it; of students who repeat a "
    "grade it is the score in that same grade."
)


def score_rules_aloud(rules: Achievement) -> tuple[str, ...]:
    """Return which grades impacts on test scores are about, in sentences."""
    return (
        WITHOUT_PRETEST[rules.grades_without_pretest],
        WITHOUT_OUTCOME[rules.grades_without_outcome],
        RETESTS,
    )
