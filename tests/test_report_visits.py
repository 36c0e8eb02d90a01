"""A2, the visits that were made: counted by hand, and no few students given away."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pytest

from during_year import DAY, FALL, SPRING, SUMMER
from homevisit_eval.design import RiskSets
from homevisit_eval.panel import Panel
from homevisit_eval.report.visit_tables import visits_made
from homevisit_eval.table import Table
from tiny_panel import student_year, tiny_design, tiny_panel, visit

KINDS = {
    "once in the summer": [{"day": SUMMER}],
    "twice in the summer": [{"day": SUMMER}, {"day": SUMMER + 7 * DAY}],
    "two on one day": [{"day": SUMMER}, {"day": SUMMER, "program": "FEC", "mode": "virtual"}],
    "summer and spring": [{"day": SUMMER, "program": "FEC"}, {"day": SPRING}],
    "three in the year": [{"day": FALL + n * DAY, "mode": "virtual"} for n in (0, 30, 200)],
    "early childhood in spring": [{"day": SPRING, "program": "EC"}],
    "attempted": [{"day": SUMMER, "completed": 0}],
    "never": [],
}


def panel_of(**counts: int) -> Panel:
    """Return as many students of each kind as asked, twelve otherwise."""
    rows, visits = [], []
    for kind, made in KINDS.items():
        for number in range(counts.get(kind, 12)):
            who = f"{kind} {number}"
            rows.append(student_year(who, 2015, 3))
            visits += [visit(who, one["day"], **{k: v for k, v in one.items() if k != "day"})
                       for one in made]  # fmt: skip
    rows.append(student_year("another grade", 2015, 7))
    visits.append(visit("another grade", SUMMER))
    return tiny_panel(rows, visits)


def cells(table: Table) -> dict[tuple[str, str], str]:
    frame = table.frame
    return {
        (frame["what"][row], frame["visits"][row]): table.cell(row, "n")
        for row in range(len(frame))
    }


def test_student_years_by_time_program_mode_and_number() -> None:
    found = visits_made(panel_of(), tiny_design())
    assert found.name == "A2"
    shown = {key[1]: value for key, value in cells(found).items() if key[0] == "All"}
    assert shown == {"With a completed visit": "72"}
    by_section: dict[str, list[str]] = {}
    for (what, _), value in cells(found).items():
        by_section.setdefault(what, []).append(value)
    assert by_section == {
        "All": ["72"],
        "When the first visit was": ["48", "12", "12"],
        "Program of the first visit": ["36", "12", "12", "12"],
        "Mode of the first visit": ["48", "12", "12"],
        "Days with a visit before the school year": ["36", "12"],
        "Days with a visit before or during the school year": ["36", "24", "12"],
    }
    assert found.frame["share"][0] == pytest.approx(72 / 96)
    dose = found.frame[found.frame["what"] == "Days with a visit before the school year"]
    assert dose["share"].tolist() == pytest.approx([0.75, 0.25])


def test_spring_starts_on_the_day_that_the_design_says() -> None:
    late = replace(tiny_design(), risk_sets=RiskSets(spring_starts="06-01"))
    assert SPRING.month < 6
    found = cells(visits_made(panel_of(), late))
    assert found["When the first visit was", "Fall"] == "24"
    assert found["When the first visit was", "Spring"] == "0"


def test_few_visited_twice_do_not_follow_from_the_others() -> None:
    found = visits_made(panel_of(**{"twice in the summer": 4}), tiny_design())
    dose = found.frame[found.frame["what"] == "Days with a visit before the school year"].index
    assert found.cell(dose[1], "n") == "<10"
    assert pd.isna(found.frame["n"][dose[0]])
    assert found.frame["share"][dose].isna().all()


def test_without_any_visit_all_counts_are_none() -> None:
    nobody = dict.fromkeys(KINDS, 0) | {"never": 12}
    found = visits_made(panel_of(**nobody), tiny_design())
    assert set(cells(found).values()) == {"0"}
