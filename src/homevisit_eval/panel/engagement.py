"""Survey answers -> what families say of engagement, one score per scale and student-year."""

from __future__ import annotations

import narwhals as nw

from homevisit_eval.design.school_years import school_year_text
from homevisit_eval.disclosure import shown_count
from homevisit_eval.panel.engine import Frame, count_rows, fetch_frame

__all__ = [
    "SCALES",
    "answered_scales",
    "engagement_measures",
    "engagement_not_delivered",
    "one_scale_score",
    "standardize_scales",
    "without_answers",
]

SCALES = ("engagement_at_school", "involvement_at_home")
RESPONDENT = ("respondent_id", "school_year", "scale")
CELL = ("scale", "school_year")
STUDENT_SCALE = ("student_id", "school_year", "scale")
MILLIONTHS = 10**6
"""Scores are added in millionths of a response point: in any order of the rows the same sum."""


def answered_scales(surveys: Frame) -> Frame:
    """Return each respondent's score on each scale of which at least half is answered.

    Parameters
    ----------
    surveys
        The validated answers, one row a respondent, school year, scale and item. A higher
        answer must mean more engagement in every item.

    Returns
    -------
    Frame
        ``respondent_id, school_year, scale``; ``student_id``, missing where the answers name no
        student, or more than one; ``asked`` and ``answered``, numbers of items; ``score``, the
        mean of the items answered in millionths of a response point.

    Notes
    -----
    The items of a scale are those that its file holds for the school year, of any respondent.
    """
    asked = (
        surveys.select(*CELL, "item")
        .unique()
        .group_by(*CELL)
        .agg(nw.len().cast(nw.Int64).alias("asked"))
    )
    student = nw.col("student_id")
    each = (
        _with_student(surveys)
        .group_by(*RESPONDENT)
        .agg(
            nw.col("response").count().cast(nw.Int64).alias("answered"),
            nw.col("response").sum().cast(nw.Float64).alias("total"),
            student.min().alias("student_id"),
            student.max().alias("last"),
        )
    )
    mean = nw.col("total") * MILLIONTHS / nw.col("answered")
    return (
        each.join(asked, on=list(CELL))
        .filter(2 * nw.col("answered") >= nw.col("asked"))
        .select(
            *RESPONDENT,
            "asked",
            "answered",
            student_id=nw.when(student == nw.col("last")).then(student),
            score=mean.round(0).cast(nw.Int64),
        )
    )


def standardize_scales(answered: Frame) -> Frame:
    r"""Return every score in standard deviations from the mean of all respondents of the year.

    Parameters
    ----------
    answered
        From `answered_scales`: all respondents, whether or not their answers name a student.

    Returns
    -------
    Frame
        The same rows with ``above`` (score less the lowest of the cell), ``mean`` and
        ``variance`` of the cell on that scale, and ``score_std``. Cells with one respondent, or
        in which all scores are equal, are left out: they have no standard deviation.

    Notes
    -----
    The cell is scale x school year, and

    .. math:: z_i = (x_i - \bar x) / s, \quad s^2 = \sum_j (x_j - \bar x)^2 / (n - 1).
    """
    scored = answered.with_columns(lowest=nw.col("score").min().over(*CELL))
    above = (nw.col("score") - nw.col("lowest")).cast(nw.Int128)
    scored = scored.with_columns(above=above, square=above * above)
    cells = scored.group_by(*CELL).agg(
        nw.len().cast(nw.Int64).alias("respondents"),
        nw.col("above").sum().cast(nw.Float64).alias("total"),
        nw.col("square").sum().cast(nw.Float64).alias("squares"),
    )
    n, total = nw.col("respondents"), nw.col("total")
    cells = (
        cells.filter(n > 1)
        .with_columns(mean=total / n, variance=(nw.col("squares") - total * total / n) / (n - 1))
        .filter(nw.col("variance") > 0)
    )
    deviation = nw.col("above").cast(nw.Float64) - nw.col("mean")
    return scored.join(cells, on=list(CELL)).select(
        *RESPONDENT,
        "student_id",
        "above",
        "mean",
        "variance",
        score_std=deviation / nw.col("variance").sqrt(),
    )


def one_scale_score(standardized: Frame) -> Frame:
    """Return one score per student, school year and scale: the mean over its respondents.

    Answers that name no student are left out here; they counted for the mean and SD.
    """
    named = standardized.filter(~nw.col("student_id").is_null())
    each = named.group_by(*STUDENT_SCALE).agg(
        nw.len().cast(nw.Int64).alias("respondents"),
        nw.col("above").sum().cast(nw.Float64).alias("total"),
        nw.col("mean").max(),
        nw.col("variance").max(),
    )
    deviation = nw.col("total") / nw.col("respondents") - nw.col("mean")
    return each.select(
        *STUDENT_SCALE, "respondents", score_std=deviation / nw.col("variance").sqrt()
    )


def engagement_measures(students: Frame, scores: Frame) -> Frame:
    """Add ``engagement_at_school`` and ``involvement_at_home``, missing without a score."""
    keys = ["student_id", "school_year"]
    columns = [
        nw.when(nw.col("scale") == scale).then(nw.col("score_std")).max().alias(scale)
        for scale in SCALES
    ]
    return students.join(scores.group_by(*keys).agg(*columns), on=keys, how="left")


def engagement_not_delivered(students: Frame) -> Frame:
    """Add the same columns, missing."""
    return students.with_columns(**{scale: nw.lit(None).cast(nw.Float64) for scale in SCALES})


def without_answers(surveys: Frame, spells: Frame) -> tuple[str, ...]:
    """Return one sentence for each school year without an answer, and for answers without names.

    Parameters
    ----------
    surveys
        The validated answers.
    spells
        All enrollment spells: the years in which a survey could have been taken.
    """
    given = _with_student(surveys).filter(~nw.col("response").is_null())
    silent = spells.join(given.select("school_year").unique(), on="school_year", how="anti")
    each = silent.group_by("school_year").agg(nw.col("student_id").n_unique().alias("students"))
    years = fetch_frame(each, ("school_year",)).to_dict("list")
    sentences = [
        f"surveys: not one answer in {school_year_text(year)}, when there were "
        f"{shown_count(students)} student-years: perceptions of family engagement of that year "
        "are missing. Deliver the answers of that year, or take it out of the design."
        for year, students in zip(years["school_year"], years["students"], strict=True)
    ]
    named = given.filter(~nw.col("student_id").is_null()).head(1)
    if count_rows(given.head(1)) and not count_rows(named):
        sentences.append(
            "surveys names no student: perceptions of family engagement cannot be linked to "
            "visits. Ask whether the answers can be delivered with student_id."
        )
    return tuple(sentences)


def _with_student(surveys: Frame) -> Frame:
    """Add ``student_id``, missing, to answers delivered without it."""
    if "student_id" in surveys.collect_schema().names():
        return surveys
    return surveys.with_columns(student_id=nw.lit(None).cast(nw.String))
