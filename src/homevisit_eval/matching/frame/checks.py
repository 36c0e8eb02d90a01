"""Whether a data frame can be matched: every fault with its columns and counts, no values."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import Any, get_args

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from homevisit_eval.design import MatchingMethod
from homevisit_eval.errors import MatchingError

__all__ = [
    "check_columns",
    "check_index",
    "check_method",
    "check_names",
    "check_numbers",
    "check_usable",
    "check_varies",
    "is_category",
    "is_factor",
    "read_name",
    "read_names",
    "read_sampling_weights",
    "read_scores",
    "read_treatment",
]

CORRECT = "Correct these values or leave out the rows beforehand."


def is_factor(column: pd.Series) -> bool:
    """Say whether a column holds categories (text or a pandas categorical), not numbers."""
    return is_category(column.dtype)


def is_category(dtype: Any) -> bool:
    """Say whether columns of a type hold categories, not numbers."""
    return not pd.api.types.is_numeric_dtype(dtype)


def check_method(method: object) -> None:
    """Raise `MatchingError` unless the method is one of the method values of the design."""
    if not isinstance(method, get_args(MatchingMethod)):
        raise MatchingError(
            "method must be a value such as NearestNeighbor(caliper=0.2) or NoMatching(); "
            f"it is a {type(method).__name__}."
        )


def read_names(names: object, role: str) -> tuple[str, ...]:
    """Return column names as a tuple.

    Raises
    ------
    MatchingError
        If they are one text, nothing, or not a list of names.
    """
    if isinstance(names, str) or not isinstance(names, Iterable):
        raise MatchingError(
            f'{role} must be a list of column names, such as ["age"]; it is '
            f"{'one text' if isinstance(names, str) else f'a {type(names).__name__}'}."
        )
    return tuple(names)


def read_name(name: object, role: str) -> str:
    """Return a column name; raise `MatchingError` if it is not one text."""
    if not isinstance(name, str):
        raise MatchingError(f"{role} must be the name of a column; it is a {type(name).__name__}.")
    return name


def check_names(covariates: Sequence[str], role: str, treated: str) -> None:
    """Raise `MatchingError` if the treatment is among the covariates."""
    if treated in covariates:
        raise MatchingError(
            f"{role}: {treated!r} says who is treated, so it cannot be a covariate. Leave it out."
        )


def check_index(frame: pd.DataFrame) -> None:
    """Raise `MatchingError` unless row labels are unique: matches are given by label."""
    if not len(frame):
        raise MatchingError("The data frame has no rows, so there is nobody to match.")
    twice = frame.index.duplicated()
    if twice.any():
        raise MatchingError(
            f"Row labels must be unique, because matches are given by label; {int(twice.sum()):,} "
            f"rows repeat a label, {_places(twice)}. Use frame.reset_index(drop=True)."
        )


def check_columns(frame: pd.DataFrame, columns: Sequence[str], role: str) -> None:
    """Raise `MatchingError` if a column is not in the frame, or is there twice."""
    unknown = [name for name in dict.fromkeys(columns) if name not in frame.columns]
    if unknown:
        known = [str(name) for name in frame.columns]
        near = {name: get_close_matches(str(name), known, 1) for name in unknown}
        hints = [f"{name!r}" + (f" (did you mean {near[name][0]!r}?)" if near[name] else "")
                 for name in unknown]  # fmt: skip
        raise MatchingError(
            f"{role}: the data frame has no column {', '.join(hints)}. "
            f"Its columns are {', '.join(known)}."
        )
    doubled = [name for name in dict.fromkeys(columns) if (frame.columns == name).sum() > 1]
    if doubled:
        raise MatchingError(
            f"{role}: the data frame has more than one column {', '.join(map(repr, doubled))}. "
            "Rename or drop the others."
        )
    repeated = sorted({name for name in columns if list(columns).count(name) > 1})
    if repeated:
        raise MatchingError(f"{role}: {', '.join(repeated)} stands there twice; name it once.")


def check_usable(
    frame: pd.DataFrame,
    columns: Sequence[str],
    role: str,
    where: str = "",
    *,
    dates: bool = False,
) -> None:
    """Raise `MatchingError` for missing, infinite or mixed values in any column.

    Dates and times are refused as well, unless `dates` says that they may be there.

    `where` names a band of a sample; its advice is that for samples, not for data frames.
    """
    faults = []
    incomplete = False
    for name in columns:
        column = frame[name]
        missing = column.isna().to_numpy()
        if missing.any():
            incomplete = True
            faults.append(f"{name}: {_rows(missing)} without a value, {_places(missing)}")
        if is_factor(column):
            faults += _not_categories(name, column, dates=dates)
        elif column.dtype.kind == "c":
            faults.append(f"{name}: holds complex numbers; give real ones")
        else:
            values = column.to_numpy(dtype=np.float64, na_value=np.nan)
            infinite = np.isinf(values)
            if infinite.any():
                faults.append(f"{name}: {_rows(infinite)} infinite, {_places(infinite)}")
    if faults:
        ways_out = incomplete and role == "covariates"
        raise MatchingError(
            f"{where}{role} must be complete and finite. {'; '.join(faults)}. "
            + (_ways_out(frame, columns, sample=bool(where)) if ways_out else CORRECT)
        )


def _ways_out(frame: pd.DataFrame, columns: Sequence[str], *, sample: bool) -> str:
    """Return the three things that can be done about missing covariates."""
    if sample:
        return (
            "Choose a rule in the design's [missing_covariates]: complete_cases leaves these rows "
            "out, indicator fills them with a constant (not accepted by the What Works "
            "Clearinghouse in a quasi-experiment), multiple_imputation draws the values; "
            "impute_baseline(sample) does so for this sample, to be matched one by one."
        )
    count = int(frame[list(columns)].isna().any(axis=1).sum())
    return (
        f"{count:,} of {len(frame):,} rows lack something. Either leave them out and say so; or "
        "fill in a constant and add a 0/1 column of where (not accepted by the What Works "
        "Clearinghouse in a quasi-experiment); or impute the values several times, match each "
        "completed frame, and pool the effects with pool_frame_effects."
    )


def _not_categories(name: str, column: pd.Series, *, dates: bool) -> list[str]:
    """Return what is wrong with a column that is not numeric, if it is not text or categories."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        return []
    kind = pd.api.types.infer_dtype(column, skipna=True)
    if kind in ("string", "empty"):
        return []
    if kind.startswith(("date", "time", "period", "interval")):
        return [] if dates else [f"{name}: holds dates or times; give a number instead"]
    if kind in ("integer", "floating", "decimal", "mixed-integer-float", "boolean", "complex"):
        return [f"{name}: holds numbers stored as objects; convert it with pandas.to_numeric"]
    return [f"{name}: holds values of several types; make all of them text or numbers"]


