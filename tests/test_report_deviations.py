"""Deviations from the registered design: table C6, and the word in every table and figure."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import fabricated
import homevisit_eval as hv
from commands import DATA, DESIGN, call_here
from homevisit_eval.design.design_file import REGISTERED_FILE, design_text
from homevisit_eval.evaluation import answer_questions, collect_answers
from homevisit_eval.report import build_report
from homevisit_eval.report.tables import deviations
from homevisit_eval.table import Table

STUDY = hv.read_design(DESIGN)
OF_THE_STUDY = ("A1", "A2", "B9_scales", "C6", "C8", "D1", "D2")
"""Tables that belong to no question."""

EVERY_KIND = (
    "summer_behavior", "summer_achievement", "year_behavior", "summer_later_years",
    "summer_engagement", "teacher_retention", "summer_by_female",
)  # fmt: skip


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave drawings out where a statement is about words and tables."""
    fabricated.leave_out_drawings(monkeypatch)


def rows(table: Table) -> list[tuple[str, ...]]:
    return [tuple(row) for row in table.frame.itertuples(index=False)]


def evaluation_of(**changes: Any) -> hv.Evaluation:
    """Return a fabricated evaluation of the study's design with changes."""
    design = replace(STUDY, **changes)
    answer = fabricated.evaluation().answers[0]
    answer.question = design.questions[0]
    made: hv.Evaluation = fabricated.evaluation(design=design, answers=(answer,))
    return made


# Table C6 -----------------------------------------------------------------------------------------


@pytest.mark.usefixtures("undrawn")
def test_without_a_registered_design_the_table_says_so() -> None:
    evaluation = evaluation_of()
    table = deviations(evaluation)
    checksum = hv.design_checksum(STUDY)
    assert rows(table) == [
        ("The designs", "version", "not given", "1", ""),
        ("The designs", "checksum", "not given", checksum[:12], ""),
    ]
    assert checksum in table.notes[0]
    page = build_report(evaluation).html
    assert "names no registered design" in page
    assert "Not all as registered" not in page


@pytest.mark.usefixtures("undrawn")
def test_the_registered_design_unchanged() -> None:
    evaluation = evaluation_of(registered=STUDY)
    assert [row[1:] for row in rows(deviations(evaluation))] == [
        ("version", "1", "1", ""),
        ("checksum", *[hv.design_checksum(STUDY)[:12]] * 2, ""),
    ]
    report = build_report(evaluation)
    assert "Every question is asked and answered as registered.</p>" in report.html
    assert "registered one" not in report.summary
    worded = build_report(evaluation_of(registered=replace(STUDY, title="Another"))).html
    assert "as registered. Only words or the order of entries differ." in worded


@pytest.mark.usefixtures("undrawn")
def test_every_deviation_with_what_follows() -> None:
    questions = (
        replace(STUDY.questions[0], label="Other words"),
        replace(STUDY.questions[1], outcomes=("chronic_absence",)),
        *STUDY.questions[3:],
        replace(STUDY.questions[0], name="new"),
    )
    first, second, *others = (one for one in STUDY.sensitivity if not one.questions)
    evaluation = evaluation_of(
        registered=replace(STUDY, sensitivity=(first, second, *others)),
        version="2",
        questions=questions,
        sensitivity=(replace(second, name="added"), *others),
        confidence_level=0.9,
        risk_sets=replace(STUDY.risk_sets, seed=2),
    )
    table = deviations(evaluation)
    found = {row[1]: (row[0], *row[2:]) for row in rows(table)}
    assert found["version"] == ("The designs", "1", "2", "")
    assert found["questions.summer_behavior_secondary.outcomes"] == (
        "Questions", ", ".join(STUDY.questions[1].outcomes), "chronic_absence",
        "exploratory: summer_behavior_secondary",
    )  # fmt: skip
    achievement = STUDY.question("summer_achievement").label
    assert found["questions.summer_achievement"] == (
        "Questions", achievement, "", "registered, not run",
    )  # fmt: skip
    assert found["questions.new"][3] == "not registered: exploratory"
    assert found["confidence_level"] == (
        "Shared by several questions", "0.95", "0.9", "exploratory: every question",
    )  # fmt: skip
    assert found["risk_sets.seed"][3] == (
        "exploratory: year_behavior, fall_behavior and spring_behavior"
    )
    assert found["sensitivity.never_visited"] == (
        "Other analyses", first.label, "", "registered, not run",
    )  # fmt: skip
    assert found["sensitivity.added"][3] == "not registered: exploratory"
    assert found["questions.summer_behavior.label"] == (
        "Words only", STUDY.questions[0].label, "Other words", "no number changes",
    )  # fmt: skip
    assert "fewer of them are adjusted together" in table.notes[1]
    report = build_report(evaluation)
    top = report.html[: report.html.index('id="findings"')]
    said = "The design differs from the registered one in 8 places"
    assert said in top
    assert 'href="#deviations"' in top
    assert said in report.summary


