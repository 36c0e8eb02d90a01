"""The page: complete, self-contained, accessible, and holding the numbers of its tables."""

from __future__ import annotations

import csv
import io
import math
import re
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import pytest

import fabricated
from homevisit_eval.design import NoMatching
from homevisit_eval.errors import EstimationError
from homevisit_eval.report import Report, build_report


@pytest.fixture(scope="module")
def report() -> Report:
    return build_report(fabricated.evaluation())


def with_secondary_outcomes(**changes: Any) -> Any:
    """Return an evaluation of which the last two outcomes are secondary."""
    evaluation = fabricated.evaluation(**changes)
    (answer,) = evaluation.answers
    first, second, *others = answer.effects
    answer.effects = (first, second, *(replace(one, role="secondary") for one in others))
    return evaluation


@pytest.fixture(scope="module")
def complete() -> Report:
    """Return the report of a real district with an odd name, where everything was computed."""
    evaluation = with_secondary_outcomes(synthetic=False, district="<b>& Sons", missing=())
    evaluation.answers[0].skipped = ()
    return build_report(evaluation)


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave drawings out where a statement is about words and tables."""
    fabricated.leave_out_drawings(monkeypatch)


class Cells(HTMLParser):
    """Reads back the numbers of one table, and checks that elements are closed in order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.table = ""
        self.values: dict[str, list[float]] = {}
        self.ids: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if "id" in given:
            self.ids.append(str(given["id"]))
        if tag == "table":
            self.table = str(given["id"]).removeprefix("table-")
        if "data-value" in given:
            self.values.setdefault(self.table, []).append(float(str(given["data-value"])))
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if "id" in given:
            self.ids.append(str(given["id"]))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def read_back(html: str) -> Cells:
    cells = Cells()
    cells.feed(html)
    assert cells.open == []
    return cells


def test_the_required_tables_and_figures_are_there(report: Report) -> None:
    names = {table.name.partition("_")[0] for table in report.tables}
    assert {"T1", "T2", "F1", "A1", "A3", "A8", "A9", "B1", "B10", "C8"} <= names
    assert [figure.name for figure in report.figures] == ["F2", "F1", "FA1"]
    everything = [one.name for one in (*report.tables, *report.figures)]
    assert len({table.name for table in report.tables}) == len(report.tables)
    assert all(re.fullmatch(r"[A-Za-z0-9_-]+", name) for name in everything), "file names"


def test_numbers_of_the_page_are_those_of_the_csv_and_of_python(report: Report) -> None:
    page = read_back(report.html).values
    for table in report.tables:
        rows = list(csv.DictReader(io.StringIO(table.to_csv_text())))
        numeric = [name for name in table.columns[1:] if table.kinds[name] != "text"]
        from_csv = [
            float(row[name])
            for row in rows
            for name in numeric
            if row[name] not in ("", "*", "<10")
        ]
        from_python = [
            float(table.frame[name].iloc[row])
            for row in range(len(table.frame))
            for name in numeric
            if not math.isnan(float(table.frame[name].astype(float).iloc[row]))
        ]
        assert page.get(table.name, []) == from_csv == from_python
    assert -0.0295 in page["T1"]


def test_the_page_needs_no_other_file(report: Report) -> None:
    assert not re.search(r"<script|<link|<img|<iframe|@import|@font-face", report.html)
    assert not re.search(r'(src|href)="(?!#)', report.html)
    assert not re.search(r"url\((?!#)", report.html)
    assert '<meta charset="utf-8">' in report.html
    assert "@media print" in report.html


def test_ids_are_unique_and_links_lead_somewhere(report: Report) -> None:
    ids = read_back(report.html).ids
    assert len(set(ids)) == len(ids)
    for target in re.findall(r'<a[^>]* href="#([^"]+)"', report.html):
        assert target in ids


def test_drawings_refer_to_shapes_of_their_own(report: Report) -> None:
    used = set(re.findall(r'(?:xlink:href="#|url\(#)([^")]+)', report.html))
    assert used
    assert used <= set(read_back(report.html).ids)


def test_synthetic_data_is_said_on_every_table_and_figure(report: Report) -> None:
    assert 'class="banner"' in report.html
    captions = re.findall(r"<caption>.*?</caption>", report.html, re.DOTALL)
    assert len(captions) == len(report.tables)
    assert all("Synthetic data" in caption for caption in captions)
    assert all("Synthetic data" in figure.svg for figure in report.figures)
    assert all("Synthetic data" in table.to_csv_text() for table in report.tables)
    assert all("Synthetic data" in table.text() for table in report.tables)


def test_a_real_district_has_no_banner(complete: Report) -> None:
    assert 'class="banner"' not in complete.html


