"""The defects of real extracts: each occurs, is decided or resolved, and changes what it says."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from functools import cache

import numpy as np
import pandas as pd
import pytest

from homevisit_eval.errors import DesignError
from homevisit_eval.panel import PanelCount, build_panel
from homevisit_eval.sources import read_sources
from homevisit_eval.synthetic import (
    TABLES,
    Defects,
    District,
    SchoolMix,
    Simulation,
    preset,
    simulate,
    write_simulation,
)
from homevisit_eval.synthetic.defects import with_defects
from homevisit_eval.synthetic.draws import Draws

KEYS = ["student_id", "school_year"]
NAMES = tuple(one.name for one in fields(Defects))
NEVER = Defects(**dict.fromkeys(NAMES, 0.0))
RATES = {"attendance_rate", "on_time_attendance_rate", "chronic_absence", "chronic_truancy"}
ABSENT = {"days_absent", "days_excused", "days_unexcused", "days_unexcused_full", "days_tardy"}
DISCIPLINE = {
    "incidents", "any_incident", "any_serious_incident", "any_suspension", "days_suspended",
}  # fmt: skip
SCORES = {"math_score_std", "reading_score_std"}

DECIDED = {
    "absences_after_exit": {"outside_enrollment"},
    "absences_at_old_school": {"outside_enrollment"},
    "absences_on_saturdays": {"not_instructional"},
    "overlapping_transfers": {"overlapping_schools", "other_school_counts"},
    "summer_registrations": {"no_instructional_day"},
    "early_visits": {"outside_school_years"},
}
"""The decisions that a defect must lead to; others lead to none."""

TABLES_OF = {
    "overlapping_transfers": {"enrollments", "absences"},
    "split_spells": {"enrollments"},
    "summer_registrations": {"enrollments"},
    "incidents_after_exit": {"incidents"},
    "doubled_visits": {"visits"},
    "early_visits": {"visits"},
    "lost_scores": {"assessments"},
    "retests": {"assessments"},
    "renamed_schools": {"schools"},
    "long_calendars": {"calendar"},
}
"""The tables that a defect changes; others change the absences."""

CHANGES = {
    "incidents_after_exit": DISCIPLINE,
    "absences_at_old_school": ABSENT | RATES,
    "overlapping_transfers": {"days_enrolled", "school_id_count_date"} | RATES,
    "lost_scores": SCORES,
    "retests": SCORES,
}
"""Columns of the panel that may differ from what happened; others than these stay as they are."""

GROUPS: Mapping[str, Mapping[str, float]] = {
    "harmless": dict.fromkeys([name for name in NAMES if name not in CHANGES], 0.5),
    "old schools": {"absences_at_old_school": 0.5, "incidents_after_exit": 1.0, "retests": 0.5},
    "transfers": {"overlapping_transfers": 1.0, "lost_scores": 0.5},
}
"""Kinds of defects that are delivered together: no two of a group change the same columns."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Delivered:
    """What the loader and the panel make of a simulation."""

    simulation: Simulation
    rules: Mapping[str, int]
    counts: tuple[PanelCount, ...]
    students: pd.DataFrame
    visits: pd.DataFrame


def district(defects: Defects | None) -> District:
    """Return six schools and two years, with many who come and go."""
    mix = SchoolMix(elementary=6, students=1300, program_share=(0.6, 0.6))
    small = preset("small")
    mobility = replace(small.mobility, leave_during=0.12, transfer_during=0.12)
    return replace(
        small,
        name="defects",
        school_years=(2014, 2015),
        schools=mix,
        mobility=mobility,
        truth_years=(2015,),
        defects=defects,
    )


def deliver(simulation: Simulation) -> Delivered:
    with tempfile.TemporaryDirectory() as folder:
        write_simulation(simulation, folder)
        with read_sources(folder) as sources:
            panel = build_panel(sources)
            rules = {problem.rule: problem.count for problem in sources.decisions}
            students, visits = panel.to_pandas(), panel.to_pandas("visits")
            return Delivered(simulation, rules, panel.counts, students, visits)


@cache
def perfect() -> Simulation:
    return simulate(district(None), 5)


@cache
def only(name: str, share: float = 0.5) -> Mapping[str, pd.DataFrame]:
    """Return the tables of a district with one kind of defect."""
    return with_defects(perfect().tables, replace(NEVER, **{name: share}), Draws(5))


@cache
def together(group: str) -> Delivered:
    """Return a district with the kinds of a group, through its files."""
    defects = replace(NEVER, **GROUPS[group])
    return deliver(simulate(district(defects), 5, outcomes=()))


