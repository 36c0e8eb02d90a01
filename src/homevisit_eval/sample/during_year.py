"""The candidates of a question about visits during the school year: risk sets by day."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

import narwhals as nw
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from homevisit_eval.design import MissingIndicator, Question, StudyDesign
from homevisit_eval.design.measures import TO_DATE_COLUMNS, measured_name
from homevisit_eval.disclosure import shown_count
from homevisit_eval.errors import SourceError
from homevisit_eval.panel.engine import fetch_frame
from homevisit_eval.sample.analytic_sample import AnalyticSample
from homevisit_eval.sample.bands import GradeYear, measured_in
from homevisit_eval.sample.baseline import (
    BASELINE_SOURCES,
    baseline_expressions,
    baseline_names,
    join_baseline,
)
from homevisit_eval.sample.candidates import (
    bands_with_candidates,
    baseline_exclusions,
    baseline_frame,
    group_counts,
    reasons_to_leave,
    shares_missing,
    with_bands,
    with_subgroup,
)
from homevisit_eval.sample.day_outcomes import history_to_date, outcomes_from
from homevisit_eval.sample.day_records import BEYOND, DayRecords, day_records, ordinals
from homevisit_eval.sample.exclusions import program_schools, with_followed
from homevisit_eval.sample.first_visits import with_first_visits
from homevisit_eval.sample.flow import FlowStep, excluded, flow_adds_up, recounted, remaining
from homevisit_eval.sample.labels import WINDOW_WORDS, grades_text, school_years_text
from homevisit_eval.sample.measurable import (
    require_covariates,
    require_groups,
    require_outcomes,
    require_scores,
)
from homevisit_eval.sample.missing import fill_with_indicators, missing_notes
from homevisit_eval.sample.notes import during_notes
from homevisit_eval.sample.risk_rows import Drawn, StudentDays, rows_at_risk
from homevisit_eval.sample.score_grades import (
    ScoreGrades,
    counted_for_scores,
    score_grades,
    score_notes,
    without_left_out,
)
from homevisit_eval.sample.windows import first_school_year_with_visits

if TYPE_CHECKING:
    from homevisit_eval.panel import Panel

__all__ = ["select_during_year", "window_days"]

_log = logging.getLogger(__name__)

Integers = NDArray[np.int64]

ORDER = ["school_year", "index_date", "grade", "school_id", "unit_id"]


def select_during_year(panel: Panel, design: StudyDesign, asked: Question) -> AnalyticSample:
    """Return the candidates of a question about visits during the year: see `select_sample`.

    Notes
    -----
    A row is a student-year on a day of a visit. What lies before that day is its baseline, what
    follows from the next day of instruction on its outcome. The flow counts student-years: one is
    "visited" if it is visited in the window, whatever it was compared with before.
    """
    names = baseline_names(design, asked)
    students = _students(panel, design, asked, names)
    keys = pd.MultiIndex.from_frame(students[["student_id", "school_year"]])
    records = day_records(panel, design.school_years, keys)
    if not len(records.stretch_code) or not len(records.school_day):
        raise SourceError(
            "enrollments, calendar: this panel has no dated enrollment, which visits during the "
            "year need. Build it from extracts with build_panel."
        )
    students = _grouped(students, design, asked)
    eligible = (students["exclusion"] == "").to_numpy()
    measured, scores = _measured(panel, design, asked, students[eligible], names)
    rows, at_risk = _rows(panel, design, asked, students, records)
    students = _without_risk(students, rows, at_risk)
    pool = _with_schools(rows, panel, names)
    pool = history_to_date(pool, records)
    pool, required = with_bands(pool, design, measured)
    pool = with_subgroup(without_left_out(pool, scores), asked)
    left = reasons_to_leave(pool, design, asked, required, scores)
    flow = _flow(design, asked, students, pool, left)
    assert flow_adds_up(flow), "the sample flow does not add up"
    missing = shares_missing(pool, left, design, required)
    candidates = _in_order(pool[left == ""])
    require_groups(design, asked, candidates, flow)
    outcomes = outcomes_from(candidates, records, design, asked)
    require_outcomes(panel, design, asked, outcomes)
    first_visits = first_school_year_with_visits(panel)
    columns = [*names, *(one.name for one in design.covariates if one.name in TO_DATE_COLUMNS)]
    baseline = baseline_frame(candidates, list(dict.fromkeys(columns)), first_visits)
    _log.info("sample %s: %s visited candidates", asked.name, shown_count(flow[-1].visited))
    sample = AnalyticSample(
        baseline=baseline,
        outcomes=outcomes,
        covariates=bands_with_candidates(baseline, measured, design),
        question=asked,
        design=design,
        flow=flow,
        district=panel.district,
        synthetic=panel.synthetic,
        notes=(
            *during_notes(design, asked, candidates, measured, first_visits),
            *score_notes(design, scores),
            *missing_notes(design.missing_covariates, missing),
        ),
        missing=missing,
        score_grades=scores,
        exact=("index_date", *(("subgroup",) if asked.subgroup else ())),
    )
    if isinstance(design.missing_covariates, MissingIndicator):
        return fill_with_indicators(sample)
    return sample


def window_days(
    question: Question, design: StudyDesign, school_year: Integers, first_day: Integers
) -> tuple[Integers, Integers]:
    """Return the first and last day since 1970 of a window, for student-years of shape (n,).

    Parameters
    ----------
    school_year, first_day
        Shape (n,): the year, and the first day of instruction at the student's school.
    """
    starts = [f"{year}-{design.risk_sets.spring_starts}" for year in school_year]
    spring = np.array(starts, dtype="datetime64[D]").astype(np.int64)
    before, end = np.ones_like(first_day), np.full_like(first_day, BEYOND - 1)
    match question.window:
        case "fall":
            return first_day, spring - 1
        case "spring":
            return np.maximum(spring, first_day), end
        case "during_year":
            return first_day, end
        case _:
            return before, end


def _students(
    panel: Panel, design: StudyDesign, question: Question, names: Sequence[str]
) -> pd.DataFrame:
    """Return the student-years of the design's years and grades, with what is known of each."""
    measures = [measured_name(name) for name in question.outcomes]
    whole_year = ("attendance_rate", "any_incident")
    wanted = dict.fromkeys((*whole_year, *(name for name, after in measures if not after)))
    rows = panel.students.filter(
        nw.col("school_year").is_in(list(design.school_years)),
        nw.col("grade").is_in(list(design.grades)),
    ).select(
        "student_id",
        "school_year",
        "grade",
        "school_id",
        "first_instructional_day",
        "household_id",
        "days_enrolled",
        *wanted,
        *baseline_expressions(names, "current"),
    )
    rows = with_followed(rows, panel, question, design.eligibility.highest_grade_followed)
    frame = fetch_frame(join_baseline(rows, panel, names), ("student_id", "school_year"))
    return with_first_visits(frame, panel, question, design.school_years)


