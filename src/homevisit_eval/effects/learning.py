"""Impacts on test scores as months of learning: a rough translation for readers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from types import MappingProxyType
from typing import Literal

import numpy as np

from homevisit_eval.design import Outcome
from homevisit_eval.design.measures import measured_name
from homevisit_eval.effects.effect import Effect
from homevisit_eval.errors import DesignError, EstimationError
from homevisit_eval.matching.matched_sample import MatchedSample

__all__ = [
    "HILL_ET_AL_2008",
    "LearningGains",
    "MonthsOfLearning",
    "Subject",
    "grades_with_scores",
    "months_of_learning",
    "subject_of",
]

Subject = Literal["math", "reading"]

SUBJECTS: Mapping[str, Subject] = {"math_score_std": "math", "reading_score_std": "reading"}
"""The subject of each outcome that is a test score in standard deviations."""

ROUGH = (
    "Months of learning are a rough translation: they take the yearly gain of students in national "
    "norm samples, in standard deviations of those samples and on their tests, for that of these "
    "students on this test; the interval does not hold the error of the gains."
)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class LearningGains:
    """How much students gain in a school year, by subject and grade.

    Parameters
    ----------
    source
        Where the gains are from, as printed below a table.
    gains : mapping of (subject, grade) to standard deviations
        From the spring of the grade before to the spring of that grade; 0 is kindergarten.
    months
        Of a school year.
    caution
        What a reader must know of the gains, printed with every translation; or empty.

    Raises
    ------
    DesignError
        If months or a gain is not above 0, or there is no gain.
    """

    source: str
    gains: Mapping[tuple[Subject, int], float]
    months: float = 9.0
    caution: str = ""

    def __post_init__(self) -> None:
        low = sum(not gain > 0 for gain in self.gains.values())
        if not self.gains or low or not self.months > 0:
            raise DesignError(
                f"learning gains: months is {self.months:g}, and {low} of {len(self.gains)} gains "
                "are not above 0. Give a number of months and gains above 0, in standard "
                "deviations a school year."
            )
        object.__setattr__(self, "gains", MappingProxyType(dict(self.gains)))

    def __repr__(self) -> str:
        """Show the source and how many gains there are."""
        return f"LearningGains({self.source!r}: {len(self.gains)} gains, {self.months:g} months)"


HILL_ET_AL_2008 = LearningGains(
    source=(
        "Hill, Bloom, Black and Lipsey (2008), Empirical benchmarks for interpreting effect sizes "
        "in research, Child Development Perspectives 2(3), 172-177, table 1"
    ),
    gains={
        **{
            ("reading", grade): gain
            for grade, gain in enumerate((1.52, 0.97, 0.60, 0.36, 0.40, 0.32, 0.23, 0.26), start=1)
        },
        **{
            ("math", grade): gain
            for grade, gain in enumerate((1.14, 1.03, 0.89, 0.52, 0.56, 0.41, 0.30, 0.32), start=1)
        },
    },
    caution=(
        "The gains were not compared with the printed table; compare them with it before months "
        "are published."
    ),
)
"""Mean gains over nationally normed tests, of grades 1 to 8 (kindergarten to 1 is that of grade 1).

