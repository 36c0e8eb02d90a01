"""Weighted least squares with absorbed factors and robust standard errors (arrays)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import stdtr, stdtrit

from homevisit_eval.effects.regression.covariance import (
    CovarianceType,
    check_covariance,
    robust_covariance,
)
from homevisit_eval.effects.regression.degrees_of_freedom import (
    CONVENTIONS,
    DfType,
    NestedEffects,
    count_parameters,
    counted_df,
    df_type,
)
from homevisit_eval.effects.regression.leverage_adjustment import clusters_alone
from homevisit_eval.effects.regression.prepared_design import (
    PreparedDesign,
    prepare_design,
)
from homevisit_eval.effects.regression.satterthwaite import satterthwaite_df
from homevisit_eval.errors import EstimationError
from homevisit_eval.threads import one_thread

__all__ = [
    "Conventions",
    "CovarianceType",
    "LeastSquaresFit",
    "alone_notes",
    "design_notes",
    "estimate",
    "fit_least_squares",
    "fit_outcome",
    "fitted",
]

Floats = NDArray[np.float64]

FEW_CLUSTERS = 10


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class LeastSquaresFit:
    """Weighted least squares coefficients with their robust covariance.

    Attributes
    ----------
    coefficients : array of shape (p,)
        In the order of `names`: the columns of X that are kept.
    covariance : array of shape (p, p)
    std_errors : array of shape (p,)
        Square roots of the diagonal of `covariance`.
    df : array of shape (p,)
        Degrees of freedom of the t distribution of each coefficient (infinite: normal); NaN
        where `df_for` did not name the column.
    names : tuple of p names
    dropped : tuple of names
        Columns of X that are linear combinations of absorbed factors and earlier columns.
    residuals : array of shape (rows given,)
        In units of y, not multiplied by weights; NaN where the weight is 0.
    n
        Rows of positive weight.
    K
        Parameters: the rank of X together with the absorbed factors, counted as
        `nested_effects` says.
    G
        Clusters; with several clusterings, those of the coarsest.
    covariance_type, df_convention
        How `covariance` and `df` were found.
    notes : tuple of sentences
        What a reader must know.
    nested_effects
        Whether the levels of absorbed factors that nest in clusters are ``"counted"`` in K, or
        all together as one (``"not counted"``).
    cluster_counts : tuple of int
        The clusters of each clustering, if there are several.
    """

    coefficients: Floats
    covariance: Floats
    std_errors: Floats
    df: Floats
    names: tuple[str, ...]
    dropped: tuple[str, ...]
    residuals: Floats
    n: int
    K: int
    G: int
    covariance_type: str
    df_convention: str
    notes: tuple[str, ...]
    nested_effects: NestedEffects = "counted"
    cluster_counts: tuple[int, ...] = ()

    @property
    def p_values(self) -> Floats:
        """Two-sided p values of zero coefficients, shape (p,)."""
        with np.errstate(divide="ignore", invalid="ignore"):
            t = np.abs(self.coefficients / self.std_errors)
        return np.asarray(2.0 * stdtr(self.df, -t), dtype=np.float64)

    def intervals(self, confidence_level: float = 0.95) -> Floats:
        """Return confidence intervals, shape (p, 2): lower and upper bounds."""
        half = stdtrit(self.df, 0.5 + confidence_level / 2.0) * self.std_errors
        return np.column_stack([self.coefficients - half, self.coefficients + half])

    def __repr__(self) -> str:
        """Show the recipe, not the residuals."""
        G = " x ".join(str(count) for count in self.cluster_counts) or str(self.G)
        return (
            f"LeastSquaresFit({len(self.names)} coefficients, {self.covariance_type}, "
            f"df: {self.df_convention}; n = {self.n}, K = {self.K}, G = {G})"
        )


def fit_least_squares(
    y: ArrayLike,
    X: ArrayLike,
    *,
    weights: ArrayLike | None = None,
    absorb: Sequence[ArrayLike] = (),
    clusters: ArrayLike | None = None,
    covariance: CovarianceType = "CR2",
    names: Sequence[str] | None = None,
    df: DfType = "default",
    nested_effects: NestedEffects = "counted",
    df_for: Sequence[str] | None = None,
) -> LeastSquaresFit:
    """Regress y on X by weighted least squares, with cluster-robust standard errors.

    Parameters
    ----------
    y : array of shape (n,)
    X : array of shape (n, k)
        Used as it is: without `absorb`, give an intercept column yourself.
    weights : array of shape (n,), optional
        At least 0; all 1 if not given. Their scale does not matter. They are taken as part of
        the estimator (matching or sampling weights), not as inverse variances. Rows of weight
        0 are left out.
    absorb : sequence of arrays of shape (n,)
        Codes of factors that get one intercept for each level; see `prepare_design`.
    clusters : array of shape (n,), optional
        Codes of the groups within which errors may be dependent; each row its own if not
        given, which makes CR1S the covariance known as HC1, and without weights CR2 that known
        as HC2 and CR3 that known as HC3.
    covariance
        For independent rows ``"classical"`` and ``"HC0"`` to ``"HC4"``. For clusters ``"CR0"``,
        ``"CR1"`` (times G / (G - 1)), ``"CR1S"`` (times G / (G - 1) * (n - 1) / (n - K), as
        Stata's `areg` and `regress`), ``"CR1p"`` (times G / (G - K)), ``"CR2"`` (the
        bias-reduced linearization of Bell and McCaffrey with the absorbed factors and weights
        in full, for independent errors of one variance as working model) and ``"CR3"`` (close
        to the jackknife). See `robust_covariance`.
    df
        Degrees of freedom: ``"satterthwaite"``, ``"G - 1"``, ``"G - K"``, ``"n - K"`` or
        ``"normal"``. ``"default"``: Satterthwaite's for CR2 and CR3, G - 1 for the other CR,
        n - K for HC and classical.
    nested_effects
        Whether levels of absorbed factors that nest in clusters count in K: ``"counted"``
        (Stata's `areg`) or, all together as one parameter, ``"not counted"`` (`reghdfe`).
    names : sequence of k names, optional
        ``x0``, ``x1``, ... if not given.
    df_for : sequence of names, optional
        Columns whose Satterthwaite degrees of freedom are wanted; all if not given.

    Returns
    -------
    LeastSquaresFit

    Raises
    ------
    EstimationError
        If the design cannot be estimated (see `prepare_design`), y is missing in a row of
        positive weight, HC is asked for with clusters, or the covariance or its degrees of
        freedom cannot be had (see `robust_covariance`).

    Notes
    -----
    The result notes columns that were dropped, fewer than 10 clusters, and coefficients to
    which a cluster's residuals say nothing, as where all the treated are in one cluster.

    References
    ----------
    Bell, R. M., & McCaffrey, D. F. (2002). Bias reduction in standard errors for linear
    regression with multi-stage samples. *Survey Methodology*, 28(2), 169-181.
    MacKinnon, J. G., & White, H. (1985). Some heteroskedasticity-consistent covariance matrix
    estimators with improved finite sample properties. *Journal of Econometrics*, 29(3), 305-325.
    Pustejovsky, J. E., & Tipton, E. (2018). Small-sample methods for cluster-robust variance
    estimation and hypothesis testing in fixed effects models. *Journal of Business & Economic
    Statistics*, 36(4), 672-683.

    Examples
    --------
    >>> fit = fit_least_squares([1.0, 2.0, 4.0, 5.0], [[1, 0], [1, 0], [1, 1], [1, 1]])
    >>> fit.coefficients.round(6).tolist()
    [1.5, 3.0]
    """
    prepared = prepare_design(X, weights=weights, absorb=absorb, clusters=clusters, names=names)
    return fit_outcome(
        prepared,
        y,
        covariance=covariance,
        df=df,
        nested_effects=nested_effects,
        df_for=df_for,
    )


def fit_outcome(
    prepared: PreparedDesign,
    y: ArrayLike,
    *,
    covariance: CovarianceType = "CR2",
    df: DfType = "default",
    nested_effects: NestedEffects = "counted",
    df_for: Sequence[str] | None = None,
) -> LeastSquaresFit:
    """Regress one outcome on a prepared design, with robust standard errors.

    Parameters
    ----------
    prepared
        From `prepare_design`, which one call of many outcomes shares.
    y : array of shape (rows given,)
    covariance, df, nested_effects, df_for
        As in `fit_least_squares`.

    Returns
    -------
    LeastSquaresFit

    Raises
    ------
    EstimationError
        If y has another shape or is missing in a row of positive weight, or the covariance
        cannot be had.
    """
    _check_kind(prepared, covariance)
    chosen = df_type(df, covariance)
    K = count_parameters(prepared, nested_effects)
    _check_names(prepared, df_for)
    wanted = [j for j, name in enumerate(prepared.names) if df_for is None or name in df_for]
    with one_thread():
        coefficients, residuals = estimate(prepared, y)
        found = robust_covariance(
            prepared.design,
            residuals,
            prepared.inverse,
            covariance=covariance,
            K=K,
            wanted=wanted if chosen == "satterthwaite" else (),
        )
        freedom = np.full(len(prepared.names), counted_df(chosen, prepared.n, K, prepared.G))
        if chosen == "satterthwaite":
            freedom[wanted] = [satterthwaite_df(prepared.design, a) for a in found.contrasts.T]
        lost = found.lost if covariance in ("CR2", "CR3") and chosen == "satterthwaite" else None
        notes = (*design_notes(prepared), *alone_notes(prepared, wanted, lost))
    return fitted(
        prepared,
        coefficients,
        residuals,
        found.matrix,
        Conventions(covariance, CONVENTIONS[chosen], nested_effects, K, prepared.G),
        df=freedom,
        notes=notes,
    )


@dataclass(frozen=True, slots=True)
class Conventions:
    """How a covariance was found: its name, that of its df, what counts in K, K and G; with
    several clusterings the clusters of each."""

    covariance_type: str
    df_convention: str
    nested_effects: NestedEffects
    K: int
    G: int
    cluster_counts: tuple[int, ...] = ()


def fitted(
    prepared: PreparedDesign,
    coefficients: Floats,
    residuals: Floats,
    matrix: Floats,
    conventions: Conventions,
    *,
    df: Floats,
    notes: tuple[str, ...],
) -> LeastSquaresFit:
    """Return a fit from its parts, the residuals (n,) set into the rows given."""
    everywhere = np.full(prepared.used.shape, np.nan)
    everywhere[prepared.used] = residuals
    return LeastSquaresFit(
        coefficients=coefficients,
        covariance=matrix,
        std_errors=np.sqrt(np.maximum(np.diag(matrix), 0.0)),
        df=df,
        names=prepared.names,
        dropped=prepared.dropped,
        residuals=everywhere,
        n=prepared.n,
        K=conventions.K,
        G=conventions.G,
        covariance_type=conventions.covariance_type,
        df_convention=conventions.df_convention,
        notes=notes,
        nested_effects=conventions.nested_effects,
        cluster_counts=conventions.cluster_counts,
    )


def _check_names(prepared: PreparedDesign, df_for: Sequence[str] | None) -> None:
    """Refuse names of columns that the design does not have."""
    if isinstance(df_for, str):
        raise EstimationError("least squares: df_for is one text; give a list of column names.")
    unknown = set(df_for or ()) - {*prepared.names, *prepared.dropped}
    if unknown:
        raise EstimationError(
            f"least squares: df_for names {', '.join(sorted(unknown))}, which X does not have; its "
            f"columns are {', '.join((*prepared.names, *prepared.dropped))}."
        )


def estimate(prepared: PreparedDesign, y: ArrayLike) -> tuple[Floats, Floats]:
    """Return coefficients (q,) and the residuals of the rows of positive weight (n,).

    Raises
    ------
    EstimationError
        If y has another shape than the design, or is missing in a row of positive weight.
    """
    design = prepared.design
    swept = prepared.sweep(_checked_outcome(y, prepared.used)) * design.root_weights
    effects = design.Q.T @ swept
    swept -= design.Q @ effects
    swept /= design.root_weights
    return prepared.inverse @ effects, swept


def design_notes(prepared: PreparedDesign) -> tuple[str, ...]:
    """Return what a reader must know of the design: dropped columns, few clusters."""
    notes = list(prepared.notes)
    if prepared.dropped:
        notes.append(
            "Left out because they add nothing to the other columns: "
            f"{', '.join(prepared.dropped)}."
        )
    if prepared.clustered and prepared.G < FEW_CLUSTERS:
        notes.append(
            f"Only {prepared.G} clusters: see also the wild cluster bootstrap, whose p values "
            "hold better with so few."
        )
    return tuple(notes)


def alone_notes(
    prepared: PreparedDesign, wanted: Sequence[int], lost: NDArray[np.intp] | None
) -> tuple[str, ...]:
    """Return to which coefficients the residuals of some clusters say nothing.

    Parameters
    ----------
    prepared
    wanted
        Positions of the coefficients.
    lost : array of shape (len(wanted),), or None
        In how many clusters the adjustment (CR2, CR3) is singular where it matters, if known.
    """
    if not prepared.clustered or prepared.design.crossed:
        return ()
    design, combinations = prepared.design, prepared.inverse[list(wanted)]
    alone = clusters_alone(design, combinations) if lost is None else lost
    by_count: dict[int, list[str]] = {}
    for j, count in zip(wanted, alone, strict=True):
        if count:
            by_count.setdefault(int(count), []).append(prepared.names[j])
    done = "" if lost is None else " (the singular directions of its adjustment are set to 0)"
    return tuple(
        f"{', '.join(names)}: in {count} of {prepared.G} clusters a parameter is determined by "
        f"that cluster alone, so the standard error lacks their share{done} and may be far too "
        "small."
        for count, names in by_count.items()
    )


def _check_kind(prepared: PreparedDesign, covariance: str) -> None:
    check_covariance(covariance)
    if not covariance.startswith("CR") and prepared.clustered:
        raise EstimationError(
            f"least squares: {covariance} is for independent rows; with clusters choose CR1S, "
            "CR2 or CR3."
        )


def _checked_outcome(y: ArrayLike, used: NDArray[np.bool_]) -> Floats:
    outcome = np.asarray(y, dtype=np.float64)
    if outcome.shape != used.shape:
        raise EstimationError(
            f"least squares: y has shape {outcome.shape} for {len(used)} rows of X; give one "
            "value for each."
        )
    if not used.all():
        outcome = outcome[used]
    bad = int(len(outcome) - np.isfinite(outcome).sum())
    if bad:
        raise EstimationError(
            f"least squares: y has {bad} missing or infinite values in rows of positive weight; "
            "leave these rows out."
        )
    return outcome
