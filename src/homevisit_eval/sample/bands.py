"""Which covariates are measured in which grades and years, and who has all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd

from homevisit_eval.design import Covariate

__all__ = [
    "SMALLEST_SHARE_MEASURED",
    "GradeYear",
    "band_label",
    "first_missing",
    "measured_in",
]

GradeYear: TypeAlias = tuple[int, int]

SMALLEST_SHARE_MEASURED = 0.5
"""A grade-year has a pretest if at least this share of its eligible students has a score.

Our rule. A test that a grade does not take still has a few scores there, of students who repeat
a grade or are tested out of grade; they must not make the rest of the grade incomplete.
"""

PRETESTS = ("math_score_std_prior", "reading_score_std_prior")


def measured_in(
    counts: pd.DataFrame, covariates: Sequence[Covariate]
) -> dict[GradeYear, tuple[str, ...]]:
    """Return for each grade-year the covariates that are measured there.

    Parameters
    ----------
    counts : DataFrame, one row a grade-year
        ``school_year``, ``grade``, ``students`` (eligible ones) and, for each covariate that
        is `where_measured`, in how many of them it is not missing.
    covariates
        Of the design, in its order.

    Returns
    -------
    dict from (school_year, grade) to names
        Covariates that are not `where_measured` stand in every grade-year.

    Notes
    -----
    See `SMALLEST_SHARE_MEASURED`.
    """
    measured = {}
    for row in counts.to_dict("records"):
        needed = SMALLEST_SHARE_MEASURED * int(row["students"])
        measured[int(row["school_year"]), int(row["grade"])] = tuple(
            covariate.name
            for covariate in covariates
            if not covariate.where_measured or 0 < needed <= int(row[covariate.name])
        )
    return measured


def band_label(measured: Sequence[str], covariates: Sequence[Covariate]) -> str:
    """Name the grade-years in which the same covariates are measured.

    Parameters
    ----------
    measured
        Names of covariates, as `measured_in` returns them.
    covariates
        Of the design, in its order.

    Returns
    -------
    str
        "all grades" where the design has no covariate that is measured in some only; else
        "with pretest", "without pretest", or the labels of what is measured.
    """
    sometimes = [covariate for covariate in covariates if covariate.where_measured]
    here = [covariate for covariate in sometimes if covariate.name in measured]
    if not sometimes:
        return "all grades"
    if here and len(here) < len(sometimes):
        return f"with {' and '.join(covariate.label for covariate in here)} only"
    if all(covariate.name in PRETESTS for covariate in sometimes):
        return "with pretest" if here else "without pretest"
    words = [covariate.label for covariate in sometimes]
    return f"with {' and '.join(words)}" if here else f"without {' or '.join(words)}"


def first_missing(
    rows: pd.DataFrame, required: Mapping[str, tuple[str, ...]], order: Sequence[str]
) -> npt.NDArray[np.object_]:
    """Return for each row the first covariate that it needs and lacks; empty if none.

    Parameters
    ----------
    rows : DataFrame
        ``grade_band`` and the covariates.
    required
        For each grade band, the covariates that must not be missing.
    order
        All covariates, in the design's order.

    Returns
    -------
    ndarray, shape (n,)
        Names of covariates, or "".
    """
    missing = np.full(len(rows), "", dtype=object)
    for name in reversed(order):
        bands = [band for band, names in required.items() if name in names]
        lacks = rows["grade_band"].isin(bands) & rows[name].isna()
        missing[lacks.to_numpy(dtype=bool)] = name
    return missing