@cache
def usual() -> Simulation:
    return simulate(district(Defects()), 5)


@cache
def messy() -> Delivered:
    return deliver(simulate("messy", 1, outcomes=()))


def differing(delivered: Delivered) -> dict[str, float]:
    """Return the share of student-years in which a column of the panel is not what happened."""
    true = delivered.simulation.student_years
    both = delivered.students.merge(true, on=KEYS, suffixes=("", "_true"), validate="1:1")
    assert len(both) == len(true) == len(delivered.students)
    shares = {}
    for name in true.columns:
        if f"{name}_true" not in both:
            continue
        seen, was = both[name], both[f"{name}_true"]
        if pd.api.types.is_numeric_dtype(was):
            close = np.isclose(
                seen.astype(float), was.astype(float), rtol=0, atol=1e-9, equal_nan=True
            )
        else:
            close = ((seen == was) | (seen.isna() & was.isna())).to_numpy()
        if not close.all():
            shares[name] = float(1 - close.mean())
    return shares


def used(delivered: Delivered, note: str) -> tuple[int, int]:
    """Return rows in and used of the panel's step whose note begins so."""
    ((rows_in, rows_used),) = [
        (one.rows_in, one.rows_used) for one in delivered.counts if one.note.startswith(note)
    ]
    return rows_in, rows_used


# -- all kinds ------------------------------------------------------------------------------


def test_without_defects_nothing_differs() -> None:
    clean = simulate(district(NEVER), 5, outcomes=()).tables
    for name in TABLES:
        pd.testing.assert_frame_equal(clean[name], perfect().tables[name], check_dtype=False)


@pytest.mark.parametrize("name", NAMES)
def test_each_defect_changes_its_tables_and_no_other(name: str) -> None:
    tables, before = only(name), perfect().tables
    changed = {
        one for one in TABLES if not tables[one].astype(before[one].dtypes).equals(before[one])
    }
    assert changed == TABLES_OF.get(name, {"absences"})


def test_every_kind_is_delivered_in_a_group() -> None:
    assert sorted(name for group in GROUPS.values() for name in group) == sorted(NAMES)
    for group in GROUPS.values():
        columns = [one for name in group for one in CHANGES.get(name, ())]
        assert len(columns) == len(set(columns))


@pytest.mark.parametrize("group", GROUPS)
def test_defects_lead_to_their_decisions_only(group: str) -> None:
    rules = set(together(group).rules)
    expected = set().union(*(DECIDED.get(name, set()) for name in GROUPS[group]))
    assert expected <= rules
    if group != "harmless":
        expected |= {"not_instructional", "other_school_counts"}
    assert rules <= expected


@pytest.mark.parametrize("group", GROUPS)
def test_defects_change_the_measures_they_name_and_no_other(group: str) -> None:
    found = set(differing(together(group)))
    named = [CHANGES[name] for name in GROUPS[group] if name in CHANGES]
    assert found <= set().union(*named)
    assert all(found & columns for columns in named)


def test_defects_change_neither_what_happened_nor_the_truth() -> None:
    pd.testing.assert_frame_equal(usual().student_years, perfect().student_years)
    pd.testing.assert_frame_equal(usual().truth, perfect().truth)


def test_a_districts_defects_are_those_of_its_seed() -> None:
    again, other = (with_defects(perfect().tables, Defects(), Draws(seed)) for seed in (5, 6))
    for name in TABLES:
        pd.testing.assert_frame_equal(again[name], usual().tables[name])
    for name in ("enrollments", "absences", "incidents", "assessments", "visits"):
        assert not again[name].equals(other[name]), name


def test_the_tables_given_stay_as_they_are() -> None:
    before = {name: table.copy() for name, table in perfect().tables.items()}
    with_defects(perfect().tables, Defects(), Draws(5))
    for name in TABLES:
        pd.testing.assert_frame_equal(perfect().tables[name], before[name])


FROM_OTHERS = ("absences", "incidents", "visits", "calendar")
"""Tables whose defects follow from other tables."""


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[] if name in FROM_OTHERS else pytest.mark.slow) for name in TABLES],
)
def test_a_table_with_defects_does_not_depend_on_which_others_are_made(name: str) -> None:
    alone = simulate(district(Defects()), 5, tables=(name,), outcomes=())
    assert list(alone.tables) == [name]
    pd.testing.assert_frame_equal(alone.tables[name], usual().tables[name])


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_all_defects_together_and_often_are_still_accepted(seed: int) -> None:
    """The default run has all defects together in the preset `messy` (below)."""
    often = replace(Defects(**dict.fromkeys(NAMES, 1.0)), lost_scores=0.4)
    often = replace(often, absences_at_old_school=0.5)
    found = deliver(simulate(district(often), seed, outcomes=()))
    assert set(found.rules) == set().union(*DECIDED.values())