def check_varies(frame: pd.DataFrame, columns: Sequence[str], role: str = "covariates") -> None:
    """Raise `MatchingError` naming the columns that have one value only."""
    constant = [name for name in columns if _is_constant(frame[name])]
    if constant:
        raise MatchingError(
            f"{role}: {', '.join(constant)} has the same value in all {len(frame):,} rows and "
            "cannot tell units apart. Leave it out."
        )


def read_treatment(frame: pd.DataFrame, treated: str) -> NDArray[np.int64]:
    """Return the treatment column as 0/1, shape (n,).

    Raises
    ------
    MatchingError
        If it holds anything else, or only one group.
    """
    column = frame[treated]
    if is_factor(column):
        raise MatchingError(
            f"treated: column {treated!r} must hold 0 and 1 (or false and true); it holds "
            f"{column.dtype} values. Recode it."
        )
    values = column.to_numpy(dtype=np.float64, na_value=np.nan)
    other = ~np.isin(values, (0.0, 1.0))
    if other.any():
        raise MatchingError(
            f"treated: column {treated!r} must hold 0 and 1 only; {_rows(other)} otherwise, "
            f"{_places(other)}. Recode or leave out these rows."
        )
    group = values.astype(np.int64)
    for number, name in ((1, "treated"), (0, "comparison")):
        if not (group == number).any():
            raise MatchingError(
                f"treated: column {treated!r} is {1 - number} in all {len(group):,} rows, so "
                f"there is no {name} unit. Check how the rows were selected."
            )
    return group


