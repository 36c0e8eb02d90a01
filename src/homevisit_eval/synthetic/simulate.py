"""From parameters and a seed to a district: tables as a district delivers them, and the truth."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from homevisit_eval.errors import DesignError
from homevisit_eval.synthetic.assessments import assessment_table
from homevisit_eval.synthetic.attendance import absence_table
from homevisit_eval.synthetic.calendars import calendar_table, make_calendar
from homevisit_eval.synthetic.characteristics import characteristics_table
from homevisit_eval.synthetic.defects import with_defects
from homevisit_eval.synthetic.draws import Draws
from homevisit_eval.synthetic.enrollment import enroll, enrollment_table
from homevisit_eval.synthetic.incidents import incident_table
from homevisit_eval.synthetic.parameters import District
from homevisit_eval.synthetic.presets import preset
from homevisit_eval.synthetic.school_year import SchoolYear, live_through
from homevisit_eval.synthetic.schools import Schools, make_schools, school_table
from homevisit_eval.synthetic.staff import roster_table, staff_ids, staff_table
from homevisit_eval.synthetic.student_years import student_year_table
from homevisit_eval.synthetic.students import Students, no_students, student_ids, student_table
from homevisit_eval.synthetic.surveys import SurveyAnswers, survey_answers, survey_table
from homevisit_eval.synthetic.truths import OUTCOMES, truth_table
from homevisit_eval.synthetic.visit_truths import visit_truth_table
from homevisit_eval.synthetic.visits import visit_table

__all__ = ["TABLES", "Simulation", "simulate"]

TABLES: tuple[str, ...] = (
    "schools", "calendar", "students", "enrollments", "characteristics", "absences",
    "incidents", "assessments", "visits", "staff", "rosters", "surveys",
)  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Simulation:
    """A synthetic district: its extracts, and what only the simulation knows.

    Attributes
    ----------
    district, seed
        What it was made from.
    tables : mapping of name to DataFrame
        The tables asked for, in the form of the data dictionary: codes as texts, flags 0/1,
        dates as ``datetime64[s]``.
    student_years : DataFrame
        One row per student and school year with what a panel made from the tables measures
        (all of it at its default rules), computed without them.
    truth : DataFrame
        One row per student-year in ``truth_grades`` and ``truth_years``: see `truth_table`.
    visit_truth : DataFrame
        One row per first visit during those years: see `visit_truth_table`.
    """

    district: District
    seed: int
    tables: Mapping[str, pd.DataFrame]
    student_years: pd.DataFrame
    truth: pd.DataFrame
    visit_truth: pd.DataFrame

    def __repr__(self) -> str:
        """Show the preset, the seed and the size of each table, never rows."""
        sizes = ", ".join(f"{name} {len(table):,}" for name, table in self.tables.items())
        return (
            f"Simulation(synthetic data, preset {self.district.name!r}, seed {self.seed}: "
            f"{len(self.student_years):,} student-years;\n  rows: {sizes or 'no tables'})"
        )


def simulate(
    district: District | str,
    seed: int,
    *,
    tables: Collection[str] = TABLES,
    outcomes: Collection[str] = OUTCOMES,
    replication: int = 0,
) -> Simulation:
    """Return a synthetic district whose effects of home visits are known for every student.

    Parameters
    ----------
    district
        Parameters, or the name of a preset (`PRESETS`).
    seed
        A whole number from 0 on. The same seed gives the same district.
    tables
        Names of the tables to make (`TABLES`). A table's rows do not depend on which others
        are made; none at all is the fast way to `student_years` and `truth`.
    outcomes
        Names of the outcomes in the truth (`OUTCOMES`); all but chronic absence and
        truancy cost little.
    replication
        A number above 0 keeps schools, teachers, students and everything before the first of
        the district's ``truth_years``, and draws visits and outcomes from then on anew.

    Raises
    ------
    DesignError
        If there is no such preset, table or outcome, or seed or replication is negative.

    Examples
    --------
    >>> simulation = simulate("small", seed=1, tables=("students",))
    >>> simulation.tables["students"].columns[0]
    'student_id'
    """
    parameters = preset(district) if isinstance(district, str) else district
    for argument, names, known in (("tables", tables, TABLES), ("outcomes", outcomes, OUTCOMES)):
        if unknown := [name for name in names if name not in known]:
            raise DesignError(f"{argument} holds {unknown[0]!r}; allowed are {', '.join(known)}.")
    for name, number in (("seed", seed), ("replication", replication)):
        if number < 0:
            raise DesignError(f"{name} must be 0 or greater; it is {number}.")
    draws = Draws(seed, parameters.truth_years[0] if replication else 0, replication)
    schools, students, years = simulate_years(parameters, draws)
    ids = student_ids(len(students))
    defects = parameters.defects if tables else None
    wanted = set(TABLES if defects else tables)  # a table's defects follow from other tables
    answers = [survey_answers(parameters, year, draws) for year in years]
    made = _tables(parameters, schools, students, years, draws, answers=answers, wanted=wanted)
    if defects:
        made = with_defects(made, defects, draws)
    return Simulation(
        parameters,
        seed,
        {name: made[name] for name in TABLES if name in tables},
        student_year_table(years, answers, students, schools, ids),
        truth_table(parameters, years, ids, draws, outcomes=outcomes),
        visit_truth_table(parameters, years, ids),
    )


def simulate_years(
    district: District, draws: Draws, *, no_summer_visits_in: int = 0, no_visits_from: int = 0
) -> tuple[Schools, Students, list[SchoolYear]]:
    """Return schools, students and school years as arrays, without tables.

    Parameters
    ----------
    no_summer_visits_in
        A school year before which nobody is visited, though visits would have been made.
    no_visits_from
        A school year from which on nobody is visited, before years or during them; 0 for none.
    """
    schools = make_schools(district, draws)
    students = no_students()
    years: list[SchoolYear] = []
    for school_year in district.school_years:
        calendar = make_calendar(district, school_year, len(schools.ids), draws)
        last = years[-1] if years else None
        visits = not no_visits_from or school_year < no_visits_from
        students, roll = enroll(
            district,
            schools,
            calendar,
            students,
            last=last.roll if last else None,
            draws=draws,
        )
        years.append(
            live_through(
                district,
                schools,
                calendar,
                students,
                roll,
                last=last,
                draws=draws,
                summer_visits=visits and school_year != no_summer_visits_in,
                year_visits=visits,
            )
        )
    return schools, students, years


def _tables(
    district: District,
    schools: Schools,
    students: Students,
    years: list[SchoolYear],
    draws: Draws,
    *,
    answers: list[SurveyAnswers],
    wanted: set[str],
) -> dict[str, pd.DataFrame]:
    ids, rolls = student_ids(len(students)), [year.roll for year in years]
    made: dict[str, pd.DataFrame] = {}
    if "schools" in wanted:
        made["schools"] = school_table(schools, district.school_years)
    if "calendar" in wanted:
        made["calendar"] = calendar_table([year.calendar for year in years], schools.ids)
    if "students" in wanted:
        made["students"] = student_table(students, ids)
    if "enrollments" in wanted:
        spells = [(year.roll, year.calendar) for year in years]
        made["enrollments"] = enrollment_table(spells, schools, ids)
    if "characteristics" in wanted:
        made["characteristics"] = characteristics_table([(y.roll, y.status) for y in years], ids)
    if "absences" in wanted:
        parts = [
            absence_table(
                y.calendar,
                y.roll,
                y.chance.absences,
                y.conduct.absent,
                school_ids=schools.ids,
                ids=ids,
            )
            for y in years
        ]
        made["absences"] = pd.concat(parts, ignore_index=True)
    if "incidents" in wanted:
        made["incidents"] = _incidents(district, schools, years, students, draws)
    if "assessments" in wanted:
        scores = [assessment_table(year.roll, year.scores, ids) for year in years]
        made["assessments"] = pd.concat(scores, ignore_index=True)
    if wanted & {"visits", "staff", "rosters"}:
        made |= _people(district, schools, students, years, draws)
    if "surveys" in wanted:
        made["surveys"] = survey_table(rolls, answers, ids)
    return made


def _numbered(parts: list[pd.DataFrame], column: str, letter: str) -> pd.DataFrame:
    """Join yearly tables and put an identifier first; rows sharing `column` share it."""
    first, numbers = 0, []
    for part in parts:
        within = part[column].to_numpy() if column in part else np.arange(len(part))
        numbers.append(first + within)
        first += int(within.max()) + 1 if len(within) else 0
    table = pd.concat(parts, ignore_index=True).drop(columns=column, errors="ignore")
    width = max(5, len(str(first)))
    names = np.array([f"{letter}{n:0{width}d}" for n in range(1, first + 1)], dtype=object)
    identifier = "incident_id" if letter == "I" else "visit_id"
    table.insert(0, identifier, names[np.concatenate(numbers)])
    return table


def _incidents(
    district: District, schools: Schools, years: list[SchoolYear], students: Students, draws: Draws
) -> pd.DataFrame:
    ids = student_ids(len(students))
    parts = [
        incident_table(
            district, y.calendar, y.roll, y.events, school_ids=schools.ids, ids=ids, draws=draws
        )
        for y in years
    ]
    return _numbered(parts, "incident", "I")


def _people(
    district: District, schools: Schools, students: Students, years: list[SchoolYear], draws: Draws
) -> dict[str, pd.DataFrame]:
    """Return visits, staff and rosters, which name each other's people."""
    ids, rolls = student_ids(len(students)), [year.roll for year in years]
    staff, classes = [year.staff for year in years], [year.classes for year in years]
    names = staff_ids(staff)
    visits = [
        visit_table(
            year.calendar,
            year.roll,
            summer=year.summer,
            during=year.during,
            team=(names[year.classes.teacher], names[year.classes.partner]),
            ids=ids,
            virtual=district.selection.virtual,
            draws=draws,
        )
        for year in years
    ]
    return {
        "visits": _numbered(visits, "visit", "V"),
        "staff": staff_table(staff, district.school_years, schools, names),
        "rosters": roster_table(rolls, classes, schools, ids, names),
    }