def _grouped(students: pd.DataFrame, design: StudyDesign, question: Question) -> pd.DataFrame:
    """Add the group of each student-year, and why it leaves before days are looked at."""
    first_day = ordinals(students["first_instructional_day"])
    low, high = window_days(question, design, students["school_year"].to_numpy(np.int64), first_day)
    visit = students["first_visit"].to_numpy(np.int64)
    inside = (visit >= low) & (visit <= high)
    visited = inside & students["first_asked"].to_numpy(bool)
    contrast = np.where(visited, "visited", "comparison").astype(object)
    reasons = {
        "not_in_baseline_year": students["enrolled_prior"].isna().to_numpy(),
        "few_days_in_baseline_year": (
            students["days_enrolled_prior"].fillna(0).to_numpy()
            < design.eligibility.min_days_enrolled_prior
        ),
        "visited_earlier": students["visited_earlier"].to_numpy(bool)
        & (question.window == "first_ever"),
        "visited_before_window": visit < low,
    }
    gone = reasons["visited_earlier"] | reasons["visited_before_window"]
    contrast[gone] = "neither"
    exclusion = np.full(len(students), "", dtype=object)
    for name in reversed(reasons):
        exclusion[reasons[name]] = name
    before = visited & (visit < first_day)
    return students.assign(
        contrast=contrast,
        exclusion=exclusion,
        index_day=np.where(before, first_day - 1, np.where(visited, visit, -1)),
        member_day=np.where(before, first_day, visit),
    )


