"""The report of the whole study in a browser: its numbers, and no sideways scrolling on a phone."""

from __future__ import annotations

import csv
import os
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import pytest

from commands import WholeStudy

BROWSER = shutil.which("chromium") or shutil.which("google-chrome")
PHONE = 390  # CSS pixels, a common phone
OFFLINE = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip


@pytest.fixture(scope="module")
def page(whole_study: WholeStudy) -> str:
    return (whole_study.folder / "report.html").read_text(encoding="utf-8")


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


@pytest.fixture(scope="module")
def cells(page: str) -> Cells:
    reader = Cells()
    reader.feed(page)
    return reader


@pytest.mark.parametrize(("table", "secondary"), [("T1", False), ("B5", True)])
def test_page_and_csv_hold_the_same_numbers(
    table: str, secondary: bool, cells: Cells, whole_study: WholeStudy
) -> None:
    """Those of the functions, too: `test_cli`."""
    shown = {float(value) for value in cells.values[f"table-{table}"]}
    path = whole_study.folder / "tables" / f"{table}.csv"
    with path.open(encoding="utf-8", newline="") as lines:
        rows = [row for row in csv.DictReader(lines) if row["verdict"] != "*"]
    assert len(rows) >= 4, "rows that are not hidden"
    for row in rows:
        assert ("(secondary question)" in row["question"]) is secondary
        for column in (
            "estimate", "ci_low", "ci_high", "adjusted_mean_visited", "adjusted_mean_comparison",
            "p_value",
        ):  # fmt: skip
            assert float(row[column]) in shown


def test_the_page_needs_nothing_from_elsewhere(page: str) -> None:
    outside = re.findall(r"""(?:src|href)\s*=\s*["'](?!#|data:)([^"']+)""", page)
    assert outside == []
    assert "<script" not in page
    assert "url(http" not in page


def test_the_page_fits_a_phone(page: str, tmp_path: Path) -> None:
    if BROWSER is None:
        if os.environ.get("HOMEVISIT_EVAL_NO_SKIPS"):
            pytest.fail("no browser, and nothing may be skipped here")
        pytest.skip("no browser on this machine")
    assert width_on_a_phone(page, tmp_path) <= PHONE


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