def test_what_was_asked_beside_the_design_is_listed() -> None:
    evaluation = evaluation_of()
    answer = evaluation.answers[0]
    answer.question = replace(answer.question, name="other", label="Asked later")  # type: ignore[misc]
    assert rows(deviations(evaluation))[-1] == (
        "Asked beside the design", "questions.other", "", "Asked later", "exploratory",
    )  # fmt: skip


# The word in every table and figure ---------------------------------------------------------------


def short_design(*names: str, **changes: Any) -> hv.StudyDesign:
    """Return a design with some questions of the study, of which none is as registered."""
    variations = ("cr1", "no_later_visit", "whole_year")
    short = replace(
        STUDY,
        **changes,
        questions=tuple(one for one in STUDY.questions if one.name in names),
        sensitivity=tuple(
            one
            for one in STUDY.sensitivity
            if one.name in variations and set(one.questions) <= set(names)
        ),
        timing_contrasts=STUDY.timing_contrasts if "year_behavior" in names else (),
    )
    return replace(short, registered=short, confidence_level=0.9)


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a run whose design differs from the one that its file names."""
    folder = tmp_path_factory.mktemp("study")
    design = short_design("summer_behavior", school_years=(2015,))
    assert design.registered is not None
    (folder / "study.toml").write_text(design_text(design), encoding="utf-8")
    (folder / REGISTERED_FILE).write_text(design_text(design.registered), encoding="utf-8")
    done = call_here("run", DATA, "--design", folder / "study.toml", "--out", folder / "out")
    assert done.returncode == 0, done.stderr
    assert "differs from the registered one in 1 place;" in done.stdout
    return folder / "out"


def test_a_run_names_both_designs_and_can_be_repeated_from_its_folder(result: Path) -> None:
    design = short_design("summer_behavior", school_years=(2015,))
    assert design.registered is not None
    assert hv.read_design(result / "study.toml") == design
    manifest = json.loads((result / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["design"]["checksum"] == hv.design_checksum(design)
    assert manifest["registered"] == {
        "title": STUDY.title,
        "version": STUDY.version,
        "checksum": hv.design_checksum(design.registered),
    }
    assert REGISTERED_FILE in manifest["outputs"]


def test_every_table_of_a_question_that_deviates_says_exploratory(result: Path) -> None:
    texts = {path.stem: path.read_text("utf-8") for path in (result / "tables").glob("*.csv")}
    own = {name: text for name, text in texts.items() if name not in OF_THE_STUDY}
    assert {"T1", "T2", "F1", "A3", "A8_any_incident", "A9", "B1", "B10", "B14"} <= set(own)
    assert {"B15", "B16", "B17", "B18"} <= set(own), "the label does not change what is computed"
    for name, text in own.items():
        lines = text.splitlines()[1:]
        assert all("exploratory" in line for line in lines), name
        assert "(primary" not in text, name
    page = (result / "report.html").read_text("utf-8")
    assert "No primary question of the study is answered here" in page
    assert "(primary question)" not in page
    assert '<p class="asked">' in page


def test_every_figure_of_effects_says_exploratory(result: Path) -> None:
    for name in ("F2", "F4"):
        assert "exploratory" in (result / "figures" / f"{name}.svg").read_text("utf-8"), name


def test_a_registered_file_that_is_not_there_stops_the_run(tmp_path: Path) -> None:
    path = tmp_path / "study.toml"
    text = DESIGN.read_text("utf-8")
    path.write_text(f'registered = "nowhere.toml"\n{text}', encoding="utf-8")
    done = call_here("run", DATA, "--design", path, "--out", tmp_path / "out")
    assert done.returncode == 3
    assert done.stderr.startswith(f"DesignError: {tmp_path / 'nowhere.toml'}: there is no such")
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_tables_and_figures_of_every_kind_of_question_say_exploratory() -> None:
    design = short_design(*EVERY_KIND)
    with hv.read_sources(DATA) as sources:
        panel = hv.build_panel(sources, design.measurement)
        evaluation = collect_answers(panel, design, answer_questions(panel, design))
        report = build_report(evaluation, panel)
    assert {one.role for one in evaluation.effects} == {"exploratory"}
    own = [table for table in report.tables if table.name not in OF_THE_STUDY]
    assert {"T3", "B4", "B6", "B7", "B8", "B9", "B15"} <= {table.number for table in own}
    for table in own:
        for text in (table.text(), table.to_csv_text()):
            assert "exploratory" in text, table.name
            assert "(primary" not in text, table.name
    drawn = {one.name: one for one in report.figures if one.name.split("_")[0][1:] in "2345"}
    assert {"F2", "F3", "F3-1_year_behavior_attendance_rate", "F4", "F5"} <= set(drawn)
    for name, figure in drawn.items():
        assert "exploratory" in figure.svg, name
        assert "exploratory" in figure.alt, name
