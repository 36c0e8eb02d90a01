"""What becomes of grades in which a test score cannot be compared with an earlier one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from pydantic import ConfigDict

from homevisit_eval.design.checks import check_fields

__all__ = ["Achievement", "GradeRule"]

GradeRule = Literal["leave_out", "keep"]


@dataclass(frozen=True, slots=True)
class Achievement:
    """Which grades and years an impact on a test score is about.

    The rules act on each test score by itself: mathematics by the pretest and the test of
    mathematics, reading by those of reading. They touch no other outcome.

    Parameters
    ----------
    grades_without_pretest
        A grade and year has a pretest if at least half of its eligible students have the score
        that the outcome names as its `baseline`: whatever test they took the year before, in
        whatever grade. ``"leave_out"``: impacts where a pretest exists. ``"keep"``: the others
        too, in which students are compared on the other covariates.
    grades_without_outcome
        A grade and year is tested if at least a tenth of its eligible students who are enrolled
        then have the score. ``"leave_out"``: others are not matched for it. ``"keep"``: they are;
        only the few who were tested out of grade enter the impact.

    Raises
    ------
    DesignError
        If an option is not one of those allowed.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid", strict=True)

    grades_without_pretest: GradeRule = "leave_out"
    grades_without_outcome: GradeRule = "leave_out"

    def __post_init__(self) -> None:
        check_fields(self)