def read_scores(frame: pd.DataFrame, propensity_score: ArrayLike) -> NDArray[np.float64]:
    """Return propensity scores that were given as data, one a row of the frame.

    Raises
    ------
    MatchingError
        If they do not fit the frame, or are not between 0 and 1 (exclusive).
    """
    if isinstance(propensity_score, pd.Series) and not propensity_score.index.equals(frame.index):
        raise MatchingError(
            "propensity_score: its row labels differ from those of the data frame. Give the "
            "scores in the frame's order, with its labels: scores.reindex(frame.index)."
        )
    try:
        scores = np.asarray(propensity_score, dtype=np.float64)
    except (TypeError, ValueError):
        raise MatchingError("propensity_score must hold numbers between 0 and 1.") from None
    if scores.shape != (len(frame),):
        raise MatchingError(
            f"propensity_score must hold one number a row, shape ({len(frame)},); its shape is "
            f"{scores.shape}."
        )
    outside = ~((scores > 0) & (scores < 1))
    if outside.any():
        raise MatchingError(
            f"propensity_score must lie between 0 and 1, exclusive; {_rows(outside)} outside or "
            f"missing, {_places(outside)}. Leave out these rows, or bound the scores (for "
            "example numpy.clip(scores, 1e-6, 1 - 1e-6)) and say so."
        )
    return scores


def _is_constant(column: pd.Series) -> bool:
    if is_factor(column):
        return bool(column.nunique() < 2)
    return bool(column.min() == column.max())


def _rows(flags: NDArray[np.bool_]) -> str:
    count = int(flags.sum())
    return f"{count:,} row is" if count == 1 else f"{count:,} rows are"


def _places(flags: NDArray[np.bool_]) -> str:
    first = [f"{place + 1:,}" for place in np.flatnonzero(flags)[:3]]
    return f"first at row {', '.join(first)} (counted from 1)"


def check_numbers(frame: pd.DataFrame, columns: Sequence[str], role: str) -> None:
    """Raise `MatchingError` if a column that must hold numbers holds something else."""
    others = [name for name in columns if is_factor(frame[name])]
    if others:
        raise MatchingError(
            f"{role}: {', '.join(others)} holds categories; only numbers have a distance. Use "
            "exact columns for categories."
        )


def read_sampling_weights(
    frame: pd.DataFrame, column: str, treated: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return sampling weights, shape (n,).

    Raises
    ------
    MatchingError
        If the column is unknown, not numeric, incomplete, infinite or negative, or a group has
        no weight above 0.
    """
    check_columns(frame, [column], "sampling_weights")
    check_numbers(frame, [column], "sampling_weights")
    check_usable(frame, [column], "sampling_weights")
    weights = frame[column].to_numpy(dtype=np.float64)
    negative = weights < 0
    if negative.any():
        raise MatchingError(
            f"sampling_weights: column {column!r} must be 0 or more; {_rows(negative)} negative, "
            f"{_places(negative)}. Correct or leave out these rows."
        )
    for group, name in ((1, "treated"), (0, "comparison")):
        if not weights[treated == group].any():
            raise MatchingError(
                f"sampling_weights: all {name} units have weight 0 in {column!r}, so there is "
                "nobody to compare. Check the column."
            )
    return weights