@pytest.mark.parametrize("share", [-0.1, 1.5, float("nan"), "often"])
def test_a_rate_is_a_share(share: float) -> None:
    with pytest.raises(DesignError, match=r"Defects\.retests"):
        Defects(retests=share)


# -- the preset: which measures differ, in how many student-years ---------------------------

LARGEST_SHARE = {
    "days_enrolled": 0.02,
    "school_id_count_date": 0.002,
    "attendance_rate": 0.03,
    "on_time_attendance_rate": 0.03,
    "chronic_absence": 0.002,
    "chronic_truancy": 0.002,
    **dict.fromkeys(ABSENT, 0.02),
    **dict.fromkeys(DISCIPLINE, 0.002),
    **dict.fromkeys(SCORES, 0.55),
}


def test_messy_shows_every_decision_about_rows() -> None:
    assert set(messy().rules) == set().union(*DECIDED.values())
    assert all(count >= 10 for count in messy().rules.values())


def test_messy_is_measured_as_it_happened_but_for_stated_shares() -> None:
    shares = differing(messy())
    assert set(shares) <= set(LARGEST_SHARE)
    assert {"days_enrolled", "attendance_rate", "incidents", "math_score_std"} <= set(shares)
    for name, share in shares.items():
        assert share <= LARGEST_SHARE[name], name


def test_messy_scores_differ_by_little_where_no_retest_counts() -> None:
    true = messy().simulation.student_years
    both = messy().students.merge(true, on=KEYS, suffixes=("", "_true"))
    for name in SCORES:
        apart = (both[name] - both[f"{name}_true"]).abs()
        assert (apart > 0.1).mean() < 0.01
        lost = both[name].isna() & both[f"{name}_true"].notna()
        assert 0.02 < lost.sum() / both[f"{name}_true"].notna().sum() < 0.04
        assert both.loc[lost, f"{name}_true"].mean() < -0.3  # not at random


# -- each kind by itself --------------------------------------------------------------------


def added(name: str, table: str) -> pd.DataFrame:
    """Return the rows of a table that only the district with the defect has."""
    old, new = perfect().tables[table], only(name)[table]
    merged = new.merge(old.drop_duplicates(), how="left", indicator="origin")
    return merged[merged["origin"] == "left_only"].drop(columns="origin")


def test_absences_after_the_exit_are_of_students_who_left() -> None:
    rows = added("absences_after_exit", "absences")
    spells = perfect().tables["enrollments"]
    last = spells.groupby("student_id")["exit_date"].agg(lambda dates: dates.iloc[-1])
    wait = (rows["date"] - rows["student_id"].map(last)).dt.days
    assert len(rows) > 100
    assert wait.between(1, 7).all()
    assert together("harmless").rules["outside_enrollment"] <= len(rows)


def test_absences_at_the_old_school_were_at_the_new_one() -> None:
    old, new = perfect().tables["absences"], only("absences_at_old_school")["absences"]
    moved = old["school_id"] != new["school_id"]
    assert 50 < moved.sum() < 0.05 * len(old)
    spells = perfect().tables["enrollments"]
    pairs = old[moved].merge(spells, on=["student_id", "school_id"])
    inside = pairs["date"] >= pairs["entry_date"]
    assert inside.groupby([pairs["student_id"], pairs["date"]]).any().all()
    columns = [name for name in old.columns if name != "school_id"]
    pd.testing.assert_frame_equal(old[columns], new[columns])


def test_absences_on_saturdays_follow_another_record() -> None:
    rows = added("absences_on_saturdays", "absences")
    assert (rows["date"].dt.day_of_week == 5).all()
    calendar = perfect().tables["calendar"]
    open_days = calendar.loc[calendar["instructional"] == 1, "date"]
    holidays = (~added("absences_after_exit", "absences")["date"].isin(open_days)).sum()
    assert together("harmless").rules["not_instructional"] == len(rows) + holidays
    assert len(rows) > 10 * holidays


def test_incidents_after_the_exit_lie_in_no_spell() -> None:
    note = "records dated within an enrollment spell"
    rows_in, rows_used = used(together("old schools"), note)
    whole_in, whole_used = used(together("harmless"), note)
    assert rows_in == whole_in == whole_used
    old, new = (made["incidents"] for made in (perfect().tables, only("incidents_after_exit", 1.0)))
    late = new[new["date"] != old["date"]]
    assert len(late) >= 5
    assert rows_in - rows_used == (late["role"] == "perpetrator").sum() > 0


