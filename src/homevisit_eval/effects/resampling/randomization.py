"""Randomization inference that respects matched sets (arrays)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from homevisit_eval.effects.resampling.assignments import assignment_blocks
from homevisit_eval.effects.resampling.families_of_tests import DrawKind
from homevisit_eval.effects.resampling.inversion import (
    PValueType,
    StatisticCurves,
    outermost_kept,
    two_sided_p_value,
    unbounded_note,
)
from homevisit_eval.effects.resampling.randomization_rows import (
    AssignedBy,
    RandomizationRows,
    StatisticName,
    StudentizeBy,
    make_statistic,
    randomization_rows,
)
from homevisit_eval.errors import EstimationError
from homevisit_eval.threads import one_thread

__all__ = ["RandomizationTest", "randomization_test"]

Floats = NDArray[np.float64]

FEWEST_DRAWS = 99
VALUES_AT_ONCE = 2_000_000
FEW_SETS = 10
ZERO_SPREAD = 1e-26  # of the squared outcomes: rounding


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class RandomizationTest:
    """A test of one constant effect by assignments that the design could have had.

    Attributes
    ----------
    estimate
        The constant effect under which the statistic is 0: the Hodges-Lehmann estimate.
    null, t
        The effect that is tested, and the statistic under it: in units of the outcome, or of
        its standard error if studentized.
    statistic, studentize
        What was computed for every assignment.
    p_value, p_value_type
        Two-sided.
    monte_carlo_error
        Standard error of `p_value` from drawing at random; 0 if all were enumerated.
    ci_low, ci_high, confidence_level
        The outermost constant effects that are not rejected; infinite where none outward is.
    n, n_treated
        Rows of positive weight, and treated rows.
    sets, units, assigned_by
        Matched sets or strata; units that were assigned within them, and what a unit is.
    draws, draw_kind, seed
        Assignments used, and how they were found; `seed` does not matter if enumerated.
    t_draws : array of shape (draws,)
        The statistics under the null, infinite where the standard error of a draw is 0.
    notes : tuple of sentences
        What a reader must know.
    """

    estimate: float
    null: float
    t: float
    statistic: StatisticName
    studentize: StudentizeBy
    p_value: float
    p_value_type: PValueType
    monte_carlo_error: float
    ci_low: float
    ci_high: float
    confidence_level: float
    n: int
    n_treated: int
    sets: int
    units: int
    assigned_by: AssignedBy
    draws: int
    draw_kind: DrawKind
    seed: int
    t_draws: Floats
    notes: tuple[str, ...]

    def __repr__(self) -> str:
        """Show the test with its recipe, not the draws."""
        how = "" if self.studentize == "none" else f" studentized {self.studentize}"
        return (
            f"RandomizationTest(effect = {self.null:g}: p = {self.p_value:.4g}, "
            f"{self.p_value_type}; estimate {self.estimate:.6g}, "
            f"{100 * self.confidence_level:g} % interval [{self.ci_low:.6g}, {self.ci_high:.6g}];\n"
            f"  {self.statistic}{how}, {self.draws:,} assignments {self.draw_kind} by "
            f"{self.assigned_by} within {self.sets:,} sets; n = {self.n}, "
            f"{self.n_treated} treated)"
        )


def randomization_test(
    y: ArrayLike,
    treated: ArrayLike,
    *,
    seed: int,
    sets: ArrayLike | None = None,
    clusters: ArrayLike | None = None,
    assigned_by: AssignedBy = "row",
    X: ArrayLike | None = None,
    absorb: Sequence[ArrayLike] = (),
    weights: ArrayLike | None = None,
    sampling_weights: ArrayLike | None = None,
    statistic: StatisticName = "difference",
    studentize: StudentizeBy = "none",
    null: float = 0.0,
    draws: int = 9999,
    p_value_type: PValueType = "symmetric",
    confidence_level: float = 0.95,
) -> RandomizationTest:
    """Test that treatment had one constant effect on all, by permuting it within matched sets.

    Parameters
    ----------
    y, treated : arrays of shape (n,)
        The outcome, and 1 for treated, 0 for comparison rows.
    seed
        Of the assignments drawn.
    sets : array of shape (n,), optional
        Codes of matched sets (pairs, 1:k, full matching) or strata; treatment is permuted within
        them, each keeping its number treated. One set of all rows if not given.
    clusters : array of shape (n,), optional
        Codes, needed for ``assigned_by="cluster"`` and ``studentize="by_cluster"``.
    assigned_by
        ``"row"``: rows trade their treatment. ``"cluster"``: whole clusters do (schools); treatment
        and set must not vary within them.
    X : array of shape (n, k), optional
        Covariates, not the treatment; an intercept is added.
    absorb : sequence of arrays of shape (n,)
        Codes of factors that get one intercept for each level.
    weights : array of shape (n,), optional
        Matching weights, constant over the treated and over the comparison rows of a set: they
        belong to the role, so a row that trades its treatment takes the other one. 0 leaves a
        row out.
    sampling_weights : array of shape (n,), optional
        Weights that belong to the row whatever its treatment.
    statistic
        ``"difference"``: of the weighted means. ``"adjusted"``: that of residuals of the outcome
        less the effect, regressed on covariates without treatment (Rosenbaum 2002).
        ``"coefficient"``: of treatment in a regression with covariates; weights must then be
        equal within a set.
    studentize
        ``"none"``, or the statistic over its standard error, which keeps the test valid for an
        average effect of 0 in large samples when effects vary (Wu & Ding 2021). ``"by_set"``:
        from sums by set, for many matched sets. ``"by_row"``: from rows about their means by set
        and treatment (for the coefficient: HC0), for few large strata. ``"by_cluster"``: from sums
        by cluster.
    null
        The constant effect that is tested.
    draws
        Assignments; all are enumerated instead, and p is exact, where there are not more.
    p_value_type
        ``"symmetric"``: the share of assignments whose statistic is at least as large in absolute
        value. ``"equal_tailed"``: twice the smaller tail.
    confidence_level
        Of the interval of constant effects, by inverting the test with the same assignments.

    Returns
    -------
    RandomizationTest

    Raises
    ------
    EstimationError
        If shapes differ or values are missing, treatment is not 0 and 1, a set holds one group
        only, weights differ within a set and role, treatment varies within an assigned cluster,
        the standard error cannot be had, or an option is unknown or outside its range.

    Notes
    -----
    Under the sharp null the outcome without treatment is y - null z for everybody, so its
    statistic is known for every assignment; the sample's own is one of them, and p is
    (count + 1) / (draws + 1) when they are drawn (Phipson & Smyth 2010). Ties are counted with a
    relative tolerance of 1e-8. The test takes all assignments within a set as equally likely:
    after matching on observed covariates that is the assumption of no hidden bias.

    References
    ----------
    Fisher, R. A. (1935). *The Design of Experiments*. Oliver & Boyd.
    Phipson, B., & Smyth, G. K. (2010). Permutation p-values should never be zero. *Statistical
    Applications in Genetics and Molecular Biology*, 9(1), article 39.
    Rosenbaum, P. R. (2002). Covariance adjustment in randomized experiments and observational
    studies. *Statistical Science*, 17(3), 286-327.
    Wu, J., & Ding, P. (2021). Randomization tests for weak null hypotheses in randomized
    experiments. *Journal of the American Statistical Association*, 116(536), 1898-1913.

    Examples
    --------
    >>> test = randomization_test([3.0, 1.0, 4.0, 2.0, 9.0, 5.0], [1, 0, 1, 0, 1, 0],
    ...                           sets=[0, 0, 1, 1, 2, 2], seed=1)
    >>> test.p_value, test.draws
    (0.25, 8)
    """
    _check_options(seed, draws, null, confidence_level)
    _check_names(statistic, studentize, assigned_by, p_value_type)
    rows = randomization_rows(
        y,
        treated,
        sets=sets,
        clusters=clusters,
        assigned_by=assigned_by,
        X=X,
        absorb=absorb,
        weights=weights,
        sampling_weights=sampling_weights,
    )
    with one_thread():
        estimate, own, curves, kind = _curves(rows, statistic, studentize, draws, seed)

        def p_value_at(distance: float) -> float:
            t = float(own.at(distance)[0])
            return two_sided_p_value(t, curves.at(distance), p_value_type, more=more)

        shift, more = null - estimate, 1 if kind == "drawn" else 0
        p, count = p_value_at(shift), len(curves.n0)
        step = float(np.sqrt(own.d00[0]) if studentize != "none" else np.std(curves.n0))
        step /= abs(float(own.n1[0]))
        low, high = (
            estimate + outermost_kept(p_value_at, scale=scale, rejected_at=1.0 - confidence_level)
            for scale in (-step, step)
        )
    return RandomizationTest(
        estimate=estimate,
        null=float(null),
        t=float(own.at(shift)[0]),
        statistic=statistic,
        studentize=studentize,
        p_value=p,
        p_value_type=p_value_type,
        monte_carlo_error=0.0 if kind == "enumerated" else float(np.sqrt(p * (1 - p) / count)),
        ci_low=low,
        ci_high=high,
        confidence_level=confidence_level,
        n=len(rows.y),
        n_treated=int(rows.treated.sum()),
        sets=rows.S,
        units=int(rows.sizes.sum()),
        assigned_by=assigned_by,
        draws=count,
        draw_kind=kind,
        seed=seed,
        t_draws=curves.at(shift),
        notes=(*_notes(rows, kind, studentize, count), *unbounded_note(low, high)),
    )


def _curves(
    rows: RandomizationRows,
    statistic: StatisticName,
    studentize: StudentizeBy,
    draws: int,
    seed: int,
) -> tuple[float, StatisticCurves, StatisticCurves, DrawKind]:
    """Return the estimate, and the statistics about it of the sample and of all draws."""
    observed = rows.treated[None, :]
    n0, n1 = make_statistic(rows, statistic, studentize, shift=0.0).moments(observed)[:2, 0]
    estimate = float(n0 / n1)
    computed = make_statistic(rows, statistic, studentize, shift=estimate)
    own = StatisticCurves(*computed.moments(observed))
    lines = max(1, VALUES_AT_ONCE // len(rows.y))
    kind, blocks = assignment_blocks(
        rows.sizes, rows.unit_treated, draws=draws, seed=seed, lines=lines
    )
    parts = [computed.moments(rows.assign(block)) for block in blocks]
    curves = StatisticCurves(*np.hstack(parts))
    spread = own.d00[0] if studentize != "none" else np.var(curves.n0)
    if not spread > ZERO_SPREAD * float(rows.y @ rows.y):
        raise EstimationError(
            "randomization test: the statistic does not vary, because the outcome does not "
            "beyond treatment and covariates, or there are too few sets or clusters to "
            "studentize it."
        )
    return estimate, own, curves, kind


def _check_options(seed: int, draws: int, null: float, confidence_level: float) -> None:
    if not (isinstance(seed, int | np.integer) and seed >= 0):
        raise EstimationError("randomization test: seed is no whole number of 0 or more; give one.")
    if not (isinstance(draws, int | np.integer) and draws >= FEWEST_DRAWS):
        raise EstimationError(
            f"randomization test: draws is {draws!r}; give a whole number of {FEWEST_DRAWS} or "
            "more."
        )
    if not np.isfinite(null) or not 0.0 < confidence_level < 1.0:
        raise EstimationError(
            f"randomization test: null is {null!r} and confidence_level {confidence_level!r}; "
            "give a finite number, and one between 0 and 1."
        )


def _check_names(statistic: str, studentize: str, assigned_by: str, p_value_type: str) -> None:
    for given, name, kind in (
        (statistic, "statistic", StatisticName),
        (studentize, "studentize", StudentizeBy),
        (assigned_by, "assigned_by", AssignedBy),
        (p_value_type, "p_value_type", PValueType),
    ):
        if given not in get_args(kind):
            raise EstimationError(
                f"randomization test: {name} {given!r} is unknown; give one of "
                f"{', '.join(get_args(kind))}."
            )


def _notes(
    rows: RandomizationRows, kind: DrawKind, studentize: StudentizeBy, count: int
) -> tuple[str, ...]:
    notes = []
    if kind == "enumerated":
        notes.append(
            f"All {count:,} assignments were enumerated: p is exact, a multiple of 1 / {count:,}."
        )
    if studentize == "by_set" and rows.S < FEW_SETS:
        notes.append(
            f"The standard error comes from {rows.S} sets only; by_row suits few large strata."
        )
    return tuple(notes)
