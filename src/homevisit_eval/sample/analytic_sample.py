"""The analytic sample: candidates for matching, their baseline, and their outcomes apart."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import pandas as pd

from homevisit_eval.design import Covariate, Question, StudyDesign
from homevisit_eval.disclosure import shown_count
from homevisit_eval.sample.flow import FlowStep
from homevisit_eval.sample.missing import MissingCount
from homevisit_eval.sample.score_grades import ScoreGrades

__all__ = ["AnalyticSample"]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class AnalyticSample:
    """One row for each candidate student-year of a question, before matching.

    Attributes
    ----------
    baseline : DataFrame, one row a candidate, index 0..n-1
        ``unit_id``, ``school_year``, ``index_date`` (the first instructional day: what lies
        before it is baseline, what follows is outcome), ``visited`` (0/1), ``grade``,
        ``school_id``, ``grade_band``, ``visited_prior`` (yes / no / unknown) and the covariates,
        which may be missing only before `impute_baseline`.
    outcomes : DataFrame, same index
        One column an outcome of the question, missing where not observed, and
        ``days_enrolled``.
    covariates
        For each grade band, the names of the covariates that are measured there, and of
        `indicators` that vary there.
    question, design
        What was asked.
    flow
        From all enrolled student-years to the candidates; the counts add up.
    district, synthetic
        Whose data these are, and whether they are synthetic.
    notes
        What a reader of a number made from this sample must know.
    missing
        For each covariate, how many lacked it before the design's rule was applied.
    indicators
        Covariates that say where another was missing; only under `MissingIndicator`.
    imputation
        Which of the completed samples this is, from 1; 0 if none.
    exact
        Columns of the baseline that a visited and a comparison student must share, whatever the
        matching method: the day of the visit, the subgroup.
    score_grades
        For each test score, the grades and years without a pretest or a test, and which of them
        its impact is not about; its outcome is missing there.
    followed
        Set by `follow_without_visits`: how pairs were followed until later visits, as sentences.
    """

    baseline: pd.DataFrame
    outcomes: pd.DataFrame
    covariates: Mapping[str, tuple[str, ...]]
    question: Question
    design: StudyDesign
    flow: tuple[FlowStep, ...]
    district: str = ""
    synthetic: bool = False
    notes: tuple[str, ...] = field(default=())
    missing: tuple[MissingCount, ...] = ()
    indicators: tuple[Covariate, ...] = ()
    imputation: int = 0
    exact: tuple[str, ...] = ()
    score_grades: tuple[ScoreGrades, ...] = ()
    followed: tuple[str, ...] = ()

    @property
    def adjusted_for(self) -> tuple[Covariate, ...]:
        """The covariates of the design, then the `indicators`."""
        return (*self.design.covariates, *self.indicators)

    @property
    def n_visited(self) -> int:
        """Visited student-years."""
        return int(self.baseline["visited"].sum())

    @property
    def n_comparison(self) -> int:
        """Student-years that may be comparisons."""
        return len(self.baseline) - self.n_visited

    def __repr__(self) -> str:
        """Show counts (under 10 as "<10") and column names, never rows."""
        label = "synthetic data, " if self.synthetic else ""
        return (
            f"AnalyticSample({label}question {self.question.name!r}: {shown_count(self.n_visited)} "
            f"visited and {shown_count(self.n_comparison)} possible comparison student-years;\n"
            f"  outcomes {', '.join(self.question.outcomes)};\n"
            f"  covariates {', '.join(sorted(set().union(*self.covariates.values())))})"
        )

    def _repr_html_(self) -> str:
        from html import escape

        return f"<pre>{escape(repr(self))}</pre>"