def test_findings_come_first_in_plain_words(report: Report) -> None:
    assert report.html.index('id="findings"') < report.html.index('id="students"')
    assert "−2.95 <small>percentage points</small>" in report.html
    assert "The visited did clearly better in any disciplinary incident" in report.html
    assert "This is not a randomized trial." in report.html


def test_what_could_not_be_computed_is_said_above_the_findings(
    report: Report, complete: Report
) -> None:
    top = report.html[: report.html.index('id="findings"')]
    assert "What could not be computed" in top
    assert "surveys was not delivered" in top
    assert "No other district was delivered." in top
    assert "What could not be computed" not in complete.html


def test_a_result_not_to_be_relied_on_is_flagged_wherever_it_stands() -> None:
    evaluation = fabricated.evaluation()
    answer = evaluation.answers[0]
    answer.effects = (replace(answer.effects[0], df=2.1), *answer.effects[1:])
    report = build_report(evaluation)
    assert '<article class="card flagged">' in report.html
    assert "△ Not to be relied on: it rests on only 2.1 degrees of freedom" in report.html
    assert "What was found for any disciplinary incident is not to be relied on." in report.html
    assert "clearly better in any disciplinary incident" not in report.html
    assert report.summary.splitlines()[1].endswith("it rests on only 2.1 degrees of freedom.")
    drawing = next(one for one in report.figures if one.name == "F2")
    assert "Not to be relied on" in drawing.svg
    assert "not to be relied on" in drawing.alt


def test_without_matching_the_page_speaks_of_regression_alone() -> None:
    evaluation = fabricated.evaluation()
    answer = evaluation.answers[0]
    sample = answer.matched.sample
    matches = replace(
        answer.matched.matches,
        method=NoMatching(),
        estimand=fabricated.UNMATCHED,
        weights=answer.matched.matches.weights * 0 + 1,
        unmatched=answer.matched.matches.unmatched[:0],
        propensity=(),
        audit={},
    )
    answer.matched = replace(answer.matched, matches=matches)
    answer.effects = tuple(
        replace(
            one,
            estimand=fabricated.UNMATCHED,
            n_visited=sample.n_visited,
            n_comparison=sample.n_comparison,
        )
        for one in answer.effects
    )
    answer.sensitivity = ()
    html = build_report(evaluation).html
    flow = f"{sample.n_visited:,} and {sample.n_comparison:,} could be compared."
    assert f"{flow}</p>" in html, "candidates are found by name, and nothing was matched"
    for words in ("who were matched", "matched students who", "matched groups", "Matching kept",
                  "matched comparison students"):  # fmt: skip
        assert words not in html
    assert "the regression alone adjusts" in html


def test_figures_have_text_alternatives_and_tables_scroll_alone(report: Report) -> None:
    assert report.html.count('role="img" aria-label="') == len(report.figures)
    assert report.html.count('<div class="scroll') == len(report.tables)
    assert '<html lang="en">' in report.html


def test_the_same_evaluation_gives_the_same_report(report: Report) -> None:
    again = build_report(fabricated.evaluation())
    assert again.html == report.html
    assert [one.png for one in again.figures] == [one.png for one in report.figures]


def test_names_of_the_district_are_escaped(complete: Report) -> None:
    assert "&lt;b&gt;&amp; Sons" in complete.html
    assert "<b>" not in complete.html


def test_the_summary_is_for_a_terminal(report: Report) -> None:
    lines = report.summary.splitlines()
    assert lines[0] == "Synthetic data."
    assert lines[1].startswith("Any disciplinary incident was 2.95 percentage points less")
    assert "−" not in report.summary


COORDINATES = re.compile(r"""\s(?:d|x|y|points|transform|style)=("[^"]*"|'[^']*')""")


def test_an_effect_on_few_students_is_nowhere() -> None:
    evaluation = fabricated.evaluation()
    answer = evaluation.answers[0]
    few = (replace(answer.effects[0], n_visited=7), *answer.effects[1:])
    answer.effects, answer.sensitivity = few, ()
    report = build_report(evaluation)
    page = COORDINATES.sub("", report.html)  # where a figure draws may have any digits
    for text in (page, report.summary, *(t.to_csv_text() for t in report.tables)):
        assert "9.27" not in text
        assert "0.0927" not in text
    assert "too few students" in report.summary


