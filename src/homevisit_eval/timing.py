"""Whether visits earlier in the year change outcomes more than visits later in it."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from html import escape
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from homevisit_eval.censoring import follow_without_visits
from homevisit_eval.design import (
    DifferenceInMeans,
    FixedEffects,
    Outcome,
    Question,
    StudyDesign,
    TimingContrast,
)
from homevisit_eval.design.deviations import contrast_role
from homevisit_eval.design.measures import TO_DATE_COLUMNS
from homevisit_eval.disclosure import shown_count
from homevisit_eval.effects import Effect, EffectDifference, compare_effects
from homevisit_eval.errors import EstimationError, MatchingError
from homevisit_eval.matching import MatchedSample, match_students
from homevisit_eval.matching.weighting.entropy_balancing import entropy_balancing_weights
from homevisit_eval.propensity import fit_propensity
from homevisit_eval.sample.analytic_sample import AnalyticSample
from homevisit_eval.sample.select import select_candidates

if TYPE_CHECKING:
    from homevisit_eval.panel import Panel

__all__ = ["TimingDifference", "TimingPairs", "contrast_pairs", "contrast_timing", "timing_pairs"]

Floats = NDArray[np.float64]

FEW_STUDENTS = 30
NOTABLE_DIFFERENCE = 0.05  # standard deviations
FIRST_MONTH = "08"  # landmarks from August on lie in the first calendar year of a school year


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class TimingDifference:
    """How much more an earlier visit changes an outcome than a later one, over the same days.

    Attributes
    ----------
    contrast, outcome
        What was asked.
    difference
        The effect of the earlier visit less that of the later one, in units of the outcome.
    earlier, later
        The two effects, each against no visit that year, from the landmark on.
    effective_size_later
        How many equally weighted pairs the later-visited are worth after weighting.
    largest_difference
        The largest absolute standardized difference of a baseline covariate between earlier- and
        later-visited students that is left after weighting.
    notes : tuple of sentences
    synthetic
    """

    contrast: TimingContrast
    outcome: Outcome
    difference: EffectDifference
    earlier: Effect
    later: Effect
    effective_size_later: float
    largest_difference: float
    notes: tuple[str, ...]
    synthetic: bool

    def __repr__(self) -> str:
        """Show the difference with its interval, and what it is between."""
        label = "synthetic data, " if self.synthetic else ""
        found = self.difference
        return (
            f"TimingDifference({label}{self.outcome.name} from {self.contrast.landmark} on: "
            f"{self.earlier.estimate:+.4f} earlier less {self.later.estimate:+.4f} later = "
            f"{found.estimate:+.4f} [{found.ci_low:+.4f}, {found.ci_high:+.4f}], "
            f"p = {found.p_value:.3f})"
        )

    def _repr_html_(self) -> str:
        return f"<pre>{escape(repr(self))}</pre>"


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class TimingPairs:
    """The pairs of both windows of a timing contrast, followed from its landmark on.

    Attributes
    ----------
    earlier, later
        Matched samples; the later one with the weights that make it like the earlier one.
    effective_size_later, largest_difference
        As in `TimingDifference`.
    """

    earlier: MatchedSample
    later: MatchedSample
    effective_size_later: float
    largest_difference: float

    def __repr__(self) -> str:
        """Show both matched samples."""
        return f"TimingPairs(earlier={self.earlier!r}, later={self.later!r})"


def contrast_timing(
    panel: Panel, design: StudyDesign, contrast: TimingContrast
) -> tuple[TimingDifference, ...]:
    """Return for each outcome by how much earlier visits change it more than later ones.

    Parameters
    ----------
    panel
        With its history.
    design
        Whose questions the contrast names.
    contrast

    Returns
    -------
    tuple of TimingDifference
        One for each outcome, in the contrast's order.

    Raises
    ------
    DesignError
        If the design has no such question or outcome.
    SourceError, MatchingError, EstimationError
        As the stages do; if one of the windows has no pair before the landmark, or no weights
        make the later-visited like the earlier-visited.

    Notes
    -----
    An effect of a whole window mixes when the visit was, how many days it could work on, and who
    was visited. Here (1) both effects are measured over the same days, from the landmark to the end
    of the year; (2) both are against no visit that year (`follow_without_visits`), since comparison
    students of the earlier window are partly visited in the later one; (3) pairs of the later
    window are weighted so that its visited students have the baseline means of the visited of the
    earlier one (entropy balancing on the covariates of the year before; where no weights do that,
    by the odds of being one of the earlier, and a note says what is left); (4) the two regressions
    are fitted as one, with errors clustered by school over both. What is left is the timing, if
    effects differ between students only by what is weighted.

    References
    ----------
    Hainmueller, J. (2012). Entropy balancing for causal effects: a multivariate reweighting
    method to produce balanced samples in observational studies. *Political Analysis*, 20(1),
    25-46.
    Weesie, J. (1999). Seemingly unrelated estimation and the cluster-adjusted sandwich estimator.
    *Stata Technical Bulletin*, 52, 34-47.
    """
    return contrast_pairs(timing_pairs(panel, design, contrast), design, contrast)


def timing_pairs(panel: Panel, design: StudyDesign, contrast: TimingContrast) -> TimingPairs:
    """Return the pairs that a timing contrast compares: steps 1 to 3 of `contrast_timing`.

    Raises
    ------
    DesignError, SourceError, MatchingError, EstimationError
        As `contrast_timing`.
    """
    earlier, later = (
        _followed(panel, design, contrast, design.question(name))
        for name in (contrast.earlier, contrast.later)
    )
    weighted, size, left = _like(earlier, later)
    return TimingPairs(earlier, weighted, size, left)


def contrast_pairs(
    pairs: TimingPairs, design: StudyDesign, contrast: TimingContrast
) -> tuple[TimingDifference, ...]:
    """Return the differences between the effects in two sets of pairs, one for each outcome.

    Parameters
    ----------
    pairs
        From `timing_pairs`.
    design, contrast
        As given there.

    Raises
    ------
    EstimationError
        As `compare_effects`.
    """
    model = design.model
    if not isinstance(model, FixedEffects | DifferenceInMeans) or model.cluster != "school_id":
        model = FixedEffects()
    notes = _notes(contrast, pairs.effective_size_later, pairs.largest_difference)
    found = []
    for name in contrast.outcomes:
        difference = compare_effects(pairs.earlier, pairs.later, name, model)
        found.append(
            TimingDifference(
                contrast=contrast,
                outcome=design.outcome(name),
                difference=difference,
                earlier=difference.first,
                later=difference.second,
                effective_size_later=pairs.effective_size_later,
                largest_difference=pairs.largest_difference,
                notes=(*notes, *difference.notes),
                synthetic=pairs.earlier.sample.synthetic,
            )
        )
    return tuple(found)


def _followed(
    panel: Panel, design: StudyDesign, contrast: TimingContrast, question: Question
) -> MatchedSample:
    """Match one window's question, and follow its pairs from the landmark on without visits."""
    asked = replace(
        question,
        role=contrast_role(design, contrast),
        outcomes=contrast.outcomes,
        later_visits="none",
        follow_up=0,
        lag_days=0,
        subgroup=None,
        pool="not_visited_before_year",
    )
    sample = _before(select_candidates(panel, design, asked), contrast)
    matched = match_students(sample)
    followed = follow_without_visits(matched, panel, landmark=contrast.landmark)
    _require_days(followed, contrast)
    return followed