def test_overlapping_transfers_are_of_two_schools() -> None:
    spells = only("overlapping_transfers", 1.0)["enrollments"]
    both = spells.merge(spells, on=KEYS, suffixes=("", "_new"))
    both = both[both["entry_date"] < both["entry_date_new"]]
    assert len(both) > 50
    late = (both["exit_date"] - both["entry_date_new"]).dt.days
    assert late.between(0, 10).all()
    assert (both["school_id"] != both["school_id_new"]).all()
    assert together("transfers").rules["overlapping_schools"] == 2 * len(both)


def test_split_spells_are_one_spell_in_two_rows() -> None:
    old, spells = perfect().tables["enrollments"], only("split_spells")["enrollments"]
    after = spells.shift(-1)
    same = [*KEYS, "school_id", "grade"]
    split = (spells[same] == after[same]).all(axis=1)
    assert split.sum() == len(spells) - len(old) > 500
    gap = (after["entry_date"] - spells["exit_date"])[split].dt.days
    assert (gap == 1).all()
    whole = spells[~split].reset_index(drop=True)
    pd.testing.assert_series_equal(whole["exit_date"], old["exit_date"])


def test_summer_registrations_have_no_day() -> None:
    rows = added("summer_registrations", "enrollments")
    assert len(rows) > 500
    assert rows["entry_date"].dt.month.eq(7).all()
    found = together("harmless")
    spells = found.simulation.tables["enrollments"]
    assert found.rules["no_instructional_day"] == spells["entry_date"].dt.month.eq(7).sum() > 500
    _, attending = used(found, "spells at a school where")
    assert attending == len(spells)


def test_doubled_visits_have_two_identifiers() -> None:
    visits = only("doubled_visits")["visits"]
    whole = len(perfect().tables["visits"])
    columns = [name for name in visits.columns if name != "visit_id"]
    assert visits["visit_id"].is_unique
    assert visits.duplicated(columns).sum() == len(visits) - whole > 50


def test_early_visits_are_before_the_extracts_begin() -> None:
    rows = added("early_visits", "visits")
    assert len(rows) > 10
    assert (rows["date"] < pd.Timestamp("2013-07-01")).all()


def test_doubled_and_early_visits_are_in_the_panel() -> None:
    found = together("harmless")
    visits = found.simulation.tables["visits"]
    early = (visits["date"] < pd.Timestamp("2013-07-01")).sum()
    assert found.rules["outside_school_years"] == early > 10
    assert len(found.visits) == len(visits) > len(perfect().tables["visits"]) + early + 50


def test_lost_scores_are_the_low_ones() -> None:
    old, new = perfect().tables["assessments"], only("lost_scores", 0.3)["assessments"]
    cell = ["instrument", "subject", "grade", "school_year"]
    merged = old.merge(new, how="left", indicator="origin")
    lost = merged["origin"] == "left_only"
    assert lost.mean() == pytest.approx(0.3, abs=0.04)
    low = old["scale_score"] < old.groupby(cell)["scale_score"].transform("median")
    assert lost[low].mean() > lost[~low].mean() + 0.15


def test_retests_are_of_another_test_or_grade() -> None:
    rows = added("retests", "assessments")
    other = rows["instrument"] == "other"
    assert other.sum() > 50
    assert (~other).sum() > 50
    key = ["student_id", "school_year", "subject"]
    scores = only("retests")["assessments"]
    assert not scores.duplicated([*key, "instrument", "grade"]).any()
    comparable, one = used(together("old schools"), "one score per student")
    assert comparable > one == len(perfect().tables["assessments"])


def test_renamed_schools_keep_their_identifier() -> None:
    schools = only("renamed_schools")["schools"]
    names = schools.groupby("school_id")["name"].nunique()
    assert 0 < (names == 2).sum() < len(names)
    assert names.max() == 2
    rest = [name for name in schools.columns if name != "name"]
    pd.testing.assert_frame_equal(schools[rest], perfect().tables["schools"][rest])


def test_long_calendars_have_every_day_of_the_year() -> None:
    rows = added("long_calendars", "calendar")
    assert len(rows) > 0
    assert rows.groupby(["school_id", "school_year"]).size().between(365, 366).all()
    assert not rows.duplicated(["school_id", "date"]).any()
    open_days = rows.groupby(["school_id", "school_year"])["instructional"].sum()
    assert (open_days == 180).all()
