"""Matches -> how alike the groups were before treatment: two doors, one table."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from homevisit_eval.balance.balance import Balance
from homevisit_eval.balance.characteristics import (
    Characteristic,
    Interactions,
    frame_characteristics,
    sample_characteristics,
    score_characteristic,
    with_squares_and_products,
)
from homevisit_eval.balance.density import overlap_coefficient
from homevisit_eval.balance.rows import Grouping, Judgment, balance_rows, group_rows
from homevisit_eval.balance.sizes import weights_after, weights_before
from homevisit_eval.balance.statistics import (
    ComparedGroups,
    Denominator,
    PairScale,
    compared_groups,
)
from homevisit_eval.design import (
    CoarsenedExactMatching,
    FixedEffects,
    FullMatching,
    MatchingMethod,
    NearestNeighbor,
    OptimalPairs,
    Outcome,
    OutcomeModel,
    Question,
    Subclassification,
)
from homevisit_eval.design.checks import allowed
from homevisit_eval.errors import EstimationError
from homevisit_eval.matching.frame import check_columns, check_index, check_names, read_treatment
from homevisit_eval.matching.matched_sample import Estimand, MatchedSample, Matches

__all__ = ["assess_balance", "assess_frame_balance"]

DenominatorChoice = Literal["estimand", "treated", "comparison", "pooled"]


def assess_balance(
    matched: MatchedSample,
    outcome: str | None = None,
    model: OutcomeModel | None = None,
    *,
    by: Sequence[str] = (),
    denominator: DenominatorChoice = "estimand",
    squared: Sequence[str] = (),
    interactions: Interactions = "none",
) -> Balance:
    """Compare the baseline of visited and comparison student-years, before and after matching.

    Parameters
    ----------
    matched
        A matched sample.
    outcome
        The name of an outcome of its question: "after" is then limited to rows where it is
        observed. Of the outcome nothing but *whether* it is observed is read.
    model
        How the effect is estimated, which decides what is adjusted for. By default that of the
        question, else that of the design, as for `estimate_effect`.
    by
        Baseline columns (``"grade"``, ``"school_year"``, ``"school_id"``, any covariate): the
        same statistics are added for the rows of each of their values.
    denominator
        Whose standard deviation before matching divides differences: of the ``"treated"``, the
        ``"comparison"`` group, or ``"pooled"`` from both. ``"estimand"``: of the treated for the
        ATT, of the comparison group for the ATC, pooled otherwise.
    squared
        Covariates whose squares are assessed as well.
    interactions
        ``"all"``: squares of all numeric covariates and products of every two columns.

    Returns
    -------
    Balance
        One row for the score, for each covariate (each level of a factor), and for the
        outcome's own baseline measure if that is no covariate.

    Raises
    ------
    DesignError
        If the question has no such outcome, or an option is not one of those allowed.
    MatchingError
        If the baseline has no column of `by`.
    EstimationError
        If no visited or no comparison student-year with that outcome observed is left.

    Notes
    -----
    Standardized mean differences before and after share one denominator: they change only as
    means do. The effect size of the What Works Clearinghouse is another number: Hedges' g, or
    the Cox index for 0/1 covariates, with the spread of the analytic sample. Where a share is 0
    or 1 the Cox index does not exist and Hedges' g of the 0/1 values stands in. A difference
    above .05 is "not satisfied" if the model adjusts neither by the covariate itself nor by
    absorbed cells that determine it; that it adjusts for something similar is not enough.
    Within a group (`by`) everything, denominators too, is that of the group's rows; pairs count
    where both units are of the group.

    References
    ----------
    Stuart, E. A. (2010). Matching methods for causal inference: a review and a look forward.
    *Statistical Science*, 25(1), 1-21.
    What Works Clearinghouse (2022). *Procedures and Standards Handbook, Version 5.0*,
    baseline equivalence. Institute of Education Sciences.
    """
    sample, matches = matched.sample, matched.matches
    after = weights_after(matches)
    treated = sample.baseline["visited"].to_numpy(dtype=np.int64)
    measure: Outcome | None = None
    matched_rows = after > 0
    if outcome is not None:
        allowed("outcome", outcome, sample.question.outcomes)
        measure = sample.design.outcome(outcome)
        after = np.where(sample.outcomes[outcome].notna().to_numpy(), after, 0.0)
    for group, name in ((1, "visited"), (0, "comparison")):
        if not after[treated == group].any():
            raise EstimationError(
                f"balance of question {sample.question.name!r}: no {name} student-year"
                + (f" has the outcome {outcome!r} observed" if outcome else " is matched")
                + ". Leave the outcome out of the question, or change the matching."
            )
    lost = matched_rows & (after <= 0)
    model = model or sample.question.model or sample.design.model
    covariates = sample_characteristics(matched, measure, model)
    _check_squared(squared, [one.covariate for one in covariates])
    run = _Run(
        frame=sample.baseline,
        matches=matches,
        groups=_groups(matches, treated, after),
        by=by,
        denominator=denominator,
        judgment=Judgment(_absorbed_cells(matched, model), lost if lost.any() else None),
    )
    return run.balance(
        with_squares_and_products(covariates, squared=squared, interactions=_known(interactions)),
        outcome=measure,
        question=sample.question,
        synthetic=sample.synthetic,
    )


def assess_frame_balance(
    frame: pd.DataFrame,
    matches: Matches,
    *,
    treated: str,
    covariates: Sequence[str],
    by: Sequence[str] = (),
    denominator: DenominatorChoice = "estimand",
    squared: Sequence[str] = (),
    interactions: Interactions = "none",
) -> Balance:
    """Compare treated and comparison rows of any data frame, before and after matching.

    Parameters
    ----------
    frame
        The data frame that was matched. It is not changed.
    matches
        What `match_frame` returned for it.
    treated
        The column that is 1 for treated and 0 for comparison units.
    covariates
        Columns to compare, numbers or categories; they need not be those that were matched on.
        Where a value is missing, the statistics of that column are those of the other rows.
    by, denominator, squared, interactions
        As for `assess_balance`; `by` names columns of the frame.

    Returns
    -------
    Balance
        One row for the score that was matched on, and for each covariate (each level of a
        factor). The categories of the What Works Clearinghouse suppose an outcome model that
        adjusts for every covariate as it stands.

    Raises
    ------
    MatchingError
        If a column is unknown, or `treated` is not 0/1.
    EstimationError
        If the matches are those of another data frame, a value is infinite, or a column holds
        dates.
    DesignError
        If an option is not one of those allowed.

    Examples
    --------
    >>> import pandas as pd
    >>> from homevisit_eval.matching import match_frame
    >>> people = pd.DataFrame({"treat": [1, 0, 0, 1, 0], "age": [30, 31, 50, 44, 45]})
    >>> matches = match_frame(people, treated="treat", covariates=["age"])
    >>> balance = assess_frame_balance(people, matches, treated="treat", covariates=["age"])
    >>> float(balance.table.set_index("covariate").loc["age", "mean_comparison_after"])
    38.0
    """
    check_index(frame)
    check_columns(frame, [treated], "treated")
    check_names(covariates, "covariates", treated)
    check_columns(frame, covariates, "covariates")
    if not matches.weights.index.equals(frame.index):
        raise EstimationError(
            "matches: its row labels differ from those of the data frame. Give the frame that was "
            "matched, with its rows in the same order."
        )
    _check_no_dates(frame, covariates)
    _check_squared(squared, covariates)
    group = read_treatment(frame, treated)
    after = weights_after(matches)
    run = _Run(
        frame=frame,
        matches=matches,
        groups=_groups(matches, group, after),
        by=by,
        denominator=denominator,
        judgment=Judgment(None, None),
    )
    columns = frame_characteristics(frame, covariates)
    return run.balance(
        with_squares_and_products(columns, squared=squared, interactions=_known(interactions)),
        outcome=None,
        question=None,
        synthetic=False,
    )


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class _Run:
    """What both doors have in common."""

    frame: pd.DataFrame
    matches: Matches
    groups: ComparedGroups
    by: Sequence[str]
    denominator: DenominatorChoice
    judgment: Judgment

    def balance(
        self,
        characteristics: Iterable[Characteristic],
        *,
        outcome: Outcome | None,
        question: Question | None,
        synthetic: bool,
    ) -> Balance:
        whose = _denominator(self.denominator, self.matches.estimand)
        score = score_characteristic(self.matches)
        everything = ([] if score is None else [score], characteristics)
        rows = balance_rows(
            (one for part in everything for one in part),
            self.groups,
            groupings=_groupings(self.frame, self.by),
            denominator=whose,
            pair_scale=_pair_scale(self.matches.method),
            judgment=self.judgment,
        )
        overlaps = _overlaps(self.matches, self.groups)
        return Balance(
            table=rows,
            outcome=outcome,
            question=question.name if question else "",
            role=question.role if question else "",
            estimand=self.matches.estimand,
            synthetic=synthetic,
            denominator=whose,
            overlap_before=overlaps[0],
            overlap_after=overlaps[1],
        )


def _groups(
    matches: Matches, treated: NDArray[np.int64], after: NDArray[np.float64]
) -> ComparedGroups:
    labels = matches.weights.index
    pairs = None
    if len(matches.pairs):
        first, second = (
            labels.get_indexer(pd.Index(matches.pairs[side])).astype(np.int64)
            for side in ("treated", "comparison")
        )
        pairs = (first, second)
    sets = matches.matched_set.to_numpy(dtype=np.int64)
    return compared_groups(treated, weights_before(matches), after, pairs=pairs, matched_set=sets)


def _groupings(frame: pd.DataFrame, by: Sequence[str]) -> list[Grouping]:
    if isinstance(by, str):
        raise EstimationError(f"by must be a list of column names, not one text: by=({by!r},).")
    check_columns(frame, by, "by")
    return [group_rows(frame[name], name) for name in by]


def _denominator(choice: DenominatorChoice, estimand: Estimand) -> Denominator:
    allowed("denominator", choice, ("estimand", "treated", "comparison", "pooled"))
    if choice != "estimand":
        return choice
    if estimand.target == "ATT":
        return "treated"
    return "comparison" if estimand.target == "ATC" else "pooled"


def _known(interactions: Interactions) -> Interactions:
    allowed("interactions", interactions, ("none", "all"))
    return interactions


def _check_squared(squared: Sequence[str], covariates: Sequence[str]) -> None:
    for name in squared:
        allowed("squared", name, list(dict.fromkeys(covariates)))


def _check_no_dates(frame: pd.DataFrame, covariates: Sequence[str]) -> None:
    for name in covariates:
        if pd.api.types.is_datetime64_any_dtype(frame[name]) or frame[name].dtype.kind == "m":
            raise EstimationError(
                f"covariates: {name} holds dates or times; give a number instead."
            )


def _pair_scale(method: MatchingMethod) -> PairScale:
    """Return MatchIt's unit of pair distances where its rules were asked for."""
    match method:
        case (
            NearestNeighbor(ties=ties)
            | OptimalPairs(ties=ties)
            | FullMatching(ties=ties)
            | CoarsenedExactMatching(ties=ties)
            | Subclassification(ties=ties)
        ):
            return "matchit" if ties == "matchit" else "standard_deviations"
        case _:
            return "standard_deviations"


def _overlaps(matches: Matches, groups: ComparedGroups) -> tuple[float, float]:
    """Return the overlap coefficient of the linear score, before and after."""
    scores = matches.linear_propensity_score
    if scores is None or scores.isna().all():
        return math.nan, math.nan
    values = scores.to_numpy(dtype=np.float64)
    has = np.isfinite(values)
    before, after = (
        overlap_coefficient(values[has], groups.treated[has], weights[has])
        for weights in (groups.before, groups.after)
    )
    return before, after


def _absorbed_cells(matched: MatchedSample, model: OutcomeModel) -> NDArray[np.int64] | None:
    """Return the number of each row's absorbed cell; None if the model absorbs none."""
    if not isinstance(model, FixedEffects) or not model.absorb:
        return None
    baseline = matched.sample.baseline
    if unknown := [name for name in model.absorb if name not in baseline.columns]:
        raise EstimationError(
            f"{unknown[0]}: the sample's baseline has no such column to absorb; choose one that "
            "it has."
        )
    groups = baseline.groupby(list(model.absorb), sort=False, observed=True, dropna=False)
    return np.asarray(groups.ngroup(), dtype=np.int64)
