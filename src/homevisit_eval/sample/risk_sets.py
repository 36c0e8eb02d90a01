"""Risk sets: who was treated at a time, and who could have been but was not yet."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from homevisit_eval.errors import MatchingError

__all__ = ["expand_risk_sets"]

ADDED = ("index_time", "treated")


def expand_risk_sets(
    frame: pd.DataFrame,
    *,
    unit_id: str,
    entered: str,
    left: str,
    treated_at: str,
    within: Sequence[str] = (),
) -> pd.DataFrame:
    """Return one row for each unit and each time at which it is at risk of treatment.

    A time is one at which somebody is treated. At risk then are those who entered no later,
    left no earlier, and were not treated before; treated is who is treated at that very time.
    Matched exactly on the time, a unit treated later serves as a comparison until then, so that
    nobody's group depends on what happens after the time (no immortal-time bias).

    Parameters
    ----------
    frame
        One row a unit. It is not changed.
    unit_id
        The column that identifies a unit.
    entered, left
        Columns with the first and last time at which a unit could be treated, inclusive;
        numbers or dates of one type.
    treated_at
        The column with the time of (first) treatment; missing for units never treated.
    within
        Columns of which rows are kept only where somebody of the same values is treated at
        that time: name here what will be matched exactly.

    Returns
    -------
    DataFrame
        The columns of `frame` with ``index_time`` and ``treated`` (0 or 1), ordered by time and
        by the order of units; row labels from 0. For
        ``match_frame(rows, treated="treated", covariates=..., unit_id=unit_id,
        method=NearestNeighbor(exact=("index_time", *within), ...))``.

    Raises
    ------
    MatchingError
        If a column is unknown or has the name of one that is added, a unit stands there twice,
        times are missing, somebody is treated outside the time at risk, or nobody is treated.

    References
    ----------
    Li, Y. P., Propert, K. J., & Rosenbaum, P. R. (2001). Balanced risk set matching. *Journal
    of the American Statistical Association*, 96(455), 870-882.
    Lu, B. (2005). Propensity score matching with time-dependent covariates. *Biometrics*,
    61(3), 721-728.
    """
    if isinstance(within, str):
        raise MatchingError("within must be a list of column names, not one text.")
    _check(frame, [unit_id, entered, left, treated_at, *within])
    start, end, event = (frame[name] for name in (entered, left, treated_at))
    _check_times(frame, unit_id, start, end, event)
    times = pd.Index(event.dropna().unique()).sort_values()
    cells = (
        frame.groupby(list(within), sort=False, observed=True, dropna=False).ngroup().to_numpy()
        if within
        else np.zeros(len(frame), dtype=np.int64)
    )
    never = event.isna().to_numpy()
    blocks: list[NDArray[np.int64]] = []
    for time in times:
        at_risk = _true(start <= time) & _true(end >= time) & (never | _true(event >= time))
        now = at_risk & _true(event == time)
        blocks.append(np.flatnonzero(at_risk & np.isin(cells, cells[now])))
    rows = np.concatenate(blocks)
    index_time = times.repeat([len(block) for block in blocks])
    expanded = frame.iloc[rows].reset_index(drop=True)
    treated = _true(expanded[treated_at] == pd.Series(index_time)).astype(np.int64)
    return expanded.assign(index_time=index_time, treated=treated)


def _true(flags: pd.Series) -> NDArray[np.bool_]:
    """Return a comparison as plain flags; one with a missing time is false."""
    return flags.fillna(False).to_numpy(dtype=bool)


def _check(frame: pd.DataFrame, columns: Sequence[str]) -> None:
    unknown = [name for name in columns if name not in frame.columns]
    if unknown:
        raise MatchingError(
            f"The data frame has no column {', '.join(map(repr, unknown))}. Its columns are "
            f"{', '.join(map(str, frame.columns))}."
        )
    taken = [name for name in ADDED if name in frame.columns]
    if taken:
        raise MatchingError(
            f"The data frame already has a column {', '.join(map(repr, taken))}, which is added "
            "here. Rename it."
        )


def _check_times(
    frame: pd.DataFrame, unit_id: str, start: pd.Series, end: pd.Series, event: pd.Series
) -> None:
    twice = int(frame[unit_id].duplicated().sum())
    if twice:
        raise MatchingError(
            f"{unit_id}: {twice:,} rows repeat a unit; give one row a unit, with its first "
            "treatment."
        )
    missing = int((start.isna() | end.isna()).sum())
    if missing:
        raise MatchingError(
            f"{start.name}, {end.name}: {missing:,} rows lack a time; fill or leave them out."
        )
    outside = int(((event < start) | (event > end)).sum())
    if outside:
        raise MatchingError(
            f"{event.name}: {outside:,} units are treated before they enter or after they leave. "
            "Correct the times, or leave these units out."
        )
    if event.isna().all():
        raise MatchingError(f"{event.name}: nobody is treated, so there is no risk set.")
