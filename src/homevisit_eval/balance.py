"""Matched sample -> how alike the groups were before the visit, before and after matching."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from html import escape

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from homevisit_eval.design import FixedEffects, Outcome, OutcomeModel
from homevisit_eval.design.checks import allowed
from homevisit_eval.disclosure import shown_count
from homevisit_eval.effect_sizes import (
    baseline_category,
    cox_index,
    hedges_g,
    standardized_mean_difference,
    weighted_mean,
    weighted_sd,
)
from homevisit_eval.errors import EstimationError
from homevisit_eval.matching.design_matrix import factor_levels
from homevisit_eval.matching.frame_checks import is_factor
from homevisit_eval.matching.matched_sample import Estimand, MatchedSample

__all__ = ["Balance", "GroupMoments", "assess_balance", "describe_groups"]

FloatArray = NDArray[np.float64]
Flags = NDArray[np.bool_]

PROPENSITY = "linear_propensity_score"


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Balance:
    """Baseline means, spreads and differences of the two groups.

    Attributes
    ----------
    table : DataFrame, one row a covariate, or a level of a factor
        ``covariate``, ``label``, ``level`` (empty unless a factor); ``in_model``: whether it is a
        covariate of the outcome model; ``absorbed``: whether it does not vary within the cells
        that the model absorbs, which then adjust for it. For ``_before`` (all candidates,
        unweighted) and ``_after`` (the analytic sample, matching weights): ``mean_visited``,
        ``mean_comparison``, ``sd_visited``, ``sd_comparison``, ``smd`` (in standard
        deviations of the visited before matching, both times), ``variance_ratio``
        (missing for 0/1 covariates). ``wwc_effect_size`` and its kind, ``wwc_category``;
        ``n_visited_before``, ``n_comparison_before``, ``n_visited``,
        ``n_comparison``: rows where the covariate is measured; ``lost_visited``,
        ``lost_comparison``: matched ones among these without the outcome. The first row is the
        linear propensity score, if there is one; it belongs to no category.
    outcome
        The rows are those where this outcome is observed; None for all matched rows.
    question
        The name of the question.
    estimand
        Whose balance it is.
    synthetic
        Whether the data are.
    """

    table: pd.DataFrame
    outcome: Outcome | None
    question: str
    estimand: Estimand
    synthetic: bool

    @property
    def worst(self) -> float:
        """The largest finite absolute standardized mean difference after matching."""
        sizes = self.table["smd_after"].abs()
        return float(sizes[np.isfinite(sizes)].max())

    @property
    def infinite(self) -> tuple[str, ...]:
        """Labels of characteristics that differ although the visited all had one value."""
        return tuple(self.table.loc[np.isinf(self.table["smd_after"]), "label"].astype(str))

    def __repr__(self) -> str:
        """Show counts of rows by category and the largest difference."""
        label = "synthetic data, " if self.synthetic else ""
        of = f", outcome {self.outcome.name!r}" if self.outcome else ""
        counts = self.table["wwc_category"].value_counts()
        categories = ", ".join(f"{count} {name}" for name, count in counts.items())
        most = f"{shown_count(int(self.table['n_visited'].max()))} visited and "
        most += f"{shown_count(int(self.table['n_comparison'].max()))} comparison student-years"
        infinite = f"; infinite for {', '.join(self.infinite)}" if self.infinite else ""
        return (
            f"Balance({label}question {self.question!r}{of}, {self.estimand}: {most};\n"
            f"  {len(self.table)} characteristics, largest difference after matching "
            f"{self.worst:.3f} SD{infinite}; {categories})"
        )

    def _repr_html_(self) -> str:
        return f"<pre>{escape(repr(self))}</pre>"


@dataclass(frozen=True, slots=True)
class GroupMoments:
    """Weighted means and standard deviations of a variable in two groups, in its units."""

    mean_treated: float
    mean_comparison: float
    sd_treated: float
    sd_comparison: float

    @property
    def variance_ratio(self) -> float:
        """Variance of the treated over that of the comparison group."""
        if not self.sd_comparison > 0:
            return float("nan")
        return (self.sd_treated / self.sd_comparison) ** 2


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class _Characteristic:
    """A column of numbers to be balanced; NaN where it is not measured."""

    covariate: str
    label: str
    category: str
    in_model: bool
    values: FloatArray


def describe_groups(
    x: ArrayLike, treated: ArrayLike, weights: ArrayLike | None = None, *, binary: bool
) -> GroupMoments:
    """Return weighted means and standard deviations of the two groups.

    Parameters
    ----------
    x, treated : arrays of shape (n,)
        Finite numbers; 0 or 1.
    weights : array of shape (n,), optional
        At least 0; all 1 if not given.
    binary
        Whether `x` is 0 or 1: its standard deviation is then :math:`\\sqrt{p (1 - p)}`, else
        that of `weighted_sd` (denominator n - 1 with unit weights).
    """
    values = np.asarray(x, dtype=np.float64)
    group = np.asarray(treated) == 1
    w = np.ones(len(values)) if weights is None else np.asarray(weights, dtype=np.float64)
    moments = []
    for rows in (group, ~group):
        mean = weighted_mean(values[rows], w[rows])
        if binary:
            moments.append((mean, float(np.sqrt(np.maximum(mean * (1 - mean), 0.0)))))
        else:
            moments.append((mean, weighted_sd(values[rows], w[rows])))
    (mean_treated, sd_treated), (mean_comparison, sd_comparison) = moments
    return GroupMoments(mean_treated, mean_comparison, sd_treated, sd_comparison)


def assess_balance(
    matched: MatchedSample, outcome: str | None = None, model: OutcomeModel | None = None
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

    Returns
    -------
    Balance
        One row for the linear propensity score, for each covariate (each level of a factor),
        and for the outcome's own baseline measure if that is no covariate.

    Raises
    ------
    DesignError
        If the question has no such outcome.
    EstimationError
        If no visited or no comparison student-year with that outcome observed is left.

    Notes
    -----
    Standardized mean differences before and after share one denominator, the standard deviation
    of the visited before matching (the ATT's choice): they change only as means do. The effect
    size of the What Works Clearinghouse is another number: Hedges' g, or the Cox index for 0/1
    covariates, with the spread of the analytic sample. Where a share is 0 or 1 the Cox index
    does not exist and Hedges' g of the 0/1 values stands in. A difference above .05 is "not
    satisfied" if the model adjusts neither by the covariate itself nor by absorbed cells that
    determine it; that it adjusts for something similar is not enough.

    References
    ----------
    Stuart, E. A. (2010). Matching methods for causal inference: a review and a look forward.
    *Statistical Science*, 25(1), 1-21.
    What Works Clearinghouse (2022). *Procedures and Standards Handbook, Version 5.0*,
    baseline equivalence. Institute of Education Sciences.
    """
    sample, matches = matched.sample, matched.matches
    weights = matches.weights.to_numpy(dtype=np.float64)
    treated = sample.baseline["visited"].to_numpy(dtype=np.int64)
    measure: Outcome | None = None
    if outcome is not None:
        allowed("outcome", outcome, sample.question.outcomes)
        measure = sample.design.outcome(outcome)
        weights = np.where(sample.outcomes[outcome].notna().to_numpy(), weights, 0.0)
    for group, name in ((1, "visited"), (0, "comparison")):
        if not weights[treated == group].any():
            raise EstimationError(
                f"balance of question {sample.question.name!r}: no {name} student-year"
                + (f" has the outcome {outcome!r} observed" if outcome else " is matched")
                + ". Leave the outcome out of the question, or change the matching."
            )
    model = model or sample.question.model or sample.design.model
    cells = _absorbed_cells(matched, model)
    before = matches.weights.to_numpy(dtype=np.float64) > 0
    rows = [
        _row(item, treated, weights, matched=before, cells=cells)
        for item in _characteristics(matched, measure, model)
    ]
    return Balance(
        table=pd.DataFrame(rows),
        outcome=measure,
        question=sample.question.name,
        estimand=matches.estimand,
        synthetic=sample.synthetic,
    )


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


