"""Effects with the influence of every unit: clustered errors, Wald tests, bands (arrays)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtrc, fdtrc, stdtr, stdtrit

from homevisit_eval.errors import EstimationError

__all__ = [
    "InfluenceCovariance",
    "InfluenceDf",
    "InfluenceEffects",
    "InfluenceTest",
    "Multiplier",
    "SimultaneousBand",
    "cluster_notes",
    "influence_effects",
    "influence_test",
    "simultaneous_band",
]

Floats = NDArray[np.float64]
Codes = NDArray[np.intp]
InfluenceCovariance = Literal["CR0", "CR1"]
InfluenceDf = Literal["G - 1", "normal"]
Multiplier = Literal["rademacher", "mammen"]
InfluenceTestType = Literal["Hotelling", "chi-square"]

FEW_CLUSTERS = 10
RANK_BELOW = 1e-10  # eigenvalues, as a share of the largest
FEWEST_DRAWS = 99
DRAWS_AT_ONCE = 4_000_000
ROOT_FIVE = float(np.sqrt(5.0))


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class InfluenceEffects:
    """Effects in units of the outcome, with the influence of every unit on each.

    Attributes
    ----------
    names : tuple of m names
    estimates : array of shape (m,)
    std_errors : array of shape (m,)
        0 where an effect is 0 by definition, as in a reference period, or nothing varies.
    covariance : array of shape (m, m)
    df
        Degrees of freedom of the t distribution of each (infinite: normal).
    influence : array of shape (n, m)
        What each unit adds to the error of each effect.
    clusters : array of shape (n,) of 0..G-1
    covariance_type
        ``"CR0"``: the cross product of sums of influence by cluster; ``"CR1"``: times
        G / (G - 1).
    G
        Clusters; units if none were given.
    """

    names: tuple[str, ...]
    estimates: Floats
    std_errors: Floats
    covariance: Floats
    df: float
    influence: Floats
    clusters: Codes
    covariance_type: InfluenceCovariance
    G: int

    @property
    def p_values(self) -> Floats:
        """Two-sided p values of no effect, shape (m,); NaN where the standard error is 0."""
        known = self.std_errors > 0
        t = np.full(len(known), np.nan)
        t[known] = np.abs(self.estimates[known] / self.std_errors[known])
        return np.asarray(2.0 * stdtr(self.df, -t), dtype=np.float64)

    def intervals(self, confidence_level: float = 0.95) -> Floats:
        """Return pointwise confidence intervals, shape (m, 2): lower and upper bounds."""
        half = float(stdtrit(self.df, 0.5 + confidence_level / 2.0)) * self.std_errors
        return np.column_stack([self.estimates - half, self.estimates + half])

    def __repr__(self) -> str:
        """Show the recipe, no units."""
        return (
            f"InfluenceEffects({len(self.names)} effects, {self.covariance_type} of influence, "
            f"df {self.df:g}; n = {len(self.clusters)}, G = {self.G})"
        )


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class InfluenceTest:
    """A test that effects are 0 together.

    Attributes
    ----------
    test
        ``"Hotelling"`` or ``"chi-square"``.
    tested : tuple of names
    statistic
        F, or chi-square divided by r.
    df_numerator, df_denominator
        r, and G - r (infinite for chi-square).
    p_value
    quadratic_form
        The Wald statistic before it is scaled.
    covariance_type, G
        Of the effects.
    """

    test: InfluenceTestType
    tested: tuple[str, ...]
    statistic: float
    df_numerator: int
    df_denominator: float
    p_value: float
    quadratic_form: float
    covariance_type: str
    G: int

    def __repr__(self) -> str:
        """Show the test with its recipe."""
        return (
            f"InfluenceTest({self.test} of {self.df_numerator} effects: F = {self.statistic:.4g} "
            f"on {self.df_numerator} and {self.df_denominator:.4g} df, p = {self.p_value:.4g}; "
            f"{self.covariance_type}, G = {self.G})"
        )


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class SimultaneousBand:
    """A band that holds all of several effects at once with the stated confidence.

    Attributes
    ----------
    ci_low, ci_high : arrays of shape (m,)
        Equal to the estimate where an effect is 0 by definition.
    critical_value
        What standard errors are multiplied by.
    confidence_level, draws, multiplier, seed
        How it was found.
    notes : tuple of sentences
    """

    ci_low: Floats
    ci_high: Floats
    critical_value: float
    confidence_level: float
    draws: int
    multiplier: Multiplier
    seed: int
    notes: tuple[str, ...]

    def __repr__(self) -> str:
        """Show the recipe."""
        return (
            f"SimultaneousBand({len(self.ci_low)} effects, {100 * self.confidence_level:g} %: "
            f"{self.critical_value:.4g} standard errors; {self.draws:,} {self.multiplier} draws)"
        )


def influence_effects(
    function: str,
    estimates: Floats,
    influence: Floats,
    clusters: Codes,
    *,
    names: Sequence[str],
    covariance: InfluenceCovariance,
    df: InfluenceDf,
) -> InfluenceEffects:
    """Return effects with clustered standard errors from the influence of units.

    Parameters
    ----------
    function
        For messages.
    estimates : array of shape (m,)
    influence : array of shape (n, m)
    clusters : array of shape (n,) of 0..G-1
    names : sequence of m names
    covariance, df
        See `InfluenceEffects`.

    Raises
    ------
    EstimationError
        If an option is unknown.
    """
    for value, kind, name in (
        (covariance, InfluenceCovariance, "covariance"),
        (df, InfluenceDf, "df"),
    ):
        if value not in get_args(kind):
            raise EstimationError(
                f"{function}: {name} must be one of {', '.join(get_args(kind))}; it is {value!r}."
            )
    sums = cluster_sums(influence, clusters)
    G = len(sums)
    matrix = sums.T @ sums
    if covariance == "CR1":
        matrix *= G / (G - 1.0)
    return InfluenceEffects(
        names=tuple(names),
        estimates=estimates,
        std_errors=np.sqrt(np.maximum(np.diag(matrix), 0.0)),
        covariance=matrix,
        df=float("inf") if df == "normal" else G - 1.0,
        influence=influence,
        clusters=clusters,
        covariance_type=covariance,
        G=G,
    )


def cluster_sums(influence: Floats, clusters: Codes) -> Floats:
    """Return sums of influence (n, m) by cluster, shape (G, m)."""
    G = int(clusters.max()) + 1
    if len(clusters) == G:
        return influence
    columns = [np.bincount(clusters, column, G) for column in influence.T]
    return np.column_stack(columns) if columns else np.empty((G, 0))


def influence_test(
    effects: InfluenceEffects,
    which: Sequence[int],
    *,
    test: InfluenceTestType = "Hotelling",
) -> InfluenceTest:
    """Test that some effects are 0 together.

    Parameters
    ----------
    effects
    which : sequence of r positions
    test
        ``"Hotelling"``: (G - r) / (r (G - 1)) times the Wald statistic, compared with
        F(r, G - r), which is exact for normal sums by cluster with covariance CR1.
        ``"chi-square"``: its large-sample distribution.

    Raises
    ------
    EstimationError
        If there is nothing to test, there are not more clusters than effects, or their
        covariance is singular.
    """
    if test not in get_args(InfluenceTestType):
        raise EstimationError(
            f"test of effects: test must be one of {', '.join(get_args(InfluenceTestType))}; it "
            f"is {test!r}."
        )
    at = np.asarray(which, dtype=np.intp)
    r, G = len(at), effects.G
    if r == 0:
        raise EstimationError("test of effects: there is no effect to test.")
    if test == "Hotelling" and r >= G:
        raise EstimationError(
            f"test of effects: {r} effects cannot be tested together with {G} clusters; test "
            "fewer, as aggregated ones."
        )
    Q = _quadratic_form(effects.estimates[at], effects.covariance[np.ix_(at, at)])
    hotelling = test == "Hotelling"
    denominator = float(G - r) if hotelling else float("inf")
    scale = (G - r) / (G - 1.0) if hotelling else 1.0
    p = fdtrc(r, denominator, scale * Q / r) if hotelling else chdtrc(r, Q)
    return InfluenceTest(
        test=test,
        tested=tuple(effects.names[j] for j in at),
        statistic=scale * Q / r,
        df_numerator=r,
        df_denominator=denominator,
        p_value=float(p),
        quadratic_form=Q,
        covariance_type=effects.covariance_type,
        G=G,
    )


def _quadratic_form(values: Floats, covariance: Floats) -> float:
    size = np.sqrt(np.maximum(np.diag(covariance), 0.0))
    if (size > 0).all():
        scaled = covariance / np.outer(size, size)
        if np.linalg.eigvalsh(scaled)[0] > RANK_BELOW:
            return float(values / size @ np.linalg.solve(scaled, values / size))
    raise EstimationError(
        f"test of effects: the covariance of the {len(values)} effects is singular, as where "
        "there are not more clusters than effects. Test fewer at once."
    )


def simultaneous_band(
    effects: InfluenceEffects,
    *,
    seed: int,
    draws: int = 9999,
    multiplier: Multiplier = "rademacher",
    confidence_level: float = 0.95,
) -> SimultaneousBand:
    """Return a band for all effects at once by the multiplier bootstrap.

    Parameters
    ----------
    effects
    seed
        Of the multipliers.
    draws
        At least 99.
    multiplier
        One for each cluster, with mean 0 and variance 1: ``"rademacher"`` (1 or -1) or
        ``"mammen"`` (two values with third moment 1).
    confidence_level

    Raises
    ------
    EstimationError
        If an option is not possible or no effect has a standard error.

    Notes
    -----
    In each draw sums of influence by cluster are multiplied by v and added up; the critical
    value is the quantile of the largest absolute sum over its standard error, or the pointwise
    one where that is larger (as with one effect and few clusters).

    References
    ----------
    Callaway, B., & Sant'Anna, P. H. C. (2021). Difference-in-differences with multiple time
    periods. *Journal of Econometrics*, 225(2), 200-230 (algorithm 1).
    Mammen, E. (1993). Bootstrap and wild bootstrap for high dimensional linear models. *Annals
    of Statistics*, 21(1), 255-285.
    """
    _check_band(seed, draws, multiplier, confidence_level)
    moving = effects.std_errors > 0
    if not moving.any():
        raise EstimationError("simultaneous band: no effect has a standard error above 0.")
    sums = cluster_sums(effects.influence[:, moving], effects.clusters)
    scaled = sums / np.sqrt(np.einsum("ij,ij->j", sums, sums))
    rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed])))
    largest = np.empty(draws)
    lines = max(1, DRAWS_AT_ONCE // effects.G)
    for first in range(0, draws, lines):
        block = _multipliers(rng, (min(lines, draws - first), effects.G), multiplier)
        largest[first : first + len(block)] = np.abs(block @ scaled).max(axis=1)
    pointwise = float(stdtrit(effects.df, 0.5 + confidence_level / 2.0))
    drawn = float(np.quantile(largest, confidence_level, method="higher"))
    critical = max(pointwise, drawn)
    half = critical * effects.std_errors
    return SimultaneousBand(
        ci_low=effects.estimates - half,
        ci_high=effects.estimates + half,
        critical_value=critical,
        confidence_level=confidence_level,
        draws=draws,
        multiplier=multiplier,
        seed=seed,
        notes=cluster_notes(effects.G),
    )


def _check_band(seed: int, draws: int, multiplier: str, confidence_level: float) -> None:
    if multiplier not in get_args(Multiplier):
        raise EstimationError(
            f"simultaneous band: multiplier must be one of {', '.join(get_args(Multiplier))}; it "
            f"is {multiplier!r}."
        )
    if not (isinstance(seed, int | np.integer) and seed >= 0):
        raise EstimationError("simultaneous band: seed is no whole number of 0 or more; give one.")
    if not (isinstance(draws, int | np.integer) and draws >= FEWEST_DRAWS):
        raise EstimationError(
            f"simultaneous band: draws is {draws!r}; give a whole number of {FEWEST_DRAWS} or more."
        )
    if not 0 < confidence_level < 1:
        raise EstimationError(
            f"simultaneous band: confidence_level is {confidence_level!r}; give a share between 0 "
            "and 1."
        )


def _multipliers(
    rng: np.random.Generator, shape: tuple[int, int], multiplier: Multiplier
) -> Floats:
    if multiplier == "rademacher":
        return np.array([-1.0, 1.0])[rng.integers(0, 2, shape, dtype=np.int8)]
    low, high = (1.0 - ROOT_FIVE) / 2.0, (1.0 + ROOT_FIVE) / 2.0
    return np.where(rng.random(shape) < (ROOT_FIVE + 1.0) / (2.0 * ROOT_FIVE), low, high)


def cluster_notes(G: int) -> tuple[str, ...]:
    """Return the note on few clusters, if there are fewer than 10."""
    if G >= FEW_CLUSTERS:
        return ()
    return (
        f"There are only {G} clusters: standard errors from influence functions may be too small.",
    )