@pytest.mark.usefixtures("undrawn")
def test_equivalence_is_not_claimed_for_what_is_hidden_or_not_in_the_model() -> None:
    balance = fabricated.balance()
    left_out = balance.table["covariate"] == "any_incident_prior"
    balance.table.loc[left_out, ["in_model", "wwc_category"]] = [False, "not satisfied"]
    evaluation = fabricated.evaluation()
    evaluation.answers[0].balance = {"any_incident": balance}
    page = build_report(evaluation).html
    assert "on 2 of the 5 characteristics shown" in page, "two of seven rows are hidden"
    assert "on 2 it does not hold" in page
    assert "does not adjust for the characteristic: any incident and mathematics score" in page


@pytest.mark.usefixtures("undrawn")
def test_a_finding_on_groups_that_were_not_alike_says_so_on_its_card() -> None:
    balance, said = fabricated.balance(), "not alike before the visit"
    evaluation = fabricated.evaluation()
    effect = evaluation.answers[0].effects[0]
    for category, labels in (
        ("satisfied", ()),
        ("adjustment required", ()),
        ("not satisfied", ("Any incident",)),
    ):
        balance.table["wwc_category"] = "satisfied"
        row = balance.table["covariate"] == "any_incident_prior"
        balance.table.loc[row, "wwc_category"] = category
        assert balance.not_equivalent == labels
        evaluation.answers[0].balance = {effect.outcome.name: balance}
        cards = build_report(evaluation).html.split('<div class="cards">')[1].split("figure")[0]
        assert cards.count(said) == len(labels), "one card of two"


@pytest.mark.usefixtures("undrawn")
def test_a_second_question_has_files_of_its_own() -> None:
    evaluation = fabricated.evaluation()
    first = evaluation.answers[0]
    second = type(first)(**vars(first))
    second.question = replace(fabricated.QUESTION, name="more", role="secondary")
    second.effects = tuple(
        replace(one, role="secondary", question="more") for one in first.effects[:1]
    )
    second.sensitivity, second.balance = (), {"again": fabricated.balance()}
    report = build_report(fabricated.evaluation(answers=(first, second)))
    assert {"T2", "T2_more", "F1_more", "A3_more"} <= {table.name for table in report.tables}
    assert len({table.name for table in report.tables}) == len(report.tables)
    read_back(report.html)


BEFOREHAND = "Secondary questions were asked beforehand"


def test_secondary_outcomes_stand_apart_from_the_key_findings(complete: Report) -> None:
    first, second, *others = with_secondary_outcomes().answers[0].effects
    found = {table.name: table.frame for table in complete.tables}
    labels = [[one.outcome.label for one in effects] for effects in ((first, second), others)]
    assert found["T1"]["outcome"].tolist() == labels[0]
    assert found["B5"]["outcome"].tolist() == labels[1]
    assert found["B5"]["estimate"].tolist() == [one.estimate for one in others]
    assert found["B1"]["outcome"].tolist() == [*labels[0], *labels[1]]
    (drawing,) = [one for one in complete.figures if one.name == "F2"]
    assert labels[0][0] in drawing.svg
    assert labels[1][0] not in drawing.svg
    page = complete.html
    assert BEFOREHAND not in page, "no design was registered"
    assert page.index('id="results"') < page.index('id="table-B5"') < page.index('id="table-B1"')
    read_back(page)


@pytest.mark.usefixtures("undrawn")
def test_secondary_outcomes_of_a_registered_design_were_asked_beforehand() -> None:
    evaluation = with_secondary_outcomes()
    evaluation.design = replace(evaluation.design, registered=evaluation.design)
    assert BEFOREHAND in build_report(evaluation).html


@pytest.mark.usefixtures("undrawn")
def test_without_a_primary_answer_secondary_outcomes_are_the_findings() -> None:
    evaluation = with_secondary_outcomes()
    (answer,) = evaluation.answers
    answer.effects = answer.effects[2:]
    found = {table.name: table.frame for table in build_report(evaluation).tables}
    assert found["T1"]["outcome"].tolist() == [one.outcome.label for one in answer.effects]
    assert "B5" not in found


@pytest.mark.usefixtures("undrawn")
def test_without_a_primary_answer_the_findings_say_so_first() -> None:
    evaluation = fabricated.evaluation()
    (answer,) = evaluation.answers
    answer.question = replace(fabricated.QUESTION, role="exploratory")
    answer.effects = tuple(replace(one, role="exploratory") for one in answer.effects)
    report = build_report(evaluation)
    assert "No primary question of the study is answered here" in report.summary
    page = report.html
    assert page.index("No primary question") < page.index('class="cards"')


def test_nothing_to_report_is_an_error() -> None:
    evaluation = fabricated.evaluation()
    evaluation.answers[0].effects = ()
    with pytest.raises(EstimationError, match="nothing to report"):
        build_report(evaluation)


def test_the_representation_is_short(report: Report) -> None:
    assert len(repr(report)) < 500