def _characteristics(
    matched: MatchedSample, outcome: Outcome | None, model: OutcomeModel
) -> Iterator[_Characteristic]:
    sample, scores = matched.sample, matched.matches.linear_propensity_score
    if scores is not None:
        yield _Characteristic(
            PROPENSITY,
            "Linear propensity score",
            "",
            False,
            scores.to_numpy(dtype=np.float64),
        )
    bands = sample.baseline["grade_band"].astype(str).to_numpy()
    labels = {covariate.name: covariate.label for covariate in sample.design.covariates}
    names = {name for covariates in sample.covariates.values() for name in covariates}
    ordered = [name for name in labels if name in names] + sorted(names - set(labels))
    for name in ordered:
        measured = np.isin(bands, [b for b, has in sample.covariates.items() if name in has])
        in_model = isinstance(model, FixedEffects) and name in labels
        label = labels.get(name, name)
        yield from _columns(
            sample.baseline[name], name, label, measured=measured, in_model=in_model
        )
    if outcome is not None and outcome.baseline not in names:
        name = outcome.baseline
        if name in sample.baseline.columns:
            label = labels.get(name, f"{outcome.label}, year before")
            everywhere = np.ones(len(bands), dtype=bool)
            yield from _columns(
                sample.baseline[name], name, label, measured=everywhere, in_model=False
            )


