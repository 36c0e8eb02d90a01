"""What becomes of students whose baseline is incomplete: one frozen value for each rule."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from pydantic import ConfigDict

from homevisit_eval.design.checks import between, check_fields

__all__ = ["CompleteCases", "MissingCovariates", "MissingIndicator", "MultipleImputation"]


@dataclass(frozen=True, slots=True)
class CompleteCases:
    """Student-years that lack a covariate of their grade leave the sample, and are counted.

    The estimate is about students with a complete baseline. Among students with the same
    covariates, what is missing must not depend on the outcome; then the estimate is as good for
    them as if nothing were missing (White and Carlin 2010). Where effects differ, it may be
    another one than that on all visited.

    Raises
    ------
    DesignError
        If an option is not one of those allowed.

    References
    ----------
    White, I. R., & Carlin, J. B. (2010). Bias and efficiency of multiple imputation compared
    with complete-case analysis for missing covariate values. *Statistics in Medicine*, 29(28),
    2920-2931.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid", strict=True)

    rule: Literal["complete_cases"] = "complete_cases"

    def __post_init__(self) -> None:
        check_fields(self)


@dataclass(frozen=True, slots=True)
class MissingIndicator:
    """A constant stands in for a missing value, and a 0/1 covariate says where it does.

    A number is set to its mean over the candidates that have it; a missing category becomes a
    level of its own, "missing". The 0/1 covariate enters the propensity and the outcome model.

    The What Works Clearinghouse does not accept this in a quasi-experiment: the missing value
    itself is not adjusted for, only the fact that it is missing.

    Raises
    ------
    DesignError
        If an option is not one of those allowed.

    References
    ----------
    Jones, M. P. (1996). Indicator and stratification methods for missing explanatory variables
    in multiple linear regression. *Journal of the American Statistical Association*, 91(433),
    222-230.
    Rosenbaum, P. R., & Rubin, D. B. (1984). Reducing bias in observational studies using
    subclassification on the propensity score. *Journal of the American Statistical
    Association*, 79(387), 516-524, appendix B.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid", strict=True)

    rule: Literal["indicator"] = "indicator"

    def __post_init__(self) -> None:
        check_fields(self)


@dataclass(frozen=True, slots=True)
class MultipleImputation:
    """Missing values are drawn several times; each completed sample is matched, results pooled.

    Parameters
    ----------
    imputations
        How many completed samples, 2 to 200. As many as the percent of information that is
        missing is a usual rule (White, Royston and Wood 2011); the result's notes say it.
    seed
        Of the draws.
    iterations
        Rounds of the chained equations for each completed sample, 1 to 100.

    Raises
    ------
    DesignError
        If an option is not one of those allowed.

    References
    ----------
    Rubin, D. B. (1987). *Multiple Imputation for Nonresponse in Surveys*. Wiley.
    White, I. R., Royston, P., & Wood, A. M. (2011). Multiple imputation using chained
    equations: issues and guidance for practice. *Statistics in Medicine*, 30(4), 377-399.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid", strict=True)

    rule: Literal["multiple_imputation"] = "multiple_imputation"
    imputations: Annotated[int, between(2, 200)] = 10
    seed: Annotated[int, between(0, 2**53)] = 1
    iterations: Annotated[int, between(1, 100)] = 10

    def __post_init__(self) -> None:
        check_fields(self)


MissingCovariates = CompleteCases | MissingIndicator | MultipleImputation
