"""Effects in subgroups of a matched sample, from one regression, with a joint test."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from html import escape

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from homevisit_eval.design import DifferenceInMeans, FixedEffects, Outcome, OutcomeModel
from homevisit_eval.design.checks import allowed
from homevisit_eval.design.questions import Role
from homevisit_eval.disclosure import SMALLEST_COUNT_SHOWN, shown_count
from homevisit_eval.effects.effect import tells_no_small_count
from homevisit_eval.effects.estimate import check_rows, observed_estimand
from homevisit_eval.effects.model_fit import fit_linear, said_of
from homevisit_eval.effects.regression.least_squares import LeastSquaresFit, fit_outcome
from homevisit_eval.effects.regression.prepared_design import PreparedDesign, prepare_design
from homevisit_eval.effects.regression.wald_tests import JointTest, TestType, joint_test
from homevisit_eval.effects.regression_rows import RegressionRows, regression_rows
from homevisit_eval.errors import EstimationError
from homevisit_eval.matching.matched_sample import Estimand, MatchedSample

__all__ = ["SubgroupEffect", "SubgroupEffects", "estimate_subgroups"]

MOST_LEVELS = 12


@dataclass(frozen=True, slots=True, repr=False)
class SubgroupEffect:
    """The effect in one subgroup, in units of the outcome.

    Attributes
    ----------
    subgroup
        The value of the column.
    estimate, std_error, df, ci_low, ci_high, p_value
        From the regression of all subgroups together; NaN if the subgroup is refused.
    estimate_alone, std_error_alone
        From the same model fitted to the subgroup alone, as a check: it differs where covariates
        matter differently there. NaN if that cannot be fitted.
    n_visited, n_comparison, clusters
        Student-years with the outcome, and clusters.
    matched_visited, matched_comparison
        All matched student-years, whether the outcome was observed or not.
    refused
        Why there is no estimate; empty if there is one.
    """

    subgroup: str
    estimate: float
    std_error: float
    df: float
    ci_low: float
    ci_high: float
    p_value: float
    estimate_alone: float
    std_error_alone: float
    n_visited: int
    n_comparison: int
    clusters: int
    matched_visited: int
    matched_comparison: int
    refused: str = ""

    @property
    def observed_of_matched(self) -> tuple[tuple[int, int], tuple[int, int]]:
        """Student-years with the outcome, and all matched, of the visited and the others."""
        return (
            (self.n_visited, self.matched_visited),
            (self.n_comparison, self.matched_comparison),
        )

    def __repr__(self) -> str:
        """Show the effect, no counts."""
        shown = self.refused or (
            f"{self.estimate:+.4f} [{self.ci_low:+.4f}, {self.ci_high:+.4f}], "
            f"p = {self.p_value:.3f}"
        )
        return f"SubgroupEffect({self.subgroup}: {shown})"


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class SubgroupEffects:
    """Effects by subgroup, and the test that they are all the same.

    Attributes
    ----------
    outcome, question, role, estimand
    by
        The column that makes the subgroups.
    subgroups
        One for each value of the column.
    test
        Of equal effects in the subgroups that have one; None if there are fewer than two, or it
        cannot be computed (a note says why).
    covariance, cluster, confidence_level
    notes : tuple of sentences
    synthetic
    """

    outcome: Outcome
    question: str
    role: Role
    estimand: Estimand
    by: str
    subgroups: tuple[SubgroupEffect, ...]
    test: JointTest | None
    covariance: str
    cluster: str
    confidence_level: float
    notes: tuple[str, ...]
    synthetic: bool

    @property
    def tells_no_small_count(self) -> bool:
        """Whether degrees of freedom may be printed, since no small count follows from them."""
        counts = [pair for one in self.subgroups for pair in one.observed_of_matched]
        return tells_no_small_count(self.cluster, counts)

    def __repr__(self) -> str:
        """Show every subgroup on a line, no counts, and the test."""
        label = "synthetic data, " if self.synthetic else ""
        lines = [f"SubgroupEffects({label}{self.outcome.name} by {self.by}, {self.estimand})"]
        told = self.tells_no_small_count
        width = max(22, *(len(one.subgroup) for one in self.subgroups)) + 2
        for one in self.subgroups:
            if one.refused:
                lines.append(f"  {one.subgroup:<{width}}{one.refused}")
                continue
            shown = f"{one.estimate:+.4f} [{one.ci_low:+.4f}, {one.ci_high:+.4f}]"
            freedom = f", df = {one.df:.1f}" if told else ""
            lines.append(f"  {one.subgroup:<{width}}{shown}, p = {one.p_value:.3f}{freedom}")
        if self.test is not None:
            of = f" and {self.test.df_denominator:.1f}" if told else ""
            lines.append(
                f"  all the same: F = {self.test.statistic:.2f} on {self.test.df_numerator}{of} "
                f"df, p = {self.test.p_value:.3f} ({self.test.test})"
            )
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        return f"<pre>{escape(repr(self))}</pre>"


def estimate_subgroups(
    matched: MatchedSample, outcome: str, by: str, model: OutcomeModel | None = None
) -> SubgroupEffects:
    """Estimate the effect in every subgroup, and test that they are the same.

    Parameters
    ----------
    matched
        Visited student-years and their comparisons. Matching exactly on the column keeps every
        pair within a subgroup.
    outcome
        One of the question's outcomes.
    by
        A column of the sample's baseline with at most 12 different values, none missing.
    model
        `FixedEffects` or `DifferenceInMeans`; by default that of the question, else that of the
        design.

    Returns
    -------
    SubgroupEffects
        In the order of categories, else sorted. Subgroups with fewer than 10 visited or
        comparison student-years, or in one cluster, are refused with a reason and take no part.

    Raises
    ------
    DesignError
        If the question has no such outcome.
    EstimationError
        As `estimate_effect`; if the model is not linear, errors are clustered in two ways, or the
        column cannot make subgroups.

    Notes
    -----
    One weighted regression has a coefficient of `visited` and an intercept for each subgroup;
    covariates and absorbed cells are common to all. The test is Hotelling's T squared with small-
    sample degrees of freedom (HTZ) for CR2, F with G - 1 degrees of freedom for other
    covariances. A difference between subgroups is not the effect of belonging to them.

    References
    ----------
    Tipton, E., & Pustejovsky, J. E. (2015). Small-sample adjustments for tests of moderators and
    model fit using robust variance estimation in meta-regression. *Journal of Educational and
    Behavioral Statistics*, 40(6), 604-634.
    """
    sample = matched.sample
    allowed("outcome", outcome, sample.question.outcomes)
    model = model or sample.question.model or sample.design.model
    if not isinstance(model, FixedEffects | DifferenceInMeans) or "+" in model.cluster:
        raise EstimationError(
            f"{outcome} by {by}: subgroups are estimated by a linear model with one clustering. "
            "Give model=FixedEffects()."
        )
    rows = regression_rows(matched, outcome, model)
    check_rows(rows, outcome, model.cluster)
    run = _run(matched, rows, by, outcome, model)
    names = run.names
    refused = [_refusal(run, code) for code in range(len(names))]
    kept = [code for code in range(len(names)) if not refused[code]]
    if not kept:
        raise EstimationError(
            f"{outcome} by {by}: no subgroup has {SMALLEST_COUNT_SHOWN} visited and "
            f"{SMALLEST_COUNT_SHOWN} comparison student-years in two clusters. Choose a coarser "
            "column."
        )
    prepared, fit = _fit(run, kept)
    test, notes = _test(prepared, fit, kept)
    return SubgroupEffects(
        outcome=sample.design.outcome(outcome),
        question=sample.question.name,
        role=sample.question.role,
        estimand=observed_estimand(
            matched, [int((rows.visited == group).sum()) for group in (1, 0)]
        ),
        by=by,
        subgroups=tuple(_subgroup(run, code, fit, refused[code]) for code in range(len(names))),
        test=test,
        covariance=fit.covariance_type,
        cluster=model.cluster,
        confidence_level=run.confidence_level,
        notes=(*notes, *_without_a_match(matched, by)),
        synthetic=sample.synthetic,
    )


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class _Run:
    """What all subgroups share; codes (n,) number the names, matched_counts (subgroups, 2) are of
    comparison and of visited student-years."""

    rows: RegressionRows
    codes: NDArray[np.intp]
    names: tuple[str, ...]
    matched_counts: NDArray[np.int64]
    outcome: str
    model: FixedEffects | DifferenceInMeans
    confidence_level: float

    def members(self, code: int) -> NDArray[np.bool_]:
        return np.asarray(self.codes == code)


def _run(
    matched: MatchedSample,
    rows: RegressionRows,
    by: str,
    outcome: str,
    model: FixedEffects | DifferenceInMeans,
) -> _Run:
    baseline = matched.sample.baseline
    if by not in baseline.columns:
        raise EstimationError(
            f"by: {by!r} is no column of the sample's baseline; choose one of "
            f"{', '.join(map(str, baseline.columns))}."
        )
    used = matched.matches.weights.to_numpy() > 0
    values = baseline.loc[used, by]
    missing = int(values.isna().sum())
    if missing:
        raise EstimationError(
            f"by: {by!r} is missing for {shown_count(missing)} matched student-years; each must "
            "belong to a subgroup."
        )
    codes, levels = pd.factorize(values, sort=True)
    if not 2 <= len(levels) <= MOST_LEVELS:
        raise EstimationError(
            f"by: {by!r} has {len(levels)} different values; subgroups need 2 to {MOST_LEVELS}. "
            "Put quantities into bands first."
        )
    everywhere = np.full(len(baseline), -1)
    everywhere[used] = codes
    visited = baseline.loc[used, "visited"].to_numpy(dtype=np.int64)
    counts = np.array(
        [[((codes == code) & (visited == group)).sum() for group in (0, 1)]
         for code in range(len(levels))]
    )  # fmt: skip
    return _Run(
        rows=rows,
        codes=everywhere[rows.places],
        names=tuple(_words(level) for level in levels),
        matched_counts=counts,
        outcome=outcome,
        model=model,
        confidence_level=matched.sample.design.confidence_level,
    )


def _without_a_match(matched: MatchedSample, by: str) -> tuple[str, ...]:
    """Return a sentence that names subgroups of which visited students are, but none is matched."""
    baseline = matched.sample.baseline
    used = (matched.matches.weights > 0).to_numpy()
    visited = (baseline["visited"] == 1).to_numpy()
    lost = set(baseline.loc[visited, by].dropna()) - set(baseline.loc[used, by])
    if not lost:
        return ()
    return (f"No match, and so no estimate: {', '.join(sorted(map(_words, lost)))}.",)


def _words(level: object) -> str:
    """Return a value as text, whole numbers without decimals."""
    whole = isinstance(level, float) and level.is_integer()
    return str(int(level)) if whole else str(level)  # type: ignore[call-overload]


def _refusal(run: _Run, code: int) -> str:
    """Return why a subgroup gets no estimate; empty if it does."""
    here = run.members(code)
    visited = int((run.rows.visited[here] == 1).sum())
    few = [
        words
        for words, count in (("visited", visited), ("comparison", int(here.sum()) - visited))
        if count < SMALLEST_COUNT_SHOWN
    ]
    if few:
        return f"refused: fewer than {SMALLEST_COUNT_SHOWN} {' and '.join(few)} student-years"
    y = run.rows.y[here]
    if y.min() == y.max():
        return "refused: the outcome is the same for all"
    if len(np.unique(run.rows.clusters[here])) < 2:
        return f"refused: all student-years are in one cluster ({run.model.cluster})"
    return ""


def _fit(run: _Run, kept: Sequence[int]) -> tuple[PreparedDesign, LeastSquaresFit]:
    """Regress the outcome on covariates, and on an intercept and visits of each subgroup."""
    inside = np.isin(run.codes, kept)
    rows, codes = run.rows.only(inside), run.codes[inside]
    own = (codes[:, None] == np.array(kept)[None, :]).astype(np.float64)
    try:
        prepared = prepare_design(
            np.column_stack([rows.X, own[:, 1:], own * rows.visited[:, None]]),
            weights=rows.weights,
            absorb=rows.absorb,
            clusters=rows.clusters,
            names=[
                *rows.names,
                *(f"subgroup {code}" for code in kept[1:]),
                *(_term(code) for code in kept),
            ],
        )
        lost = [run.names[code] for code in kept if _term(code) not in prepared.names]
        if lost:
            raise EstimationError(
                f"subgroups: covariates and cells determine who was visited among {lost[0]!r}. "
                "Absorb fewer columns."
            )
        fit = fit_outcome(
            prepared,
            rows.y,
            covariance=run.model.covariance,
            df_for=[_term(code) for code in kept],
        )
    except EstimationError as error:
        raise EstimationError(said_of(run.outcome, error)) from None
    return prepared, fit


def _term(code: int) -> str:
    return f"visited, subgroup {code}"


def _test(
    prepared: PreparedDesign, fit: LeastSquaresFit, kept: Sequence[int]
) -> tuple[JointTest | None, tuple[str, ...]]:
    """Test that all subgroups have one effect."""
    if len(kept) < 2:
        return None, ("Only one subgroup has an estimate, so there is nothing to compare.",)
    constraints = np.zeros((len(kept) - 1, len(fit.names)))
    for row, code in enumerate(kept[1:]):
        constraints[row, fit.names.index(_term(kept[0]))] = -1.0
        constraints[row, fit.names.index(_term(code))] = 1.0
    kind: TestType = "HTZ" if fit.covariance_type == "CR2" else "F"
    try:
        return joint_test(prepared, fit, constraints, test=kind), ()
    except EstimationError as error:
        return None, (f"Effects of subgroups could not be tested together: {error}",)


def _subgroup(run: _Run, code: int, fit: LeastSquaresFit, refused: str) -> SubgroupEffect:
    here = run.members(code)
    rows = run.rows.only(here)
    visited = int((rows.visited == 1).sum())
    nan = math.nan
    blank = SubgroupEffect(
        run.names[code], nan, nan, nan, nan, nan, nan, nan, nan,
        visited, len(rows.y) - visited, len(np.unique(rows.clusters)),
        int(run.matched_counts[code, 1]), int(run.matched_counts[code, 0]), refused,
    )  # fmt: skip
    if refused:
        return blank
    at = fit.names.index(_term(code))
    low, high = (float(bound) for bound in fit.intervals(run.confidence_level)[at])
    alone = _alone(rows, run)
    return replace(
        blank,
        estimate=float(fit.coefficients[at]),
        std_error=float(fit.std_errors[at]),
        df=float(fit.df[at]),
        ci_low=low,
        ci_high=high,
        p_value=float(fit.p_values[at]),
        estimate_alone=alone[0],
        std_error_alone=alone[1],
    )


def _alone(rows: RegressionRows, run: _Run) -> tuple[float, float]:
    """Return estimate and standard error of the model in these rows only; NaN if it has none."""
    try:
        fit = fit_linear(rows, run.outcome, run.model.covariance)
    except EstimationError:
        return math.nan, math.nan
    return fit.estimate, fit.std_error
