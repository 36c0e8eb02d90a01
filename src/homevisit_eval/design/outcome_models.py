"""How an effect is estimated: one frozen value for each outcome model, its own options only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from pydantic import ConfigDict

from homevisit_eval.design.checks import Distinct, between, check_fields
from homevisit_eval.errors import DesignError

__all__ = [
    "AbadieImbens",
    "Cluster",
    "CountMargins",
    "Covariance",
    "DifferenceInMeans",
    "DoublyRobust",
    "FixedEffects",
    "LogisticMargins",
    "OneCluster",
    "OutcomeModel",
    "RandomIntercept",
]

Covariance = Literal["CR0", "CR1", "CR1S", "CR1p", "CR2", "CR3"]
SandwichCovariance = Literal["CR0", "CR1", "CR1S"]
OneCluster = Literal["school_id", "matched_set", "student_id"]
Cluster = Literal[
    "school_id", "matched_set", "student_id", "school_id+matched_set", "student_id+matched_set"
]
Folds = Annotated[int, between(2, 20)] | Literal["none"]
Seed = Annotated[int, between(0, 2**53)]

TWO_WAY: tuple[Covariance, ...] = ("CR0", "CR1", "CR1S")
"""What two-way clustering is defined for."""


def _check_two_way(cluster: str, covariance: str) -> None:
    if "+" in cluster and covariance not in TWO_WAY:
        raise DesignError(
            f"covariance must be one of {', '.join(map(repr, TWO_WAY))} where errors are clustered "
            f"in two ways ({cluster!r}); it is {covariance!r}."
        )


@dataclass(frozen=True, slots=True)
class FixedEffects:
    """Weighted least squares of the outcome on `visited` and the baseline covariates.

    Parameters
    ----------
    absorb
        Columns whose *interaction* is absorbed: one intercept for each cell.
    cluster
        The level at which errors may be dependent; two names joined by ``+`` for two-way
        clustering. ``"student_id+matched_set"`` is for matching with replacement: a comparison
        student stands once for each visited student that he was matched to.
    covariance
        ``"CR2"``: Bell-McCaffrey, with Satterthwaite degrees of freedom. ``"CR3"``: the jackknife
        over clusters. The others are the sandwich, times 1 (``"CR0"``), G / (G - 1)
        (``"CR1"``), G / (G - 1) * (N - 1) / (N - K) (``"CR1S"``, the one of Stata) or G / (G - K)
        (``"CR1p"``), with G - 1 degrees of freedom. Two-way clustering has CR0, CR1 and CR1S.

    Raises
    ------
    DesignError
        If an option is not one of those allowed.

    References
    ----------
    Bell, R. M., & McCaffrey, D. F. (2002). Bias reduction in standard errors for linear
    regression with multi-stage samples. *Survey Methodology*, 28(2), 169-181.
    Cameron, A. C., Gelbach, J. B., & Miller, D. L. (2011). Robust inference with multiway
    clustering. *Journal of Business & Economic Statistics*, 29(2), 238-249.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid", strict=True)

    model: Literal["fixed_effects"] = "fixed_effects"
    absorb: Annotated[tuple[str, ...], Distinct] = ("school_year", "grade")
    cluster: Cluster = "school_id"
    covariance: Covariance = "CR2"

    def __post_init__(self) -> None:
        check_fields(self)
        _check_two_way(self.cluster, self.covariance)


@dataclass(frozen=True, slots=True)
class DifferenceInMeans:
    """Difference of weighted means, without covariates.

    Parameters
    ----------
    cluster, covariance
        As for `FixedEffects`.

    Raises
    ------
    DesignError
        If an option is not one of those allowed.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid", strict=True)

    model: Literal["difference_in_means"] = "difference_in_means"
    cluster: Cluster = "school_id"
    covariance: Covariance = "CR2"

    def __post_init__(self) -> None:
        check_fields(self)
        _check_two_way(self.cluster, self.covariance)


@dataclass(frozen=True, slots=True)
class LogisticMargins:
    """Logit or probit of a binary outcome or a fraction; the effect by g-computation.

    The effect is the mean, over those whom the estimand is about, of the predicted outcome with
    less the predicted outcome without a visit, in units of the outcome.

    Parameters
    ----------
    link
        ``"logit"`` or ``"probit"``.
    absorb
        Columns whose interaction enters as categories.
    cluster, covariance
        As for `FixedEffects`; the standard error is that of the delta method, with G - 1 degrees
        of freedom.

    Raises
    ------
    DesignError
        If an option is not one of those allowed.

    References
    ----------
    Papke, L. E., & Wooldridge, J. M. (1996). Econometric methods for fractional response
    variables. *Journal of Applied Econometrics*, 11(6), 619-632.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid", strict=True)

    model: Literal["logistic_margins"] = "logistic_margins"
    link: Literal["logit", "probit"] = "logit"
    absorb: Annotated[tuple[str, ...], Distinct] = ("school_year", "grade")
    cluster: OneCluster = "school_id"
    covariance: SandwichCovariance = "CR1S"

    def __post_init__(self) -> None:
        check_fields(self)


