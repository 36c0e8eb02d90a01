"""Test scores -> one standardized score per student, subject and school year."""

from __future__ import annotations

import narwhals as nw

from homevisit_eval.panel.engine import Frame
from homevisit_eval.panel.expressions import is_last

__all__ = ["achievement_measures", "achievement_not_delivered", "one_score", "standardize_scores"]

CELL = ("instrument", "subject", "grade", "school_year")
SUBJECTS = ("math", "reading")
THOUSANDTHS = 1000


def standardize_scores(assessments: Frame) -> Frame:
    r"""Return every score in standard deviations from the mean of all who took the same test.

    Parameters
    ----------
    assessments
        All tested students of the district, in any sample or none.

    Returns
    -------
    Frame
        ``student_id, school_year, subject, instrument, grade, tested`` (students of the cell)
        and ``score_std``. Cells with one student, or in which all scores are equal, are left
        out: they have no standard deviation.

    Notes
    -----
    The cell is instrument x subject x grade x school year, and

    .. math:: z_i = (x_i - \bar x) / s, \quad s^2 = \sum_j (x_j - \bar x)^2 / (n - 1).

    Scores enter in whole thousandths of a scale point, whose sums do not depend on the order
    of the rows.
    """
    score = (nw.col("scale_score") * THOUSANDTHS).round(0).cast(nw.Int64)
    scored = assessments.filter(~nw.col("scale_score").is_null()).with_columns(score=score)
    scored = scored.with_columns(lowest=nw.col("score").min().over(*CELL))
    above = (nw.col("score") - nw.col("lowest")).cast(nw.Int128)
    scored = scored.with_columns(above=above, square=above * above)
    cells = scored.group_by(*CELL).agg(
        nw.len().cast(nw.Int64).alias("tested"),
        nw.col("above").sum().cast(nw.Float64).alias("total"),
        nw.col("square").sum().cast(nw.Float64).alias("squares"),
    )
    n, total = nw.col("tested"), nw.col("total")
    cells = (
        cells.filter(n > 1)
        .with_columns(mean=total / n, variance=(nw.col("squares") - total * total / n) / (n - 1))
        .filter(nw.col("variance") > 0)
    )
    deviation = (nw.col("score") - nw.col("lowest")).cast(nw.Float64) - nw.col("mean")
    return scored.join(cells, on=list(CELL)).select(
        "student_id",
        "school_year",
        "subject",
        "instrument",
        "grade",
        "tested",
        score_std=deviation / nw.col("variance").sqrt(),
    )


def one_score(standardized: Frame) -> Frame:
    """Keep one score per student, subject and year: that of the test which most students took.

    Most is counted in the cell of `standardize_scores`; equal counts are decided by the last
    instrument in alphabetical order, then the higher grade.
    """
    within = ("student_id", "subject", "school_year")
    return standardized.filter(is_last(within, ("tested", "instrument", "grade")))


def achievement_measures(students: Frame, scores: Frame) -> Frame:
    """Add ``math_score_std`` and ``reading_score_std``, missing where there is no score."""
    keys = ["student_id", "school_year"]
    columns = [
        nw.when(nw.col("subject") == subject)
        .then(nw.col("score_std"))
        .max()
        .alias(f"{subject}_score_std")
        for subject in SUBJECTS
    ]
    return students.join(scores.group_by(*keys).agg(*columns), on=keys, how="left")


def achievement_not_delivered(students: Frame) -> Frame:
    """Add the same columns, missing."""
    empty = {f"{subject}_score_std": nw.lit(None).cast(nw.Float64) for subject in SUBJECTS}
    return students.with_columns(**empty)