def _require_days(followed: MatchedSample, contrast: TimingContrast) -> None:
    """Check that some pair of a window has days from the landmark on.

    Raises
    ------
    EstimationError
        If none has.
    """
    used = (followed.matches.weights > 0).to_numpy()
    visited = (followed.sample.baseline["visited"] == 1).to_numpy()[used]
    outcomes = followed.sample.outcomes.loc[used, list(contrast.outcomes)]
    known = outcomes.notna().any(axis=1).to_numpy()
    if known[visited].any() and known[~visited].any():
        return
    before = shown_count(int(visited.sum()))
    raise EstimationError(
        f"timing contrast {contrast.name!r}: landmark {contrast.landmark!r}: {before} pairs of "
        f"question {followed.sample.question.name!r} have the visit before it, and none has days "
        "of instruction from it on that count. Choose an earlier landmark, before the last days of "
        "school."
    )


def _before(sample: AnalyticSample, contrast: TimingContrast) -> AnalyticSample:
    """Return the candidates whose time zero lies before the landmark of their school year."""
    landmark = contrast.landmark
    rows = sample.baseline
    years = rows["school_year"].to_numpy(dtype=np.int64) - (landmark[:2] >= FIRST_MONTH)
    days = np.array([f"{one}-{landmark}" for one in years], dtype="datetime64[s]")
    kept = rows["index_date"].to_numpy(dtype="datetime64[s]") < days
    if not (rows.loc[kept, "visited"] == 1).any():
        raise EstimationError(
            f"timing contrast {contrast.name!r}: landmark {landmark!r}: nobody of question "
            f"{sample.question.name!r} was visited before it. Choose a later landmark."
        )
    return replace(
        sample,
        baseline=rows[kept].reset_index(drop=True),
        outcomes=sample.outcomes[kept].reset_index(drop=True),
    )