What other publications quote of the table agrees: .32 in reading from grade 5 to 6, and about 2
months for .11 to .12 SD in mathematics with .52 to .56, 2.5 months with .41. The others are not
checked against print: see `LearningGains.caution`.
"""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class MonthsOfLearning:
    """An impact in months of learning.

    Attributes
    ----------
    outcome
    months, ci_low, ci_high
        Months of a school year; bounds are those of the effect, translated.
    confidence_level
    grades
        In which the scores were taken.
    gain
        The yearly gain, in standard deviations, that the translation divides by: the harmonic mean
        over the visited.
    source
        Of the gains.
    notes : tuple of sentences
    """

    outcome: Outcome
    months: float
    ci_low: float
    ci_high: float
    confidence_level: float
    grades: tuple[int, ...]
    gain: float
    source: str
    notes: tuple[str, ...]
    synthetic: bool

    def __repr__(self) -> str:
        """Show the months with their interval and the source."""
        label = "synthetic data, " if self.synthetic else ""
        return (
            f"MonthsOfLearning({label}{self.outcome.name}: {self.months:+.1f} months "
            f"[{self.ci_low:+.1f}, {self.ci_high:+.1f}]; gains: {self.source})"
        )

    def _repr_html_(self) -> str:
        return f"<pre>{escape(repr(self))}</pre>"


def subject_of(outcome: Outcome) -> Subject | None:
    """Return the subject of a test score, in whatever year it is taken; None of other outcomes."""
    return SUBJECTS.get(measured_name(outcome.name)[0])


def grades_with_scores(matched: MatchedSample, outcome: str) -> dict[int, float]:
    """Return the weight of each grade among visited students with a score, summing to 1.

    Grades are those in which the score is taken if students are promoted every year.

    Parameters
    ----------
    matched
        Its matching weights count.
    outcome
        A column of the sample's outcomes.

    Raises
    ------
    EstimationError
        If no matched visited student has the outcome.
    """
    sample = matched.sample
    weights = matched.matches.weights.to_numpy(dtype=np.float64)
    seen = sample.outcomes[outcome].notna().to_numpy()
    own = (weights > 0) & seen & (sample.baseline["visited"] == 1).to_numpy()
    if not own.any():
        raise EstimationError(
            f"{outcome}: no matched visited student has this outcome, so it has no grade."
        )
    grades = sample.baseline["grade"].to_numpy()[own] + measured_name(outcome)[1]
    total = weights[own].sum()
    return {
        int(grade): float(weights[own][grades == grade].sum() / total)
        for grade in np.unique(grades)
    }


def months_of_learning(
    effect: Effect, grades: Mapping[int, float], conversion: LearningGains = HILL_ET_AL_2008
) -> MonthsOfLearning:
    """Return an impact on a test score in months of learning.

    Parameters
    ----------
    effect
        Of a score in standard deviations.
    grades
        Weight of each grade in which the score was taken, as from `grades_with_scores`.
    conversion
        How much students gain in a school year.

    Raises
    ------
    EstimationError
        If the outcome is no such score, weights are not above 0, or a grade has no gain.

    Notes
    -----
    With the effect :math:`b` (SD), weights :math:`w_g` that sum to 1, gains :math:`G_g` (SD a
    school year) and :math:`M` months a school year,

    .. math:: b \\, M \\sum_g w_g / G_g ,

    the mean over visited students of what the effect is in months of their grade. The gain of grade
    g is from the spring of grade g - 1 to that of grade g, the year that the score ends.

    References
    ----------
    Hill, C. J., Bloom, H. S., Black, A. R., & Lipsey, M. W. (2008). Empirical benchmarks for
    interpreting effect sizes in research. *Child Development Perspectives*, 2(3), 172-177.
    """
    subject = subject_of(effect.outcome)
    if subject is None:
        raise EstimationError(
            f"{effect.outcome.name}: only test scores in standard deviations "
            f"({', '.join(SUBJECTS)}) have months of learning."
        )
    if not grades or any(not weight > 0 for weight in grades.values()):
        raise EstimationError(f"{effect.outcome.name}: weights of grades must be above 0.")
    lacking = [grade for grade in sorted(grades) if (subject, grade) not in conversion.gains]
    if lacking:
        raise EstimationError(
            f"{effect.outcome.name}: there is no yearly gain in {subject} for grade "
            f"{', '.join(map(str, lacking))}; give a conversion that has one."
        )
    total = sum(grades.values())
    inverse = sum(
        weight / total / conversion.gains[subject, grade] for grade, weight in grades.items()
    )
    factor = conversion.months * inverse
    notes = (ROUGH, conversion.caution) if conversion.caution else (ROUGH,)
    return MonthsOfLearning(
        outcome=effect.outcome,
        months=effect.estimate * factor,
        ci_low=effect.ci_low * factor,
        ci_high=effect.ci_high * factor,
        confidence_level=effect.confidence_level,
        grades=tuple(sorted(grades)),
        gain=1 / inverse,
        source=conversion.source,
        notes=notes,
        synthetic=effect.synthetic,
    )