@dataclass(frozen=True, slots=True)
class CountMargins:
    """Poisson or negative binomial regression of a count; the effect by g-computation.

    Parameters
    ----------
    family
        ``"poisson"``, which is right for the mean whatever the distribution, or
        ``"negative_binomial"`` (variance mean + dispersion * mean^2).
    absorb, cluster, covariance
        As for `LogisticMargins`.

    Raises
    ------
    DesignError
        If an option is not one of those allowed.

    References
    ----------
    Gourieroux, C., Monfort, A., & Trognon, A. (1984). Pseudo maximum likelihood methods:
    Applications to Poisson models. *Econometrica*, 52(3), 701-720.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid", strict=True)

    model: Literal["count_margins"] = "count_margins"
    family: Literal["poisson", "negative_binomial"] = "poisson"
    absorb: Annotated[tuple[str, ...], Distinct] = ("school_year", "grade")
    cluster: OneCluster = "school_id"
    covariance: SandwichCovariance = "CR1S"

    def __post_init__(self) -> None:
        check_fields(self)


@dataclass(frozen=True, slots=True)
class DoublyRobust:
    """An outcome model and a propensity model together: right if either of them is.

    It is meant for a sample that is not matched (``matching = "no_matching"``); in a matched
    sample it speaks of the matched.

    Parameters
    ----------
    estimator
        ``"aipw"``: augmented inverse probability weighting. ``"ipwra"``: regression with inverse
        probability weights.
    outcome_model
        ``"linear"``, which always has a fit, ``"logit"`` or ``"poisson"``; ``"by_scale"`` takes
        logit for fractions and binary outcomes, Poisson for counts and linear for the rest.
    absorb
        Columns whose interaction enters both models as categories.
    folds
        Of cross-fitting, schools kept in one piece; ``"none"`` fits both models to all.
    seed
        Of the folds.
    cluster
        As for `FixedEffects`; influence functions are summed by it, with G - 1 degrees of
        freedom.

    Raises
    ------
    DesignError
        If an option is not one of those allowed, or IPWRA is to be cross-fitted.

    References
    ----------
    Robins, J. M., Rotnitzky, A., & Zhao, L. P. (1994). Estimation of regression coefficients when
    some regressors are not always observed. *Journal of the American Statistical Association*,
    89(427), 846-866.
    Chernozhukov, V., Chetverikov, D., Demirer, M., Duflo, E., Hansen, C., Newey, W., & Robins, J.
    (2018). Double/debiased machine learning for treatment and structural parameters. *The
    Econometrics Journal*, 21(1), C1-C68.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid", strict=True)

    model: Literal["doubly_robust"] = "doubly_robust"
    estimator: Literal["aipw", "ipwra"] = "aipw"
    outcome_model: Literal["linear", "by_scale", "logit", "poisson"] = "linear"
    absorb: Annotated[tuple[str, ...], Distinct] = ("school_year", "grade")
    folds: Folds = "none"
    seed: Seed = 1
    cluster: Literal["school_id", "student_id"] = "school_id"

    def __post_init__(self) -> None:
        check_fields(self)
        if self.estimator == "ipwra" and self.folds != "none":
            raise DesignError(
                "folds must be 'none' for estimator 'ipwra', which is one weighted regression; "
                "cross-fitting is for 'aipw'."
            )


@dataclass(frozen=True, slots=True)
class RandomIntercept:
    """A linear mixed model: `visited`, the covariates, and a random intercept for each school.

    Parameters
    ----------
    absorb
        Columns whose interaction enters as categories.
    estimation
        ``"REML"`` or ``"ML"``.
    covariance
        ``"model"``: that of the fitted model, with Satterthwaite degrees of freedom. ``"CR2"``:
        robust to what the model gets wrong within schools.

    Raises
    ------
    DesignError
        If an option is not one of those allowed.

    References
    ----------
    Laird, N. M., & Ware, J. H. (1982). Random-effects models for longitudinal data. *Biometrics*,
    38(4), 963-974.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid", strict=True)

    model: Literal["random_intercept"] = "random_intercept"
    absorb: Annotated[tuple[str, ...], Distinct] = ("school_year", "grade")
    estimation: Literal["REML", "ML"] = "REML"
    cluster: Literal["school_id"] = "school_id"
    covariance: Literal["model", "CR2"] = "model"

    def __post_init__(self) -> None:
        check_fields(self)


@dataclass(frozen=True, slots=True)
class AbadieImbens:
    """The mean difference within matches, with the standard error of matching itself.

    For nearest-neighbor matching with replacement, where the bootstrap and sandwich errors that
    take the matches as given are wrong.

    Parameters
    ----------
    bias_adjustment
        ``"covariates"``: differences of covariates within a match are taken out by a regression
        among the comparison students. ``"none"``: the plain difference.
    neighbors
        How many students of the same group the variance of an outcome is judged from.
    cluster
        ``"none"``: student-years count as independent.

    Raises
    ------
    DesignError
        If an option is not one of those allowed.

    References
    ----------
    Abadie, A., & Imbens, G. W. (2006). Large sample properties of matching estimators for average
    treatment effects. *Econometrica*, 74(1), 235-267.
    Abadie, A., & Imbens, G. W. (2011). Bias-corrected matching estimators for average treatment
    effects. *Journal of Business & Economic Statistics*, 29(1), 1-11.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid", strict=True)

    model: Literal["abadie_imbens"] = "abadie_imbens"
    bias_adjustment: Literal["covariates", "none"] = "covariates"
    neighbors: Annotated[int, between(1, 20)] = 1
    cluster: Literal["none"] = "none"

    def __post_init__(self) -> None:
        check_fields(self)


OutcomeModel = (
    FixedEffects
    | DifferenceInMeans
    | LogisticMargins
    | CountMargins
    | DoublyRobust
    | RandomIntercept
    | AbadieImbens
)
