"""The defects of real extracts, put into the tables of a synthetic district.

Only defects that the data dictionary accepts are made: those that a rule of it decides and
counts, and those that the panel resolves.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

import pandas as pd

from homevisit_eval.design.checks import between, check_fields
from homevisit_eval.synthetic.defective_enrollment import (
    long_calendars,
    overlap_transfers,
    rename_schools,
    split_spells,
    summer_registrations,
)
from homevisit_eval.synthetic.defective_records import (
    absences_after_exit,
    absences_at_old_school,
    absences_on_saturdays,
    double_visits,
    early_visits,
    incidents_after_exit,
    with_absences,
)
from homevisit_eval.synthetic.defective_scores import add_retests, lose_low_scores
from homevisit_eval.synthetic.draws import Draw, Draws

__all__ = ["Defects", "with_defects"]

Share = Annotated[float, between(0, 1)]


@dataclass(frozen=True, slots=True)
class Defects:
    """How often the defects of real extracts occur: each a share, 0 for never.

    What a defect does to the panel's measures is said with it: *none*, or which columns then
    differ from what truly happened.

    Parameters
    ----------
    absences_after_exit
        Of students who leave during a year, those whom the school goes on to mark absent on up
        to five weekdays after the exit. Decided as ``outside_enrollment`` (or
        ``not_instructional``) and left out: none.
    incidents_after_exit
        Of the incident records of such students, those dated up to 30 days after the exit, when
        the case was closed. In no spell of the student, so the panel does not count them:
        incidents, suspensions.
    absences_at_old_school
        Of the absences after a transfer, those recorded at the school before. Decided as
        ``outside_enrollment`` or ``other_school_counts`` and left out: days absent, rates.
    absences_on_saturdays
        Of absences, those of which a second record is dated on the next Saturday. Decided as
        ``not_instructional`` and left out: none.
    overlapping_transfers
        Of transfers within a year, those whose old school reports the exit up to ten days after
        the entry at the new one, and marks an absence there meanwhile. Decided as
        ``overlapping_schools`` and ``other_school_counts``; the days between the schools now
        count as enrolled: days enrolled, rates, and the school of the count date.
    split_spells
        Of spells, those delivered as two at the same school, the second entered on the day
        after the first ends: none.
    summer_registrations
        Of student-years that begin on time, those with a second spell at the same school from
        the summer, ended before the first day of school. Decided as ``no_instructional_day``:
        none.
    doubled_visits
        Of visits, those entered twice under two ``visit_id``: none for students (a teacher's
        number of visits grows).
    early_visits
        Of visits of the first school year, those whose family has a visit dated a year or more
        before the first of the extracts. Decided as ``outside_school_years``: none.
    lost_scores
        Of scores, those missing not at random: the lower the score, the likelier. Scores are
        standardized among those that are left: missing scores, and all scores a little.
    retests
        Of scores, those with a second result: every other one with instrument "other", which
        few take and the panel leaves out; every other one in the grade below, which changes
        its mean: all scores a little, those of retested students where that grade is larger.
    renamed_schools
        Of schools, those that have another name from some year on; the identifier stays: none.
    long_calendars
        Of schools on the shared calendar, those that deliver all days of a year, summers and
        weekends included, as rows of their own: none.
    """

    absences_after_exit: Share = 0.5
    incidents_after_exit: Share = 0.3
    absences_at_old_school: Share = 0.2
    absences_on_saturdays: Share = 0.002
    overlapping_transfers: Share = 0.4
    split_spells: Share = 0.01
    summer_registrations: Share = 0.01
    doubled_visits: Share = 0.03
    early_visits: Share = 0.03
    lost_scores: Share = 0.03
    retests: Share = 0.02
    renamed_schools: Share = 0.15
    long_calendars: Share = 0.2

    def __post_init__(self) -> None:
        check_fields(self)


def with_defects(
    tables: Mapping[str, pd.DataFrame], defects: Defects, draws: Draws
) -> dict[str, pd.DataFrame]:
    """Return the tables of a district with defects; the tables given stay as they are.

    Parameters
    ----------
    tables
        All tables of `simulate.TABLES`, in the form of the data dictionary.
    defects
        How often each occurs.
    draws
        The district's random numbers: each defect has its own.
    """

    made = dict(tables)
    spells = tables["enrollments"]
    changed, marked = overlap_transfers(
        spells, defects.overlapping_transfers, draws.stream(Draw.OVERLAPPING_TRANSFERS)
    )
    changed = split_spells(changed, defects.split_spells, draws.stream(Draw.SPLIT_SPELLS))
    made["enrollments"] = summer_registrations(
        changed, defects.summer_registrations, draws.stream(Draw.SUMMER_REGISTRATIONS)
    )
    made["absences"] = _absences(tables["absences"], spells, marked, defects, draws)
    made["incidents"] = incidents_after_exit(
        tables["incidents"],
        spells,
        defects.incidents_after_exit,
        draws.stream(Draw.INCIDENTS_AFTER_EXIT),
    )
    made["visits"] = _visits(tables["visits"], tables["schools"], defects, draws)
    scores = lose_low_scores(
        tables["assessments"], defects.lost_scores, draws.stream(Draw.LOST_SCORES)
    )
    made["assessments"] = add_retests(scores, defects.retests, draws.stream(Draw.RETESTS))
    made["schools"] = rename_schools(
        tables["schools"], defects.renamed_schools, draws.stream(Draw.RENAMED_SCHOOLS)
    )
    made["calendar"] = long_calendars(
        tables["calendar"],
        tables["schools"],
        defects.long_calendars,
        draws.stream(Draw.LONG_CALENDARS),
    )
    return made


def _absences(
    absences: pd.DataFrame,
    spells: pd.DataFrame,
    marked: pd.DataFrame,
    defects: Defects,
    draws: Draws,
) -> pd.DataFrame:
    """Return the absences with those at the wrong school, after exits and on Saturdays.

    Parameters
    ----------
    marked
        Absences at the old schools of late reported transfers.
    """
    stream = draws.stream(Draw.ABSENCES_AT_OLD_SCHOOL)
    moved = absences_at_old_school(absences, spells, defects.absences_at_old_school, stream)
    stream = draws.stream(Draw.ABSENCES_AFTER_EXIT)
    after = absences_after_exit(spells, defects.absences_after_exit, stream)
    stream = draws.stream(Draw.ABSENCES_ON_SATURDAYS)
    saturdays = absences_on_saturdays(absences, defects.absences_on_saturdays, stream)
    return with_absences(moved, pd.concat([marked, after, saturdays]))


def _visits(
    visits: pd.DataFrame, schools: pd.DataFrame, defects: Defects, draws: Draws
) -> pd.DataFrame:
    first = int(schools["school_year"].min())
    stream = draws.stream(Draw.DOUBLED_VISITS)
    doubled = double_visits(visits, defects.doubled_visits, stream)
    return early_visits(doubled, first, defects.early_visits, draws.stream(Draw.EARLY_VISITS))
