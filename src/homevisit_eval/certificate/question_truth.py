"""The truth of each question of a study, student-year by student-year."""

from __future__ import annotations

import pandas as pd

from homevisit_eval.design import Question
from homevisit_eval.design.measures import TEACHER_OUTCOMES, followed_name, measured_name
from homevisit_eval.design.questions import LaterVisits
from homevisit_eval.errors import DesignError
from homevisit_eval.synthetic import Simulation, follow_up_truth, landmark_truth
from homevisit_eval.synthetic.survey_truths import survey_truth
from homevisit_eval.synthetic.surveys import SCALES
from homevisit_eval.synthetic.teacher_truths import teacher_truth
from homevisit_eval.synthetic.visit_truths import VISIT_OUTCOMES

__all__ = ["DRAWS_OF_LATER_YEARS", "needs_records", "question_truth", "require_known"]

KEY = ["student_id", "school_year"]
DRAWS_OF_LATER_YEARS = 5
"""How often the years after a visit are drawn: both worlds share their chance, so few will do."""


def question_truth(
    simulation: Simulation,
    question: Question,
    *,
    drawing: int = 0,
    draws: int = DRAWS_OF_LATER_YEARS,
) -> pd.DataFrame:
    """Return what a visit of a question changes for each student-year that it may be about.

    Parameters
    ----------
    simulation
        A synthetic district.
    question
        Its window, `later_visits`, unit and outcomes say which effect is meant.
    drawing
        The ``replication`` that the simulation was made with.
    draws
        Of later years, where outcomes of such years are asked.

    Returns
    -------
    DataFrame
        For `true_effect`: ``student_id`` (of teachers their ``staff_id``), ``school_year``, and for
        each outcome that is known its expected value with the visit (``_m1``) and without it
        (``_m0``), in units of the outcome. It holds at least the visited student-years.

        - Window ``"before_year"``: the simulation's truth, as often visited as the student is; with
          ``later_visits = "none"`` without any visit in the year. With dose
          ``"two_or_more_against_one"`` the visit compared with is a single one.
        - Windows during the year: of the days after the visit, without it on that day (later ones
          take their natural course) or, with ``"none"``, for the rest of the year.
        - Outcomes of later years: means over `draws`; with ``"none"`` without any visit from the
          year of the visit through theirs. Scales of the survey; retention of teachers.

    Raises
    ------
    DesignError
        As `require_known`.
    """
    require_known(question, drawn_anew=drawing > 0)
    if question.unit == "teacher":
        teachers = teacher_truth(simulation.district, simulation.seed)
        return teachers.rename(columns={"staff_id": "student_id"})
    truth = _of_window(simulation, question, drawing)
    if set(question.outcomes) & set(SCALES):
        scales = survey_truth(simulation.district, simulation.seed, replication=drawing)
        truth = truth.merge(scales.drop(columns="visited_before_year"), on=KEY, how="left")
    if _years_after(question):
        truth = _with_later_years(truth, simulation, question.later_visits, draws)
    return truth


def require_known(question: Question, *, drawn_anew: bool) -> None:
    """Check that synthetic districts know the effect that a question asks for.

    Whether they know it on an outcome shows in the columns of the truth.

    Parameters
    ----------
    question
    drawn_anew
        Whether visits and outcomes are drawn anew in a district held fixed.

    Raises
    ------
    DesignError
        If they do not: early-childhood visits alone, a lag after the visit, later years or surveys
        after visits during the year or of two visits against one, or later years and teachers in
        a district held fixed.
    """
    where = f"question {question.name!r}: the truth of"
    if not {"FEP", "FEC"} & set(question.programs):
        raise DesignError(
            f"{where} {', '.join(question.programs)} visits is not known in synthetic districts, "
            "which know FEP and FEC. Certify the design without it."
        )
    if question.lag_days:
        raise DesignError(
            f"{where} outcomes from {question.lag_days} days after the visit on is not known in "
            "synthetic districts. Certify the question without a lag."
        )
    later, scales = _years_after(question), set(question.outcomes) & set(SCALES)
    if question.during and (later or scales):
        what = "later years" if later else "the family survey"
        raise DesignError(
            f"{where} {what} is not known in synthetic districts after visits during the year. "
            "Ask about visits before the year."
        )
    if question.against_one and (later or scales):
        what = "later years" if later else "the family survey"
        raise DesignError(
            f"{where} {what} after two visits and after one is not known in synthetic districts. "
            "Ask about the year of the visit, or about two visits against none."
        )
    if drawn_anew and (later or question.unit == "teacher"):
        what = "later years" if later else "teachers"
        raise DesignError(
            f"{where} {what} is known with schools redrawn, not in districts held fixed. Choose "
            "mode redrawn."
        )


def needs_records(question: Question) -> bool:
    """Return whether a question needs more of a panel than its measures of student-years.

    Dated facts, staff lists or surveys, which only the files of a district hold.
    """
    others = {*TEACHER_OUTCOMES, *SCALES} & {measured_name(one)[0] for one in question.outcomes}
    return question.during or question.later_visits == "none" or bool(others)


def _of_window(simulation: Simulation, question: Question, drawing: int) -> pd.DataFrame:
    if question.later_visits == "none":
        known = landmark_truth(
            simulation.district, simulation.seed, landmark="", replication=drawing
        )
        if question.window in ("any_time", "first_ever"):
            return known
        windows = ["fall", "spring"] if question.during else ["before_year"]
        return known[known["window"].isin(windows)]
    if question.against_one:
        return _with_single_visit(simulation.truth)
    if not question.during:
        return simulation.truth
    waiting = {f"{name}_mw": f"{name}_m0" for name in VISIT_OUTCOMES}
    during = simulation.visit_truth.drop(columns=list(waiting.values())).rename(columns=waiting)
    if question.window not in ("any_time", "first_ever"):
        return during
    before = simulation.truth[simulation.truth["visited_before_year"] == 1]
    known_in_both = [name for name in during.columns if name in before.columns]
    return pd.concat([before[known_in_both], during[known_in_both]], ignore_index=True)


def _with_single_visit(truth: pd.DataFrame) -> pd.DataFrame:
    """Return a truth whose effect is that of all visits before the year against a single one."""
    single = {name: f"{name[:-3]}_m0" for name in truth.columns if name.endswith("_ms")}
    if not single:
        raise DesignError(
            "nobody is visited twice before the year in this synthetic district. Give "
            "selection.twice a value above 0."
        )
    return truth.drop(columns=list(single.values())).rename(columns=single)


def _years_after(question: Question) -> set[int]:
    """Return how many years after that of the visit outcomes are asked, 0 left out."""
    named = {measured_name(name)[1] for name in question.outcomes} - {0}
    return named | set(range(1, question.follow_up + 1))


def _with_later_years(
    truth: pd.DataFrame, simulation: Simulation, later_visits: LaterVisits, draws: int
) -> pd.DataFrame:
    """Add columns of outcomes in later years, NaN for student-years not visited or followed."""
    later = follow_up_truth(
        simulation.district, simulation.seed, replications=draws, later_visits=later_visits
    )
    for after in sorted({int(one) for one in later["follow_up"]}):
        rows = later[later["follow_up"] == after]
        names = {
            name: f"{followed_name(name[:-3], after)}{name[-3:]}"
            for name in rows.columns
            if name.endswith(("_m1", "_m0"))
        }
        truth = truth.merge(rows[[*KEY, *names]].rename(columns=names), on=KEY, how="left")
    return truth