def _measured(
    panel: Panel,
    design: StudyDesign,
    question: Question,
    eligible: pd.DataFrame,
    names: Sequence[str],
) -> tuple[dict[GradeYear, tuple[str, ...]], tuple[ScoreGrades, ...]]:
    """Say which covariates and scores are measured where, over a grade-year's eligible students."""
    counted = list(dict.fromkeys((*names, *counted_for_scores(question))))
    cells = eligible.groupby(["school_year", "grade"])
    counts = cells[counted].count().assign(students=cells.size()).reset_index()
    counts = counts.assign(**dict.fromkeys(TO_DATE_COLUMNS, counts["students"]))
    measured = measured_in(counts, design.covariates)
    require_covariates(panel, design, counts)
    scores = score_grades(counts, design, question)
    require_scores(panel, design, counts, scores)
    return measured, scores


def _rows(
    panel: Panel,
    design: StudyDesign,
    question: Question,
    students: pd.DataFrame,
    records: DayRecords,
) -> tuple[pd.DataFrame, Integers]:
    """Return candidates by day, and on how many days each student-year was at risk."""
    may_compare = np.ones(len(records.schools), dtype=bool)
    if question.comparison_schools == "outside_program":
        flags = fetch_frame(program_schools(panel, question), ("school_id", "school_year"))
        outside = flags.loc[flags["program_school"] == 0, ["school_id", "school_year"]]
        may_compare = records.schools.isin(pd.MultiIndex.from_frame(outside))
    days = StudentDays(
        school_year=students["school_year"].to_numpy(np.int64),
        grade=students["grade"].to_numpy(np.int64),
        first_visit=students["first_visit"].to_numpy(np.int64),
        household_visit=students["household_visit"].to_numpy(np.int64),
        index_day=students["index_day"].to_numpy(np.int64),
        member_day=students["member_day"].to_numpy(np.int64),
        eligible=(students["exclusion"] == "").to_numpy(),
    )
    drawn = Drawn(
        per_visit=design.risk_sets.candidates_per_visit,
        seed=design.risk_sets.seed,
        same_school=question.comparison_schools == "same_school",
    )
    found = rows_at_risk(records, days, may_compare, drawn)
    rows = students.iloc[found.code].reset_index(drop=True)
    schools = records.schools.get_level_values("school_id").to_numpy(dtype=object)
    rows = rows.assign(
        code=found.code,
        school_code=found.school,
        school_id=schools[found.school],
        student_group=rows["contrast"],
        contrast=np.where(found.visited, "visited", "comparison"),
        index_day=found.index_day,
        no_history=found.index_day <= ordinals(rows["first_instructional_day"]),
        index_date=pd.to_datetime(found.index_day, unit="D"),
    )
    return rows.rename(columns={"student_id": "unit_id"}), found.at_risk


def _without_risk(students: pd.DataFrame, rows: pd.DataFrame, at_risk: Integers) -> pd.DataFrame:
    """Say which student-years are on no day in the sample, and why.

    The visited leave if the day of their visit is not there, whatever they were compared with.
    """
    visited = (students["contrast"] == "visited").to_numpy()
    present = np.zeros(len(students), dtype=bool)
    present[rows.loc[_on_own_day(rows), "code"].to_numpy()] = True
    gone = (students["exclusion"] == "").to_numpy() & ~present
    exclusion = students["exclusion"].to_numpy(dtype=object).copy()
    exclusion[gone & visited] = "not_enrolled"
    exclusion[gone & ~visited] = np.where(
        at_risk[gone & ~visited] > 0, "not_drawn", "never_at_risk"
    )
    return students.assign(exclusion=exclusion)


