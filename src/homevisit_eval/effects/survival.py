"""Matched samples -> effects on the time to a first event, such as an incident."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from html import escape
from typing import Literal, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from homevisit_eval.design import DifferenceInMeans, OutcomeModel
from homevisit_eval.design.checks import allowed
from homevisit_eval.design.questions import Role
from homevisit_eval.disclosure import SMALLEST_COUNT_SHOWN, shown_count
from homevisit_eval.effects.effect import tells_no_small_count
from homevisit_eval.effects.estimate import notes_on_df, observed_estimand
from homevisit_eval.effects.model_fit import said_of
from homevisit_eval.effects.regression_rows import RegressionRows, clustered_by, regression_rows
from homevisit_eval.effects.survival_curves.cox import (
    CoxFit,
    LogRankTest,
    fit_cox,
    log_rank_test,
)
from homevisit_eval.effects.survival_curves.differences import (
    SurvivalDifferences,
    compare_survival,
)
from homevisit_eval.effects.survival_curves.tied_times import Ties
from homevisit_eval.errors import EstimationError
from homevisit_eval.matching.matched_sample import Estimand, MatchedSample

__all__ = ["Strata", "SurvivalEffects", "estimate_survival"]

Strata = Literal["none", "matched_set"]
Floats = NDArray[np.float64]

KEY = ("unit_id", "school_year", "index_date")
COLUMNS = (*KEY, "days", "event")
TIME = "days to the event"
AT_DAYS = (45.0, 90.0, 135.0, 180.0)
FEW_CLUSTERS = 10


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class SurvivalEffects:
    """Effects of visits on the time to a first event, in enrolled days.

    Attributes
    ----------
    event
        What the event is, for print.
    question, question_label, role, estimand
    curves
        The weighted Kaplan-Meier curves of both groups, cumulative incidence at some days, and
        restricted mean days without the event, with their differences (visited less comparison).
    hazard
        The Cox model; None if it has no finite answer (a note says why).
    log_rank
        The test of equal hazards; None if it cannot be computed.
    strata
        Whether the last two were stratified by matched set.
    n_visited, n_comparison
        Student-years that were followed.
    matched_visited, matched_comparison
        All matched student-years.
    events_visited, events_comparison
        Student-years with the event.
    cluster, clusters, confidence_level
    notes : tuple of sentences
    synthetic
    """

    event: str
    question: str
    question_label: str
    role: Role
    estimand: Estimand
    curves: SurvivalDifferences
    hazard: CoxFit | None
    log_rank: LogRankTest | None
    strata: Strata
    n_visited: int
    n_comparison: int
    matched_visited: int
    matched_comparison: int
    events_visited: int
    events_comparison: int
    cluster: str
    clusters: int
    confidence_level: float
    notes: tuple[str, ...]
    synthetic: bool

    @property
    def tells_no_small_count(self) -> bool:
        """Whether the number of clusters may be printed: no small count follows."""
        counts = (
            (self.n_visited, self.matched_visited),
            (self.n_comparison, self.matched_comparison),
        )
        return tells_no_small_count(self.cluster, counts)

    def __repr__(self) -> str:
        """Show differences, the hazard ratio and the test, no counts."""
        label = "synthetic data, " if self.synthetic else ""
        found = self.curves
        lines = [f"SurvivalEffects({label}{self.event}, {self.estimand})"]
        few = min(self.n_visited, self.n_comparison) < SMALLEST_COUNT_SHOWN
        if few:
            return f"{lines[0]}\n  not shown: a group has fewer than {SMALLEST_COUNT_SHOWN}"
        for day, estimate, (low, high) in zip(
            found.at, found.differences, found.intervals, strict=True
        ):
            lines.append(f"  by day {day:g}: {estimate:+.4f} [{low:+.4f}, {high:+.4f}]")
        low, high = found.mean_interval
        lines.append(
            f"  mean days without it, to day {found.restricted_to:g}: "
            f"{found.mean_difference:+.2f} [{low:+.2f}, {high:+.2f}]"
        )
        if self.hazard is not None:
            low, high = self.hazard.interval
            lines.append(f"  hazard ratio {self.hazard.hazard_ratio:.3f} [{low:.3f}, {high:.3f}]")
        if self.log_rank is not None:
            lines.append(f"  log-rank test: p = {self.log_rank.p_value:.3f}")
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        return f"<pre>{escape(repr(self))}</pre>"


def estimate_survival(
    matched: MatchedSample,
    times: pd.DataFrame,
    *,
    event: str = "First disciplinary incident",
    at_days: Sequence[float] = (),
    restricted_to: float | None = None,
    strata: Strata = "none",
    ties: Ties = "efron",
    model: OutcomeModel | None = None,
) -> SurvivalEffects:
    """Estimate the effect of a visit on the time to a first event, in enrolled days.

    Parameters
    ----------
    matched
        Visited student-years and their comparisons.
    times
        One row a candidate, from `incident_times`: ``unit_id``, ``school_year``, ``index_date``,
        ``days`` (above 0) and ``event`` (1 it happened, 0 censored); both missing where not
        observed. Further rows do not matter.
    event
        What it is called in print.
    at_days
        Where cumulative incidence is compared; days 45, 90, 135 and 180 as far as both groups
        are followed.
    restricted_to
        The day up to which mean days are taken; by default the last on which ten of both groups
        are still followed without the event.
    strata
        ``"none"``: one hazard ratio of the two weighted groups, for whom the estimand is about.
        ``"matched_set"``: hazards differ between matched sets; the ratio is that within sets.
    ties
        Of the Cox model: ``"efron"`` or ``"breslow"``.
    model
        Says what is clustered (of two clusterings the first); by default that of the question,
        else that of the design. It plays no other part: nothing is adjusted by regression.

    Raises
    ------
    EstimationError
        If `times` lacks a column or a matched student-year, or repeats one, nobody of a group was
        followed, no event happened, all or a group's rows are in one cluster, or a group is not
        followed up to a day asked for.

    Notes
    -----
    The groups are compared with their matching weights (see `compare_survival`, `fit_cox` and
    `log_rank_test`): weighted curves, errors by cluster with G - 1 degrees of freedom. Censoring
    is taken to tell nothing of a student's further risk, given the group: whoever leaves the
    district is like those who stay. What later visits do is part of both groups' course.

    References
    ----------
    Austin, P. C. (2014). The use of propensity score methods with survival or time-to-event
    outcomes: Reporting measures of effect similar to those used in randomized experiments.
    *Statistics in Medicine*, 33(7), 1242-1258.
    """
    sample = matched.sample
    allowed("strata", strata, get_args(Strata))
    allowed("ties", ties, get_args(Ties))
    model = model or sample.question.model or sample.design.model
    given = model.cluster
    clustered = DifferenceInMeans(
        cluster="student_id" if given == "none" else given, covariance="CR1S"
    )
    rows, happened = _rows_with_times(matched, times, event, clustered)
    sets = clustered_by(matched, rows, "matched_set").clusters if strata != "none" else None
    followed = _followed(rows)
    try:
        curves = compare_survival(
            rows.y,
            happened,
            rows.visited,
            at=tuple(at_days) or tuple(day for day in AT_DAYS if day <= followed) or (followed,),
            restricted_to=followed if restricted_to is None else restricted_to,
            weights=rows.weights,
            clusters=rows.clusters,
            confidence_level=sample.design.confidence_level,
        )
    except EstimationError as error:
        raise EstimationError(said_of(event, error)) from None
    hazard, log_rank, refusals = _hazards(rows, happened, sets, ties, curves.confidence_level)
    counts = [int((rows.visited == group).sum()) for group in (1, 0)]
    return SurvivalEffects(
        event=event,
        question=sample.question.name,
        question_label=sample.question.label,
        role=sample.question.role,
        estimand=observed_estimand(matched, counts),
        curves=curves,
        hazard=hazard,
        log_rank=log_rank,
        strata=strata,
        n_visited=counts[0],
        n_comparison=counts[1],
        matched_visited=rows.matched_visited,
        matched_comparison=rows.matched_comparison,
        events_visited=int(happened[rows.visited == 1].sum()),
        events_comparison=int(happened[rows.visited == 0].sum()),
        cluster=clustered.cluster.partition("+")[0],
        clusters=curves.G,
        confidence_level=curves.confidence_level,
        notes=(*refusals, *_notes(rows, strata, curves.G)),
        synthetic=sample.synthetic,
    )


def _rows_with_times(
    matched: MatchedSample, times: pd.DataFrame, event: str, clustered: DifferenceInMeans
) -> tuple[RegressionRows, Floats]:
    """Return the rows that were followed, with days as outcome, and 1 where the event happened."""
    days, events = _joined(matched, times)
    try:
        rows = regression_rows(_with_times(matched, days), TIME, clustered)
    except EstimationError:
        raise EstimationError(
            f"{event}: nobody of a matched group was followed, so there is nothing to compare. "
            "Check that discipline was recorded in these school years."
        ) from None
    happened = events[rows.places]
    if not happened.any():
        raise EstimationError(
            f"{event}: it happened to none of the matched student-years. Leave it out."
        )
    return rows, happened


def _joined(matched: MatchedSample, times: pd.DataFrame) -> tuple[Floats, Floats]:
    """Return days and events of the sample's rows, shape (n,) each, missing where not observed."""
    if missing := [name for name in COLUMNS if name not in times.columns]:
        raise EstimationError(
            f"times: it has no column {', '.join(missing)}; give the frame of incident_times."
        )
    baseline = matched.sample.baseline
    keys, asked = _keys(times), _keys(baseline)
    if twice := int(keys.duplicated().sum()):
        raise EstimationError(
            f"times: {twice:,} rows repeat a unit_id, school_year and index_date; give one of each."
        )
    at = keys.get_indexer(asked)
    used = matched.matches.weights.to_numpy() > 0
    if lost := int((at[used] < 0).sum()):
        raise EstimationError(
            f"times: {shown_count(lost)} matched student-years are not in it. Give the times of "
            "all candidates, from incident_times with the same sample."
        )
    days, events = (
        np.where(at >= 0, times[name].to_numpy(dtype=np.float64, na_value=np.nan)[at], np.nan)
        for name in ("days", "event")
    )
    if half := int((np.isnan(days) != np.isnan(events))[used].sum()):
        raise EstimationError(
            f"times: {shown_count(half)} matched student-years have only one of days and event; "
            "give both or neither."
        )
    return days, events


