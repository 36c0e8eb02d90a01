"""A certificate in print: the same numbers on the page, in the CSV and in Python; plain verdicts.

The trials are fabricated (see `fabricated_certificate`), so nothing is simulated here.
"""

from __future__ import annotations

import csv
import math
import os
import re
from collections.abc import Iterable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

import fabricated_certificate
import test_browser
from homevisit_eval.certificate import (
    Certificate,
    Estimated,
    Mode,
    Replication,
    collect_certificate,
)
from homevisit_eval.errors import DesignError, EstimationError
from homevisit_eval.report import Report, build_certificate, figures, tables
from homevisit_eval.report.certificate_figures import bias_limit
from homevisit_eval.table import Table

BOTH = ("redrawn", "fixed")


@pytest.fixture(scope="module")
def certificate() -> Certificate:
    return fabricated_certificate.certificate(160, modes=BOTH)


@pytest.fixture(scope="module")
def report(certificate: Certificate) -> Report:
    return build_certificate(certificate)


@pytest.fixture
def unpainted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out the PNG files, which take as long as the figures and are not in the page."""
    monkeypatch.setattr(figures, "to_png", lambda figure: b"")


def two_designs(replications: Iterable[Replication], preset: str = "small") -> Certificate:
    """Return the certificate of the study's design and one other, which are drawn quickly."""
    kept = ("main", "never_visited")
    shorter = [
        replace(one, trials=tuple(trial for trial in one.trials if trial.design in kept))
        for one in replications
    ]
    return collect_certificate(fabricated_certificate.DESIGN, preset, 1, shorter)


