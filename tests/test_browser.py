"""The report as a browser shows it: its numbers, and no sideways scrolling on a phone."""

from __future__ import annotations

import csv
import os
import re
import shutil
import subprocess
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

import homevisit_eval as hv

ROOT = Path(__file__).resolve().parent.parent
BROWSER = shutil.which("chromium") or shutil.which("google-chrome")
PHONE = 390  # CSS pixels, a common phone
OFFLINE = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip


@pytest.fixture(scope="module")
def evaluation() -> hv.Evaluation:
    study = hv.read_design(ROOT / "study.toml")
    design = replace(
        study,
        questions=study.questions[:3],
        sensitivity=tuple(one for one in study.sensitivity if not one.questions),
        timing_contrasts=(),
    )
    with hv.read_sources(ROOT / "data" / "synthetic") as sources:
        return hv.evaluate(sources, design)


@pytest.fixture(scope="module")
def report(evaluation: hv.Evaluation) -> hv.Report:
    return hv.build_report(evaluation)


class Cells(HTMLParser):
    """Collects the full-precision values that the page's tables carry, by table id."""

    def __init__(self) -> None:
        super().__init__()
        self.values: dict[str, list[str]] = {}
        self.table = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        if tag == "table":
            self.table = attributes.get("id") or attributes.get("data-table") or ""
        if tag in ("td", "th") and attributes.get("data-value"):
            self.values.setdefault(self.table, []).append(str(attributes["data-value"]))


def test_page_csv_and_values_hold_the_same_numbers(
    evaluation: hv.Evaluation, report: hv.Report
) -> None:
    reader = Cells()
    reader.feed(report.html)
    shown = {float(value) for values in reader.values.values() for value in values}
    (table,) = [table for table in report.tables if table.name == "T1"]
    rows = list(csv.DictReader(table.to_csv_text().splitlines()))
    headline = [effect for effect in evaluation.effects if effect.role != "secondary"]
    assert len(rows) == len(headline) == 4  # secondary outcomes stand in B5
    for row, effect in zip(rows, headline, strict=True):
        pairs = {
            "estimate": effect.estimate,
            "ci_low": effect.ci_low,
            "ci_high": effect.ci_high,
            "adjusted_mean_visited": effect.adjusted_mean_visited,
            "adjusted_mean_comparison": effect.adjusted_mean_comparison,
            "p_value": effect.p_value,
        }
        for column, value in pairs.items():
            assert float(row[column]) == value
            assert value in shown


def test_the_page_needs_nothing_from_elsewhere(report: hv.Report) -> None:
    outside = re.findall(r"""(?:src|href)\s*=\s*["'](?!#|data:)([^"']+)""", report.html)
    assert outside == []
    assert "<script" not in report.html
    assert "url(http" not in report.html


def test_the_page_fits_a_phone(report: hv.Report, tmp_path: Path) -> None:
    if BROWSER is None:
        if os.environ.get("HOMEVISIT_EVAL_NO_SKIPS"):
            pytest.fail("no browser, and nothing may be skipped here")
        pytest.skip("no browser on this machine")
    assert width_on_a_phone(report.html, tmp_path) <= PHONE


def width_on_a_phone(html: str, tmp_path: Path) -> int:
    """Return how many pixels a page needs that is shown in a frame of a phone's width."""
    assert BROWSER is not None
    (tmp_path / "report.html").write_text(html, encoding="utf-8")
    (tmp_path / "phone.html").write_text(
        f"<iframe id=p src=report.html style='width:{PHONE}px;height:800px;border:0'></iframe>"
        "<script>document.getElementById('p').onload = function () {"
        "  document.title = 'width ' + this.contentDocument.documentElement.scrollWidth;"
        "}</script>",
        encoding="utf-8",
    )
    profile = f"--user-data-dir={tmp_path / 'profile'}"
    page = subprocess.run(
        [
            BROWSER, *OFFLINE, profile, "--allow-file-access-from-files",
            "--virtual-time-budget=10000", "--dump-dom", (tmp_path / "phone.html").as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    ).stdout  # fmt: skip
    width = re.search(r"<title>width (\d+)</title>", page)
    assert width is not None, page[:500]
    return int(width[1])