def _like(earlier: MatchedSample, later: MatchedSample) -> tuple[MatchedSample, float, float]:
    """Weight the later pairs to the baseline means of the earlier-visited.

    Returns
    -------
    tuple
        The later sample with new weights, its effective number of pairs, and the largest
        standardized difference of a covariate that is left.
    """
    sides = [_visited(one) for one in (earlier, later)]
    columns = _columns(sides[0].baseline, sides[1].baseline, _shared(earlier, later))
    is_earlier = np.repeat([1, 0], [len(side.baseline) for side in sides])
    base = np.concatenate([side.weights for side in sides])
    balance = _weights(columns, is_earlier, base)
    own = balance[is_earlier == 0]
    own = own * len(own) / own.sum()
    left = _largest(columns, is_earlier, np.concatenate([sides[0].weights, own]))
    factor = pd.Series(own / sides[1].weights, index=sides[1].baseline.index)
    weights = later.matches.weights.copy()
    pairs = later.matches.pairs
    known = pairs[pairs["treated"].isin(factor.index)]
    by_pair = factor.loc[known["treated"]].to_numpy()
    changed = pd.Series(0.0, index=weights.index)
    changed.loc[factor.index] = sides[1].weights * factor.to_numpy()
    extra = pd.Series(by_pair, index=known["comparison"].to_numpy()).groupby(level=0).sum()
    used = extra.index[weights.loc[extra.index].to_numpy() > 0]
    changed.loc[used] = extra.loc[used]
    size = float(own.sum() ** 2 / (own**2).sum())
    estimand = later.matches.estimand
    words = f"{estimand.restriction}, weighted to the earlier-visited".strip(", ")
    matches = replace(later.matches, weights=changed, estimand=replace(estimand, restriction=words))
    return MatchedSample(later.sample, matches), size, left


def _weights(columns: Floats, is_earlier: NDArray[np.int64], base: Floats) -> Floats:
    """Return weights that make the later-visited like the earlier-visited, shape (n,).

    Entropy balancing; where no weights make all means equal, the odds of being one of the earlier.

    Raises
    ------
    EstimationError
        If the covariates tell the two apart.
    """
    try:
        return entropy_balancing_weights(
            columns, is_earlier, estimand="ATT", base_weights=base
        ).weights
    except MatchingError:
        pass
    try:
        fit = fit_propensity(np.column_stack([np.ones(len(columns)), columns]), is_earlier)
    except MatchingError as error:
        raise EstimationError(
            f"the later-visited cannot be weighted to be like the earlier-visited: {error}"
        ) from None
    return np.where(is_earlier == 1, base, base * np.exp(np.clip(fit.linear_predictor, -30, 30)))


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class _Visited:
    baseline: pd.DataFrame
    weights: Floats


def _visited(matched: MatchedSample) -> _Visited:
    weights = matched.matches.weights.to_numpy(dtype=np.float64)
    baseline = matched.sample.baseline
    used = (weights > 0) & (baseline["visited"] == 1).to_numpy()
    return _Visited(baseline.loc[used], weights[used])


def _shared(first: MatchedSample, second: MatchedSample) -> list[str]:
    """Return the covariates of the year before that both samples have."""
    names = [one.name for one in first.sample.design.covariates]
    both = set(first.sample.baseline.columns) & set(second.sample.baseline.columns)
    return [name for name in names if name in both and name not in TO_DATE_COLUMNS]


def _columns(first: pd.DataFrame, second: pd.DataFrame, names: list[str]) -> Floats:
    """Return the covariates of both as columns: categories and grades by level, gaps by mean.

    A covariate that only some grades have takes its mean where it is missing; the grades say where.
    """
    rows = pd.concat([first[["grade", *names]], second[["grade", *names]]], ignore_index=True)
    made: list[Floats] = []
    for name in ("grade", *names):
        column = rows[name]
        if name == "grade" or not pd.api.types.is_numeric_dtype(column.dtype):
            levels = sorted(column.dropna().unique())[1:]
            made += [np.asarray(column == one, dtype=np.float64) for one in levels]
        else:
            made.append(column.fillna(column.mean()).to_numpy(dtype=np.float64))
    own = np.arange(len(rows)) < len(first)
    kept = [
        one for one in made if one[own].min() < one[own].max() and one[~own].min() < one[~own].max()
    ]
    return np.column_stack(kept)


def _largest(columns: Floats, is_earlier: NDArray[np.int64], weights: Floats) -> float:
    """Return the largest absolute difference of means, in SDs of the earlier-visited."""
    first, second = is_earlier == 1, is_earlier == 0
    means = [np.average(columns[side], axis=0, weights=weights[side]) for side in (first, second)]
    spread = columns[first].std(axis=0, ddof=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        sizes = np.abs(means[0] - means[1]) / spread
    finite = sizes[np.isfinite(sizes)]
    return float(finite.max()) if len(finite) else math.nan


def _notes(contrast: TimingContrast, size: float, left: float) -> tuple[str, ...]:
    notes = [
        f"Both effects are measured from {contrast.landmark} (month and day) to the end of the "
        "year, against no visit that year; pairs of the later window are weighted so that its "
        "visited students are like those of the earlier one (largest standardized difference of a "
        f"baseline mean left: {left:.3f})."
    ]
    if left > NOTABLE_DIFFERENCE:
        notes.append(
            "No weights make the means of all covariates equal, so that the contrast may mix in "
            "who was visited."
        )
    if size < FEW_STUDENTS:
        notes.append(
            f"After weighting, the later-visited are worth fewer than {FEW_STUDENTS} pairs: the "
            "contrast is not to be relied on."
        )
    return tuple(notes)
