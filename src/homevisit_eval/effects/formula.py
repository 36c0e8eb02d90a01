"""A formula and a data frame -> least squares with factors and interactions in one line."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from homevisit_eval.disclosure import shown_count
from homevisit_eval.effects.regression.degrees_of_freedom import DfType, NestedEffects
from homevisit_eval.effects.regression.least_squares import (
    CovarianceType,
    LeastSquaresFit,
    fit_least_squares,
)
from homevisit_eval.errors import EstimationError

__all__ = ["fit_formula"]

INTERCEPT = "Intercept"


def fit_formula(
    frame: pd.DataFrame,
    formula: str,
    *,
    weights: str = "",
    clusters: str = "",
    covariance: CovarianceType = "CR2",
    df: DfType = "default",
    nested_effects: NestedEffects = "counted",
    df_for: Sequence[str] | None = None,
) -> LeastSquaresFit:
    """Regress one column of a data frame on others, as a formula says, by least squares.

    Parameters
    ----------
    frame
        One row a unit. Rows must not lack a value that the formula, weights or clusters need.
    formula
        For example ``"attendance ~ visited * C(grade) + prior | school^year + district"``. Left of
        ``|`` it is read by formulaic: text and ``C(...)`` are factors with treatment coding,
        ``a:b`` and ``a*b`` interactions. Right of ``|`` stand factors that are absorbed, joined
        by ``+``; ``a^b`` is one factor of all combinations.
    weights, clusters
        Columns; all rows weigh the same, and are independent, if empty.
    covariance, df, nested_effects, df_for
        As in `fit_least_squares`; names are those of formulaic, such as ``"C(grade)[T.2]"``.

    Returns
    -------
    LeastSquaresFit
        Without the intercept where factors are absorbed.

    Raises
    ------
    EstimationError
        If the formula cannot be read, names a column that the frame lacks or that has missing
        values, or the regression cannot be made (see `fit_least_squares`).

    References
    ----------
    Wilkinson, G. N., & Rogers, C. E. (1973). Symbolic description of factorial models for analysis
    of variance. *Journal of the Royal Statistical Society C*, 22(3), 392-399.

    Examples
    --------
    >>> import pandas as pd
    >>> frame = pd.DataFrame({"y": [1.0, 2.0, 4.0, 5.0], "visited": [0, 0, 1, 1]})
    >>> fit_formula(frame, "y ~ visited").coefficients.round(6).tolist()
    [1.5, 3.0]
    """
    if not isinstance(frame, pd.DataFrame) or not all(
        isinstance(one, str) for one in (weights, clusters)
    ):
        raise EstimationError(
            "formula: frame must be a pandas DataFrame, weights and clusters names of its columns."
        )
    terms, absorbed = _parts(formula)
    factors = [[name.strip() for name in factor.split("^")] for factor in absorbed]
    named = [name for factor in factors for name in factor]
    named += [name for name in (weights, clusters) if name]
    y, X, names = _columns(frame, formula, terms, named, weights)
    if factors and INTERCEPT in names:
        at = names.index(INTERCEPT)
        X, names = np.delete(X, at, axis=1), [*names[:at], *names[at + 1 :]]
    try:
        return fit_least_squares(
            y,
            X,
            weights=frame[weights].to_numpy(dtype=np.float64) if weights else None,
            absorb=[_codes(frame, factor) for factor in factors],
            clusters=_codes(frame, [clusters]) if clusters else None,
            covariance=covariance,
            df=df,
            nested_effects=nested_effects,
            names=names,
            df_for=df_for,
        )
    except EstimationError as error:
        said = str(error).removeprefix("least squares: ")
        raise EstimationError(f"formula {formula!r}: {said}") from None


def _parts(formula: str) -> tuple[str, list[str]]:
    """Return what formulaic reads, and the absorbed factors."""
    pieces = formula.split("|")
    if len(pieces) > 2 or formula.count("~") != 1 or not formula.partition("~")[0].strip():
        raise EstimationError(
            f"formula {formula!r}: write 'outcome ~ columns', or 'outcome ~ columns | absorbed "
            "factors'."
        )
    absorbed = [part.strip() for part in pieces[1].split("+")] if len(pieces) == 2 else []
    if not all(absorbed):
        raise EstimationError(
            f"formula {formula!r}: a factor after | is empty; write 'a + b', or 'a^b' for all "
            "combinations."
        )
    return pieces[0], absorbed


def _check_numbers(frame: pd.DataFrame, formula: str, name: str, what: str) -> None:
    if not pd.api.types.is_numeric_dtype(frame[name]):
        raise EstimationError(
            f"formula {formula!r}: {what} {name!r} holds no numbers; give a column of numbers."
        )


def _columns(
    frame: pd.DataFrame, formula: str, terms: str, others: Sequence[str], weights: str
) -> tuple[NDArray[np.float64], NDArray[np.float64], list[str]]:
    """Return outcome, columns and their names."""
    from formulaic import Formula
    from formulaic.errors import FormulaicError

    try:
        read = Formula(terms)
        needed = sorted({str(name) for name in read.required_variables})
    except (FormulaicError, SyntaxError):
        raise EstimationError(
            f"formula {formula!r}: it cannot be read. Write columns joined by +, : or *."
        ) from None
    _check_columns(frame, formula, [*needed, *others])
    if weights:
        _check_numbers(frame, formula, weights, "weights")
    left = terms.partition("~")[0].strip()
    if left in frame.columns:
        _check_numbers(frame, formula, left, "outcome")
        if left in {str(term).strip() for term in read.rhs}:
            raise EstimationError(
                f"formula {formula!r}: the outcome stands on the right as well. Leave it out there."
            )
    try:
        matrices = read.get_model_matrix(frame, na_action="raise")
        outcome, X = matrices.lhs, matrices.rhs
    except (FormulaicError, ValueError, TypeError, SyntaxError, AttributeError):
        raise EstimationError(
            f"formula {formula!r}: a term cannot be computed from its columns. Use columns of the "
            "frame, C(...) for factors, and functions such as log of numbers above 0."
        ) from None
    if outcome.shape[1] != 1:
        raise EstimationError(
            f"formula {formula!r}: the outcome makes {outcome.shape[1]} columns; it must be one "
            "column of numbers."
        )
    values = np.asarray(outcome, dtype=np.float64)[:, 0]
    return values, np.asarray(X, dtype=np.float64), [str(name) for name in X.columns]


def _check_columns(frame: pd.DataFrame, formula: str, names: Sequence[str]) -> None:
    if not frame.columns.is_unique:
        raise EstimationError(
            f"formula {formula!r}: column names of the data frame repeat; each must be unique."
        )
    unknown = [name for name in dict.fromkeys(names) if name not in frame.columns]
    if unknown:
        raise EstimationError(
            f"formula {formula!r}: {', '.join(unknown)} is no column of the data frame; it has "
            f"{', '.join(map(str, frame.columns))}."
        )
    missing = {name: int(frame[name].isna().sum()) for name in dict.fromkeys(names)}
    if any(missing.values()):
        lack = [f"{name} ({shown_count(count)})" for name, count in missing.items() if count]
        raise EstimationError(
            f"formula {formula!r}: values are missing in {', '.join(lack)} of {len(frame):,} rows. "
            "Leave these rows out, or impute them."
        )


def _codes(frame: pd.DataFrame, columns: Sequence[str]) -> NDArray[np.int64]:
    """Number the combinations of some columns."""
    codes = frame.groupby(list(columns), observed=True, sort=False).ngroup()
    return np.asarray(codes, dtype=np.int64)