def _columns(
    column: pd.Series, name: str, label: str, *, measured: Flags, in_model: bool
) -> Iterator[_Characteristic]:
    if is_factor(column):
        codes, levels = factor_levels(column)
        measured = measured & (codes >= 0)
        for code, level in enumerate(levels):
            values = np.where(measured, (codes == code).astype(np.float64), np.nan)
            yield _Characteristic(name, label, level, in_model, values)
    else:
        values = column.to_numpy(dtype=np.float64, na_value=np.nan)
        yield _Characteristic(name, label, "", in_model, np.where(measured, values, np.nan))


def _row(
    item: _Characteristic,
    treated: NDArray[np.int64],
    weights: FloatArray,
    *,
    matched: Flags,
    cells: NDArray[np.int64] | None,
) -> dict[str, object]:
    has = ~np.isnan(item.values)
    x, group, after = item.values[has], treated[has], weights[has]
    binary = bool(np.isin(x, (0.0, 1.0)).all())
    before_moments = describe_groups(x, group, binary=binary)
    after_moments = describe_groups(x, group, after, binary=binary)
    row: dict[str, object] = {
        "covariate": item.covariate,
        "label": item.label,
        "level": item.category,
        "in_model": item.in_model,
        "absorbed": cells is not None and _constant_within(cells[has], x, after),
    }
    for when, moments, w in (("before", before_moments, None), ("after", after_moments, after)):
        row |= {
            f"mean_visited_{when}": moments.mean_treated,
            f"mean_comparison_{when}": moments.mean_comparison,
            f"sd_visited_{when}": moments.sd_treated,
            f"sd_comparison_{when}": moments.sd_comparison,
            f"smd_{when}": standardized_mean_difference(
                x, group, w, standard_deviation=before_moments.sd_treated
            ),
            f"variance_ratio_{when}": float("nan") if binary else moments.variance_ratio,
        }
    used, lost = after > 0, matched[has] & ~(after > 0)
    n_visited, n_comparison = int((used & (group == 1)).sum()), int((used & (group == 0)).sum())
    size, kind = _wwc_effect_size(after_moments, n_visited, n_comparison, binary=binary)
    adjusted_for = bool(row["in_model"] or row["absorbed"])
    return row | {
        "wwc_effect_size": size,
        "wwc_effect_size_kind": kind,
        "wwc_category": (
            None if item.covariate == PROPENSITY
            else baseline_category(size, adjusted_for=adjusted_for)
        ),
        "n_visited_before": int((group == 1).sum()),
        "n_comparison_before": int((group == 0).sum()),
        "n_visited": n_visited,
        "n_comparison": n_comparison,
        "lost_visited": int((lost & (group == 1)).sum()),
        "lost_comparison": int((lost & (group == 0)).sum()),
    }  # fmt: skip


def _constant_within(cells: NDArray[np.int64], x: FloatArray, weights: FloatArray) -> bool:
    """Say whether the rows in use have one value within each cell."""
    used = pd.Series(x[weights > 0])
    return bool((used == used.groupby(cells[weights > 0]).transform("min")).all())


def _wwc_effect_size(
    moments: GroupMoments, n_visited: int, n_comparison: int, *, binary: bool
) -> tuple[float, str]:
    shares = (moments.mean_treated, moments.mean_comparison)
    if binary and all(0 < share < 1 for share in shares):
        return cox_index(*shares, n_visited, n_comparison), "Cox index"
    difference = moments.mean_treated - moments.mean_comparison
    spreads = (moments.sd_treated, moments.sd_comparison)
    return hedges_g(difference, *spreads, n_visited, n_comparison), "Hedges' g"