def _keys(frame: pd.DataFrame) -> pd.MultiIndex:
    dates = pd.to_datetime(frame["index_date"]).to_numpy(dtype="datetime64[D]").astype(np.int64)
    return pd.MultiIndex.from_arrays(
        [
            frame["unit_id"].to_numpy(dtype=object),
            frame["school_year"].to_numpy(dtype=np.int64),
            dates,
        ]
    )


def _with_times(matched: MatchedSample, days: Floats) -> MatchedSample:
    sample = matched.sample
    outcomes = sample.outcomes.assign(**{TIME: days})
    return MatchedSample(replace(sample, outcomes=outcomes), matched.matches)


def _followed(rows: RegressionRows) -> float:
    """Return the last day on which ten of both groups are followed, or the last of the shorter."""
    longest = []
    for group in (1, 0):
        days = np.sort(rows.y[rows.visited == group])[::-1]
        longest.append(float(days[min(SMALLEST_COUNT_SHOWN, len(days)) - 1]))
    return min(longest)


def _hazards(
    rows: RegressionRows,
    happened: Floats,
    sets: NDArray[np.int64] | None,
    ties: Ties,
    confidence_level: float,
) -> tuple[CoxFit | None, LogRankTest | None, list[str]]:
    """Return the Cox model and the log-rank test, and why one of them is missing."""
    hazard: CoxFit | None = None
    log_rank: LogRankTest | None = None
    refusals = []
    try:
        hazard = fit_cox(
            rows.y, happened, rows.visited,
            weights=rows.weights, strata=sets, clusters=rows.clusters, ties=ties,
            confidence_level=confidence_level,
        )  # fmt: skip
    except EstimationError as error:
        refusals.append(f"No hazard ratio: {str(error).partition(': ')[2]}")
    try:
        log_rank = log_rank_test(
            rows.y, happened, rows.visited,
            weights=rows.weights, strata=sets, clusters=rows.clusters,
        )  # fmt: skip
    except EstimationError as error:
        refusals.append(f"No log-rank test: {str(error).partition(': ')[2]}")
    return hazard, log_rank, refusals


def _notes(rows: RegressionRows, strata: Strata, G: int) -> list[str]:
    which = (
        "The hazard ratio is that within matched sets."
        if strata == "matched_set"
        else "The hazard ratio is that of the two weighted groups as wholes."
    )
    notes = [
        f"{which} If hazards are not proportional it is an average over the days followed; "
        "cumulative incidence and mean days do not need that.",
        "Who leaves is taken to have the same further risk as those who stay.",
        *notes_on_df(G - 1.0),
    ]
    for words, code in (("visited", 1), ("comparison", 0)):
        count = len(np.unique(rows.clusters[rows.visited == code]))
        if count < FEW_CLUSTERS:
            notes.append(
                f"The {words} student-years are in fewer than {FEW_CLUSTERS} clusters: standard "
                "errors rest on few independent groups."
            )
    return notes
