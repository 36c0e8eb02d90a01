"""Writing a report with its tables, figures and manifest into a folder."""

from __future__ import annotations

import json
import platform
from importlib.metadata import version
from pathlib import Path

from homevisit_eval.cli.output_folder import MANIFEST, checksum
from homevisit_eval.design import StudyDesign, design_checksum, design_text
from homevisit_eval.disclosure import SMALLEST_COUNT_SHOWN
from homevisit_eval.report import Report
from homevisit_eval.sources import Sources

__all__ = ["write_report"]

LIBRARIES = ("numpy", "pandas", "scipy", "duckdb", "narwhals", "numba", "matplotlib")


def write_report(report: Report, design: StudyDesign, sources: Sources, folder: Path) -> None:
    """Write the report page, each table as CSV, each figure as SVG and PNG, and the manifest."""
    (folder / "tables").mkdir()
    (folder / "figures").mkdir()
    _write_text(folder / "report.html", report.html)
    _write_text(folder / "study.toml", design_text(design))
    for table in report.tables:
        _write_text(folder / "tables" / f"{table.name}.csv", table.to_csv_text())
    for figure in report.figures:
        _write_text(folder / "figures" / f"{figure.name}.svg", figure.svg)
        (folder / "figures" / f"{figure.name}.png").write_bytes(figure.png)
    manifest = {
        "format": 1,
        "homevisit_eval": version("homevisit-eval"),
        "python": platform.python_version(),
        "libraries": {name: version(name) for name in LIBRARIES},
        "district": sources.district,
        "synthetic": sources.synthetic,
        "seed": sources.seed,
        "design": {"title": design.title, "checksum": design_checksum(design)},
        "inputs": [
            {"file": file.name, "sha256": file.sha256, "rows": _public_rows(file.rows)}
            for file in sources.files
        ],
        "outputs": _checksums(folder),
    }
    _write_text(folder / MANIFEST, json.dumps(manifest, indent=2) + "\n")


def _public_rows(rows: int) -> int | str:
    return f"<{SMALLEST_COUNT_SHOWN}" if 0 < rows < SMALLEST_COUNT_SHOWN else rows


def _checksums(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): checksum(path) for path in files}


def _write_text(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8", newline="\n")
