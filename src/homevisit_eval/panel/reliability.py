"""How reliably the items of a survey scale measure one thing: Cronbach's alpha."""

from __future__ import annotations

from typing import TYPE_CHECKING

import narwhals as nw
import pandas as pd

from homevisit_eval.errors import SourceError
from homevisit_eval.panel.engagement import CELL, MILLIONTHS, RESPONDENT, answered_scales
from homevisit_eval.panel.engine import Frame, fetch_frame

if TYPE_CHECKING:
    from homevisit_eval.panel.student_years import Panel

__all__ = ["RELIABILITY_COLUMNS", "scale_reliability"]

RELIABILITY_COLUMNS = (
    "scale",
    "school_year",
    "items",
    "respondents",
    "named",
    "complete",
    "mean",
    "standard_deviation",
    "cronbach_alpha",
)


def scale_reliability(panel: Panel) -> pd.DataFrame:
    r"""Return the reliability of each scale of the family survey in each school year.

    Parameters
    ----------
    panel
        From `build_panel`, its sources open.

    Returns
    -------
    DataFrame
        One row a scale and school year: ``items`` asked; ``respondents`` with a score (at least
        half of the items answered) and how many of these ``named`` a student; respondents
        ``complete`` on all items; ``mean`` and ``standard_deviation`` of the scores of all
        respondents, in response points (1 to 5); ``cronbach_alpha`` of the complete ones, NaN
        with fewer than two items or respondents, or equal totals. Counts are not made safe:
        publish them through `report.tables.family_engagement`.

    Raises
    ------
    SourceError
        If no survey was delivered.

    Notes
    -----
    With k items, the variance :math:`s_j^2` of each and that of their sum :math:`s_T^2` (divisor
    n - 1) over the respondents who answered all of them,

    .. math:: \alpha = \frac{k}{k - 1} \left(1 - \frac{\sum_j s_j^2}{s_T^2}\right).

    It is negative where the items contradict each other on average: look for one whose answers
    run the other way.

    References
    ----------
    Cronbach, L. J. (1951). Coefficient alpha and the internal structure of tests. *Psychometrika*,
    16(3), 297-334.
    """
    if panel.surveys is None:
        raise SourceError("surveys was not delivered: there is no scale to be reliable.")
    answered = answered_scales(panel.surveys)
    whole = _complete(panel.surveys, answered)
    scores = fetch_frame(_of_scores(answered), CELL).set_index(list(CELL))
    items = fetch_frame(_of_items(whole), (*CELL, "item"))
    totals = fetch_frame(_of_totals(whole), CELL).set_index(list(CELL))
    sum_of_variances = items.assign(variance=_variance(items)).groupby(list(CELL))["variance"].sum()
    variance = _variance(totals).reindex(scores.index)
    of_items = sum_of_variances.reindex(scores.index)
    k = scores["items"]
    alpha = (k / (k - 1).where(k > 1)) * (1 - of_items / variance.where(variance > 0))
    made = scores.assign(
        complete=totals["n"].reindex(scores.index, fill_value=0).astype("int64"),
        mean=scores["total"] / scores["n"] / MILLIONTHS,
        standard_deviation=_variance(scores) ** 0.5 / MILLIONTHS,
        cronbach_alpha=alpha.astype("float64"),
    )
    made = made.rename(columns={"n": "respondents"}).reset_index()
    return made[list(RELIABILITY_COLUMNS)]


def _of_scores(answered: Frame) -> Frame:
    """Return for each scale and year its items, respondents, and sums of their scores."""
    return answered.group_by(*CELL).agg(
        nw.col("asked").max().alias("items"),
        nw.len().cast(nw.Int64).alias("n"),
        nw.col("student_id").count().cast(nw.Int64).alias("named"),
        *_sums("score"),
    )


def _complete(surveys: Frame, answered: Frame) -> Frame:
    """Return the answers of those who answered every item of a scale."""
    everything = answered.filter(nw.col("answered") == nw.col("asked"))
    return surveys.join(everything.select(*RESPONDENT), on=list(RESPONDENT), how="semi")


def _of_items(whole: Frame) -> Frame:
    return whole.group_by(*CELL, "item").agg(nw.len().cast(nw.Int64).alias("n"), *_sums("response"))


def _of_totals(whole: Frame) -> Frame:
    each = whole.group_by(*RESPONDENT).agg(nw.col("response").sum().alias("answer"))
    return each.group_by(*CELL).agg(nw.len().cast(nw.Int64).alias("n"), *_sums("answer"))


def _sums(column: str) -> tuple[nw.Expr, nw.Expr]:
    """Return the sum and the sum of squares of whole numbers."""
    value = nw.col(column).cast(nw.Int128)
    return (
        value.sum().cast(nw.Float64).alias("total"),
        (value * value).sum().cast(nw.Float64).alias("squares"),
    )


def _variance(sums: pd.DataFrame) -> pd.Series:
    """Return variances with divisor n - 1, missing for fewer than two."""
    n = sums["n"].astype("float64").where(sums["n"] > 1)
    return (sums["squares"] - sums["total"] ** 2 / n) / (n - 1)