def _with_schools(rows: pd.DataFrame, panel: Panel, names: Sequence[str]) -> pd.DataFrame:
    """Put the measures of the school of that day where a baseline needs the school's."""
    wanted = [name for name in names if BASELINE_SOURCES[name].row == "school"]
    if not wanted:
        return rows
    schools = fetch_frame(
        panel.schools.select(
            "school_id", nw.col("school_year") + 1, *baseline_expressions(wanted, "school")
        ),
        ("school_id", "school_year"),
    )
    return rows.drop(columns=wanted).merge(schools, on=["school_id", "school_year"], how="left")


def _in_order(candidates: pd.DataFrame) -> pd.DataFrame:
    return candidates.sort_values(ORDER, kind="stable", ignore_index=True)


def _flow(
    design: StudyDesign,
    question: Question,
    students: pd.DataFrame,
    pool: pd.DataFrame,
    left: NDArray[np.object_],
) -> tuple[FlowStep, ...]:
    """Return the flow of student-years: one that is a candidate on some day is a candidate."""
    days = design.eligibility.min_days_enrolled_prior
    when = WINDOW_WORDS[question.window]
    place = f"{grades_text(design.grades)}, {school_years_text(design.school_years)}"
    reason = students["exclusion"]
    eligibility = {
        "not_in_baseline_year": "Not enrolled in the year before",
        "few_days_in_baseline_year": f"Enrolled fewer than {days} days in the year before",
    }
    contrast = {
        "visited_earlier": "Visited in an earlier school year",
        "visited_before_window": f"Visited that year before a visit {when} could be made",
        "not_enrolled": "Visited on a day on which the student was not enrolled",
        "never_at_risk": "Not at risk on the day of any visit of the same grade"
        + (" and school" if question.comparison_schools == "same_school" else ""),
        "not_drawn": "At risk, but not drawn as a candidate",
    }
    steps = [remaining("enrolled", f"Enrolled: {place}", group_counts(students))]
    steps += [
        excluded(name, label, group_counts(students[reason == name]))
        for name, label in eligibility.items()
    ]
    eligible = students[~reason.isin(list(eligibility))]
    steps.append(remaining("eligible", "Eligible", group_counts(eligible)))
    steps += [
        excluded(name, label, group_counts(students[reason == name]))
        for name, label in contrast.items()
        if (reason == name).any() or name in ("visited_before_window", "not_enrolled")
    ]
    present = students[reason == ""]
    label = f"Visited {when}, or a possible comparison on such a day"
    steps.append(remaining("contrast", label, group_counts(present)))
    own, why = _own_reasons(pool, left)
    steps += baseline_exclusions(own, why, design)
    label = "Complete baseline: candidates"
    steps.append(remaining("candidates", label, group_counts(own[why == ""])))
    label = "Candidates, once for each day of a visit on which they are (student-days)"
    steps.append(recounted("student_days", label, group_counts(pool[left == ""])))
    return tuple(steps)


def _own_reasons(
    pool: pd.DataFrame, left: NDArray[np.object_]
) -> tuple[pd.DataFrame, NDArray[np.object_]]:
    """Return one row a student-year, and why it leaves: "" if it is a candidate on any day.

    A student visited in the window is a candidate if the day of the visit is.
    """
    own = np.flatnonzero(_on_own_day(pool))
    order = own[np.lexsort((left[own] != "", pool["code"].to_numpy()[own]))]
    code = pool["code"].to_numpy()[order]
    first = np.flatnonzero(np.r_[True, code[1:] != code[:-1]]) if len(code) else order
    at = order[first]
    return pool.iloc[at].assign(contrast=pool["student_group"].to_numpy(dtype=object)[at]), left[at]


def _on_own_day(rows: pd.DataFrame) -> NDArray[np.bool_]:
    """Say which rows show the group of their student: of the visited, the day of the visit."""
    own = (rows["student_group"] != "visited") | (rows["contrast"] == "visited")
    return own.to_numpy(dtype=bool)
