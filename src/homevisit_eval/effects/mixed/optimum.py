"""The relative factor at which the profile likelihood of a mixed model is highest (arrays)."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq, minimize

from homevisit_eval.effects.mixed.likelihood import GroupSums, ProfilePoint, profile_at
from homevisit_eval.errors import EstimationError

__all__ = ["best_factor"]

Floats = NDArray[np.float64]

DECADES = (-8.0, 8.0)  # variance ratios tried, times the usual weight of a group
LAST_DECADE = 14.0
STEPS_A_DECADE = 2
NEWTON_STEPS = 30
PROVEN_BELOW = 1e-10  # what a Newton step would still gain in the deviance
ROUNDING = 1e-13  # of a deviance, for each row
CURVATURE_ZERO = 1e-9  # eigenvalues of the Hessian that count as zero, relative to the largest
SINGULAR_BELOW = 1e-5  # elements of T's diagonal tried at zero, relative to its size
SAME_DEVIANCE = 1e-7


def best_factor(sums: GroupSums) -> tuple[ProfilePoint, int]:
    """Return the point of highest likelihood, and how many local optima were seen.

    Parameters
    ----------
    sums
        Columns of the random effects on similar scales.

    Returns
    -------
    point
        Proven by a gradient of zero and a Hessian without negative eigenvalues.
    optima
        Local maxima of the likelihood among those the search reached.

    Raises
    ------
    EstimationError
        If no point could be proven; it says what was tried.

    Notes
    -----
    For a random intercept the likelihood depends on one number, L: its derivative is found on a
    grid of 33 values over 16 decades and at zero, each change of sign is narrowed to the last
    digit (Brent), and the lowest deviance counts. With slopes it is minimized by a trust-region
    Newton method with exact derivatives from several starting points, without bounds since T
    and T with a column's sign turned are the same model, and polished by Newton steps.
    """
    try:
        found = _best_intercept(sums) if sums.q == 1 else _best_slopes(sums)
    except np.linalg.LinAlgError:
        raise EstimationError(
            "mixed model: the variances of the groups grow so large that the coefficients cannot "
            "be told apart; y or a column may hardly vary within groups. Compare group means by "
            "least squares instead."
        ) from None
    _check_proven(found[0])
    return found


def _best_intercept(sums: GroupSums) -> tuple[ProfilePoint, int]:
    unit = 1.0 / float(np.median(sums.roots[:, 0, 0] ** 2))

    def at(ratio: float) -> ProfilePoint:
        return profile_at(sums, np.array([[np.sqrt(ratio)]]))

    def slope(ratio: float) -> float:
        return float(at(ratio).slope()[0, 0])

    def slope_log(exponent: float) -> float:
        return slope(np.exp(exponent))

    count = int((DECADES[1] - DECADES[0]) * STEPS_A_DECADE) + 1
    grid = [0.0, *(unit * np.logspace(*DECADES, count)).tolist()]
    slopes = [slope(ratio) for ratio in grid]
    while slopes[-1] <= 0 and grid[-1] < unit * 10**LAST_DECADE:
        grid.append(grid[-1] * 10)
        slopes.append(slope(grid[-1]))
    if slopes[-1] <= 0:
        raise EstimationError(
            "mixed model: the likelihood still rises where the variance of the groups is "
            f"{grid[-1] / unit:.0e} times that of a group's mean within it; y may be constant "
            "within groups. Compare group means by least squares instead."
        )
    optima = [at(0.0)] if slopes[0] >= 0 else []
    for k in range(len(grid) - 1):
        if slopes[k] < 0 <= slopes[k + 1]:
            if k == 0:
                optima.append(at(brentq(slope, 0.0, grid[1], xtol=1e-300, rtol=1e-15)))
            else:
                ends = np.log(grid[k]), np.log(grid[k + 1])
                optima.append(at(np.exp(brentq(slope_log, *ends, xtol=1e-15, rtol=1e-15))))
    return min(optima, key=lambda point: point.deviance), len(optima)


def _best_slopes(sums: GroupSums) -> tuple[ProfilePoint, int]:
    points = [_polished(_descended(sums, start)) for start in _starts(sums)]
    best = min(points, key=lambda point: point.deviance)
    proven = [point.deviance for point in points if _is_proven(point)]
    optima = 1 + int((np.diff(np.sort(proven)) > SAME_DEVIANCE).sum()) if proven else 1
    return _standard(_at_the_boundary(best)), optima


def _starts(sums: GroupSums) -> Iterator[Floats]:
    """Yield factors to start from: large, middle and small, and the random intercept's."""
    q = sums.q
    usual = 1.0 / np.sqrt(np.median((sums.roots**2).sum(axis=(1, 2))) / q)
    for size in (1.0, usual, 0.1 * usual):
        yield size * np.eye(q)
    intercept = GroupSums(
        roots=np.ascontiguousarray(sums.roots[:, :1, :1]),
        between=np.ascontiguousarray(sums.between[:, :1]),
        within=sums.within + np.einsum("gij,gik->jk", sums.between[:, 1:], sums.between[:, 1:]),
        ranks=np.minimum(sums.ranks, 1),
        n=sums.n,
        method=sums.method,
    )
    try:
        alone = float(_best_intercept(intercept)[0].factor[0, 0])
    except EstimationError:
        return
    start = 0.3 * usual * np.eye(q)
    start[0, 0] = max(alone, 0.1 * usual)
    yield start