class Page(HTMLParser):
    """Collects the full-precision values of each table and the text of the page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.values: dict[str, list[float]] = {}
        self.text: list[str] = []
        self.table = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        if tag == "table":
            self.table = (attributes.get("id") or "").removeprefix("table-")
        if value := attributes.get("data-value"):
            self.values.setdefault(self.table, []).append(float(value))

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def rows_of(report: Report, name: str) -> list[dict[str, str]]:
    (table,) = [table for table in report.tables if table.name == name]
    return list(csv.DictReader(table.to_csv_text().splitlines()))


def test_page_csv_and_performance_hold_the_same_numbers(
    certificate: Certificate, report: Report
) -> None:
    shown = Page(report.html).values
    for name, mode in (("R2", "redrawn"), ("R2_fixed", "fixed")):
        main = {
            one.outcome_label: one
            for one in certificate.performance
            if one.mode == mode and one.design == "main"
        }
        rows = rows_of(report, name)
        assert {row["outcome"] for row in rows} == set(main)
        measures = {row["field"] for row in rows}
        assert {"truth_all", "truth_kept", "drift", "naive_bias", "bias", "rmse"} <= measures
        assert {"se_ratio", "coverage_expected", "power_published", "largest_smd"} <= measures
        for row in rows:
            figure: Estimated = getattr(main[row["outcome"]], row["field"])
            assert float(row["value"]) == figure.value
            assert float(row["std_error"]) == figure.std_error
            assert {figure.value, figure.std_error, figure.ci_low} <= set(shown[name])


def test_every_design_stands_in_the_grid(certificate: Certificate, report: Report) -> None:
    rows = rows_of(report, "R3")
    of_mode = [one for one in certificate.performance if one.mode == "redrawn"]
    assert len(rows) == len(of_mode) > 30
    by_place = {(one.design, one.outcome_label): one for one in of_mode}
    labels = {one.outcome: one.outcome_label for one in of_mode}
    for row in rows:
        one = by_place[row["name"], row["outcome"]]
        assert float(row["bias"]) == one.bias.value
        assert float(row["coverage_se"]) == one.coverage_expected.std_error
    failing = {
        (row["name"], row["outcome"]) for row in rows if row["verdict_bias"].endswith("Fail")
    }
    assert failing == {
        (one.design, by_place[one.design, labels[one.outcome]].outcome_label)
        for one in certificate.verdicts
        if (one.mode, one.question, one.verdict) == ("redrawn", "bias", "fail")
    }
    assert "never_visited" in {design for design, _ in failing}


def test_spread_over_fixed_districts(certificate: Certificate, report: Report) -> None:
    rows = rows_of(report, "R4")
    main = next(one for one in certificate.performance if one.mode == "fixed")
    assert main.bias_spread is not None
    assert float(rows[0]["maximum"]) == main.bias_spread.maximum
    assert len(rows) == 4
    with pytest.raises(EstimationError, match="certify in mode fixed"):
        tables.certificate_districts(fabricated_certificate.certificate(5))


def test_verdicts_come_first_in_words_and_labels(certificate: Certificate, report: Report) -> None:
    text = " ".join(Page(report.html).text)
    assert text.index("Verdicts") < text.index("Which choices of the design matter?")
    main = next(one for one in certificate.performance)
    bias = f"{main.bias.value * 100:+.3f}"
    assert f"the design's estimate is off by {bias.replace('-', '−')} percentage points" in text
    assert "● Pass" in text.replace("\N{NO-BREAK SPACE}", " ")
    for verdict in certificate.verdicts:
        if verdict.design == "main" and verdict.mode == "redrawn":
            assert verdict.reason[:20].replace(" %", "%").replace("-", "−") in text


def test_a_null_district_is_asked_for_false_positives(unpainted: None) -> None:
    null = two_designs(fabricated_certificate.replications(100, null=True), preset="null")
    report = build_certificate(null)
    assert "Does it stay silent where visits do nothing?" in report.html
    assert "p &lt; .05) in" in report.html
    fields = {row["field"] for row in rows_of(report, "R2")}
    assert "rejection" in fields
    assert "power" not in fields, "there is no effect to find"


def test_what_was_stated_beforehand_stands_beside_what_came_out() -> None:
    hidden = fabricated_certificate.certificate(100, preset="hidden_confounding")
    table = tables.certificate_expectations(hidden)
    assert table is not None
    main = table.frame[table.frame["design"] == "The design of the study"]
    assert main["expected"].str.endswith("Fail").all()
    assert set(main["as_expected"]) <= {"NO", "not decided"}, "the fabricated design has no bias"
    changed = replace(hidden, expected={})
    assert tables.certificate_expectations(changed) is None


def test_trials_without_an_estimate_are_counted_and_said(unpainted: None) -> None:
    made = fabricated_certificate.replications(40)
    first = made[0]
    failed = tuple(
        replace(trial, estimate=math.nan, problem="too few matched") for trial in first.trials[:2]
    )
    spoiled = replace(first, trials=(*failed, *first.trials[2:]))
    report = build_certificate(two_designs([spoiled, *made[1:]]))
    assert "gave no estimate" in report.summary
    assert "the replication enters no figure: 2 times" in report.html


@pytest.mark.parametrize("outcomes", [{"any_incident"}, {"any_incident", "attendance_rate"}])
def test_a_design_that_never_gives_an_estimate_is_reported_as_such(
    outcomes: set[str], unpainted: None
) -> None:
    nothing = dict.fromkeys(
        ("estimate", "std_error", "df", "ci_low", "ci_high", "p_value"), math.nan
    )
    made = [
        replace(
            one,
            trials=tuple(
                replace(trial, problem="no match", **nothing)
                if trial.design == "main" and trial.outcome in outcomes
                else trial
                for trial in one.trials
            ),
        )
        for one in fabricated_certificate.replications(3)
    ]
    report = build_certificate(two_designs(made))
    assert "No replication gave an estimate" in " ".join(Page(report.html).text)
    assert "nan" not in report.html.lower().replace("financial", "")


@pytest.mark.parametrize(
    ("count", "mode"),
    [
        (1, "fixed"),
        (2, "redrawn"),
        pytest.param(1, "redrawn", marks=pytest.mark.slow),
        pytest.param(2, "fixed", marks=pytest.mark.slow),
    ],
)
def test_few_replications_decide_nothing_and_print_no_nan(
    count: int, mode: Mode, unpainted: None
) -> None:
    made = fabricated_certificate.replications(count, mode=mode)
    report = build_certificate(two_designs(made))
    assert "nan" not in report.html.lower()
    assert "passes 0 of 4 checks" in report.html


def test_everything_says_that_the_data_are_synthetic(report: Report) -> None:
    assert all(table.synthetic for table in report.tables)
    for drawing in report.figures:
        assert "Synthetic data" in drawing.svg
        assert drawing.png.startswith(b"\x89PNG")
    assert "No student, teacher or school here exists" in report.html


def test_the_page_needs_nothing_from_elsewhere(report: Report) -> None:
    assert re.findall(r"""(?:src|href)\s*=\s*["'](?!#|data:)([^"']+)""", report.html) == []
    assert "<script" not in report.html
    ids = re.findall(r'\bid="([^"]+)"', report.html)
    assert len(ids) == len(set(ids))


def test_the_page_fits_a_phone(report: Report, tmp_path: Path) -> None:
    if test_browser.BROWSER is None:
        if os.environ.get("HOMEVISIT_EVAL_NO_SKIPS"):
            pytest.fail("no browser, and nothing may be skipped here")
        pytest.skip("no browser on this machine")
    assert test_browser.width_on_a_phone(report.html, tmp_path) <= test_browser.PHONE


def test_the_same_certificate_gives_the_same_bytes(unpainted: None) -> None:
    made = fabricated_certificate.replications(20)
    report, again = (build_certificate(two_designs(made)) for _ in range(2))
    assert again.html == report.html
    assert [one.svg for one in again.figures] == [one.svg for one in report.figures]


# Figures


def test_bias_is_drawn_where_it_is_with_the_limits_of_the_rule(certificate: Certificate) -> None:
    ax = figures.bias_by_design(certificate, outcome="any_incident").axes[0]
    mine = [
        one
        for one in certificate.performance
        if (one.mode, one.outcome) == ("redrawn", "any_incident")
    ]
    marks = [float(line.get_xdata()[0]) for line in ax.lines if line.get_marker() in "oDs|"]
    assert marks == pytest.approx([one.bias.value * 100 for one in mine])
    main = mine[0]
    limit = min(0.25 * main.mean_std_error.value, 0.1 * abs(main.naive_bias.value))
    assert bias_limit(main) == limit
    band = ax.collections[0].get_paths()[0].vertices[:, 0]
    assert (band.min(), band.max()) == pytest.approx((-limit * 100, limit * 100))


def test_designs_that_differ_in_standard_errors_only_are_drawn_once_for_their_bias(
    certificate: Certificate,
) -> None:
    first, *others = certificate.performance
    twin = replace(first, design="twin", label="Other standard errors", se_ratio=first.rmse)
    both = replace(certificate, performance=(first, twin, *others))
    assert "Other standard errors" not in figures.bias_by_design_alt_text(both)
    assert "Other standard errors" in figures.coverage_by_design_alt_text(both)


def test_coverage_is_drawn_beside_its_band(certificate: Certificate) -> None:
    redrawn, fixed = (
        figures.coverage_by_design(certificate, outcome="any_incident", mode=mode).axes[0]
        for mode in BOTH
    )
    ends = [
        (band.vertices[:, 0].min(), band.vertices[:, 0].max())
        for band in (ax.collections[0].get_paths()[0] for ax in (redrawn, fixed))
    ]
    assert [round(float(end), 6) for pair in ends for end in pair] == [92.5, 97.5, 92.5, 100]


def test_marks_tell_verdicts_apart_without_color(certificate: Certificate) -> None:
    ax = figures.bias_by_design(certificate, outcome="any_incident").axes[0]
    marks = {
        (line.get_marker(), line.get_markerfacecolor() == "white")
        for line in ax.lines
        if line.get_marker() in "oDs|"
    }
    judged = {
        one.verdict
        for one in certificate.verdicts
        if (one.mode, one.outcome, one.question) == ("redrawn", "any_incident", "bias")
    }
    assert len(marks) == len(judged) > 1


def test_zip_plot_draws_every_interval_and_colors_those_that_miss(
    certificate: Certificate,
) -> None:
    ax = figures.zip_plot(certificate).axes[0]
    main = certificate.performance[0]
    counts = [
        int(np.isfinite(line.get_xdata()).sum()) // 2
        for line in ax.lines
        if len(line.get_xdata()) > 2
    ]
    assert sum(counts) == main.replications
    covered = main.coverage_expected.value * main.replications
    assert counts == [round(covered), main.replications - round(covered)]
    heights = [line.get_ydata()[0] for line in ax.lines if len(line.get_xdata()) > 2]
    assert heights[0] < heights[1], "those that miss lie on top"


def test_power_curve_passes_through_the_power_at_the_published_effect(
    certificate: Certificate,
) -> None:
    ax = figures.power_curve(certificate).axes[1]
    main = next(
        one
        for one in certificate.performance
        if (one.mode, one.design, one.outcome) == ("redrawn", "main", "any_incident")
    )
    published = next(line for line in ax.lines if line.get_marker() == "o")
    assert float(published.get_xdata()[0]) == pytest.approx(-2.95)
    assert float(published.get_ydata()[0]) == pytest.approx(100 * main.power_published.value)
    curve = max(ax.lines, key=lambda line: len(line.get_xdata()))
    effects, power = (np.asarray(values) for values in curve.get_data())
    at = np.interp(2.95, -effects, power)
    assert at == pytest.approx(100 * main.power_published.value, abs=2)
    right = ax.get_xlim()
    assert right[1] < right[0] == 0, "a larger effect lies to the right"


def test_own_axes_take_one_outcome(certificate: Certificate) -> None:
    for draw in (figures.bias_by_design, figures.coverage_by_design):
        ax = Figure().subplots()
        assert draw(certificate, ax, outcome="any_incident") is ax.figure
    for draw in (figures.bias_by_design, figures.power_curve, figures.zip_plot):
        with pytest.raises(DesignError, match="ax can show one outcome"):
            draw(certificate, Figure().subplots())


def test_figures_in_words(certificate: Certificate) -> None:
    main = certificate.performance[0]
    bias = f"{main.bias.value * 100:+.3f}".replace("-", "−")
    words = figures.bias_by_design_alt_text(certificate)
    assert f"The design of the study: {bias}, " in words
    misses = main.replications - round(main.coverage_expected.value * main.replications)
    assert f"{misses} of 160 intervals miss" in figures.zip_plot_alt_text(certificate)
    assert "Published effect, −2.95 pp: power" in figures.power_curve_alt_text(certificate)


def test_rows_of_unlike_units_print_each_in_its_own() -> None:
    frame = pd.DataFrame(
        {"what": ["bias", "ratio"], "unit": ["percent", ""], "value": [0.01, 1.5], "se": [0.002, 2]}
    )
    table = Table(
        "X1",
        "Unlike",
        frame,
        {"what": "text", "unit": "text", "value": "number", "se": "spread"},
        unit="unit",
        row_formats=(("effect", 3), ("number", 1)),
    )
    assert [table.cell(0, "value"), table.cell(0, "se")] == ["+1.000 pp", "0.200 pp"]
    assert [table.cell(1, "value"), table.cell(1, "se")] == ["1.5", "2.0"]
    with pytest.raises(DesignError, match="give one a row"):
        replace(table, row_formats=(("effect", 3),))