def _descended(sums: GroupSums, start: Floats) -> ProfilePoint:
    """Return where a trust-region Newton method arrives from `start`."""
    lower = np.tril_indices(sums.q)
    last: list[ProfilePoint] = []

    def point(theta: Floats) -> ProfilePoint:
        if not last or not np.array_equal(last[0].factor[lower], theta):
            last[:] = [profile_at(sums, _factor(theta, sums.q))]
        return last[0]

    done = minimize(
        lambda theta: point(theta).deviance,
        start[lower],
        jac=lambda theta: point(theta).gradient(),
        hess=lambda theta: point(theta).hessian(),
        method="trust-exact",
        options={"gtol": 1e-6, "maxiter": 300, "initial_trust_radius": 0.5},
    )
    return point(np.asarray(done.x, dtype=np.float64))


def _factor(theta: Floats, q: int) -> Floats:
    factor = np.zeros((q, q))
    factor[np.tril_indices(q)] = theta
    return factor


def _newton(point: ProfilePoint) -> tuple[Floats, float]:
    """Return the Newton step in directions of positive curvature, and what it would gain."""
    gradient = point.gradient()
    eigenvalues, V = np.linalg.eigh(point.hessian())
    curved = eigenvalues > CURVATURE_ZERO * max(float(np.abs(eigenvalues).max()), 1e-300)
    along = V[:, curved].T @ gradient
    step = -V[:, curved] @ (along / eigenvalues[curved])
    return step, float(np.sum(along**2 / eigenvalues[curved])) / 2


def _polished(point: ProfilePoint) -> ProfilePoint:
    """Return the point after Newton steps, as long as each promises less than the one before."""
    lower = np.tril_indices(point.sums.q)
    step, gain = _newton(point)
    for _ in range(NEWTON_STEPS):
        if gain == 0:
            break
        there = profile_at(point.sums, _factor(point.factor[lower] + step, point.sums.q))
        next_step, next_gain = _newton(there)
        if not next_gain < gain or there.deviance > point.deviance + SAME_DEVIANCE:
            break
        point, step, gain = there, next_step, next_gain
    return point


def _at_the_boundary(point: ProfilePoint) -> ProfilePoint:
    """Return the point with vanishing elements of the diagonal at zero, if that is no worse."""
    size = float(np.abs(point.factor).max())
    small = np.abs(np.diag(point.factor)) < SINGULAR_BELOW * size
    if not small.any() or size == 0:
        return point
    factor = point.factor.copy()
    factor[small, small] = 0.0
    there = _polished(profile_at(point.sums, factor))
    return there if there.deviance <= point.deviance + ROUNDING * point.sums.n else point


def _standard(point: ProfilePoint) -> ProfilePoint:
    """Return the same point with a diagonal of no negative number."""
    signs = np.where(np.diag(point.factor) < 0, -1.0, 1.0)
    if (signs > 0).all():
        return point
    return profile_at(point.sums, point.factor * signs)


def _is_proven(point: ProfilePoint) -> bool:
    eigenvalues = np.linalg.eigvalsh(point.hessian())
    downward = eigenvalues.min() < -1e-7 * max(float(np.abs(eigenvalues).max()), 1.0)
    return bool(_newton(point)[1] < PROVEN_BELOW and not downward)


def _check_proven(point: ProfilePoint) -> None:
    if not (np.isfinite(point.deviance) and _is_proven(point)):
        tried = (
            "33 variance ratios over 16 decades and Brent's method"
            if point.sums.q == 1
            else "a trust-region Newton method from four starting points and Newton steps"
        )
        raise EstimationError(
            f"mixed model: no maximum of the likelihood could be proven, with {tried}; the best "
            f"point has a gradient of {float(np.abs(point.gradient()).max()):.1e}. Use fewer "
            "random slopes, or a random intercept only."
        )
