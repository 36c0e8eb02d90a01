"""Writing a report or a certificate with its tables, figures and manifest into a folder."""

from __future__ import annotations

import csv
import io
import json
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, astuple, fields
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from homevisit_eval.cli.output_folder import MANIFEST, checksum
from homevisit_eval.design import StudyDesign, design_checksum, design_text
from homevisit_eval.design.design_file import REGISTERED_FILE
from homevisit_eval.disclosure import SMALLEST_COUNT_SHOWN
from homevisit_eval.table import SYNTHETIC
from homevisit_eval.table.cells import full_precision, missing

if TYPE_CHECKING:
    from homevisit_eval.certificate import Certificate, Replication
    from homevisit_eval.report import Report
    from homevisit_eval.sources import Sources

__all__ = ["write_certificate", "write_report"]

LIBRARIES = ("numpy", "pandas", "scipy", "duckdb", "narwhals", "numba", "matplotlib")


def write_report(report: Report, design: StudyDesign, sources: Sources, folder: Path) -> None:
    """Write the report page, each table as CSV, each figure as SVG and PNG, and the manifest."""
    _write_parts(report, design, folder, "report.html")
    manifest = {
        **_made_with(design),
        "district": sources.district,
        "synthetic": sources.synthetic,
        "seed": sources.seed,
        "inputs": [
            {"file": file.name, "sha256": file.sha256, "rows": _public_rows(file.rows)}
            for file in sources.files
        ],
        "outputs": _checksums(folder),
    }
    _write_text(folder / MANIFEST, json.dumps(manifest, indent=2) + "\n")


def write_certificate(
    report: Report,
    certificate: Certificate,
    replications: Sequence[Replication],
    key: Mapping[str, object],
    folder: Path,
) -> None:
    """Write the page, its tables and figures, every trial, what was run, and the manifest."""
    from homevisit_eval.synthetic.district_file import district_text

    _write_parts(report, certificate.design, folder, "certificate.html")
    _write_text(folder / "district.toml", district_text(certificate.district))
    _write_text(folder / "trials.csv", _trials_text(replications))
    manifest = {
        **_made_with(certificate.design),
        "district": certificate.district.name,
        "synthetic": True,
        "seed": certificate.seed,
        "key": key,
        "seconds": asdict(certificate.seconds),
        "outputs": _checksums(folder),
    }
    _write_text(folder / MANIFEST, json.dumps(manifest, indent=2) + "\n")


def _trials_text(replications: Sequence[Replication]) -> str:
    """Return every trial as CSV at full precision, with the number of its replication."""
    from homevisit_eval.certificate import Trial

    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["number", *(field.name for field in fields(Trial)), "data"])
    for one in sorted(replications, key=lambda one: (one.mode, one.number)):
        for trial in one.trials:
            values = ["" if missing(value) else full_precision(value) for value in astuple(trial)]
            writer.writerow([one.number, *values, SYNTHETIC])
    return out.getvalue()


def _write_parts(report: Report, design: StudyDesign, folder: Path, page: str) -> None:
    (folder / "tables").mkdir()
    (folder / "figures").mkdir()
    _write_text(folder / page, report.html)
    _write_text(folder / "study.toml", design_text(design))
    if design.registered is not None:
        _write_text(folder / REGISTERED_FILE, design_text(design.registered))
    for table in report.tables:
        _write_text(folder / "tables" / f"{table.name}.csv", table.to_csv_text())
    for figure in report.figures:
        _write_text(folder / "figures" / f"{figure.name}.svg", figure.svg)
        (folder / "figures" / f"{figure.name}.png").write_bytes(figure.png)


def _made_with(design: StudyDesign) -> dict[str, object]:
    return {
        "format": 1,
        "homevisit_eval": version("homevisit-eval"),
        "python": platform.python_version(),
        "libraries": {name: version(name) for name in LIBRARIES},
        "design": _identity(design),
        **({"registered": _identity(design.registered)} if design.registered else {}),
    }


def _identity(design: StudyDesign) -> dict[str, str]:
    return {
        "title": design.title,
        "version": design.version,
        "checksum": design_checksum(design),
    }


def _public_rows(rows: int) -> int | str:
    return f"<{SMALLEST_COUNT_SHOWN}" if 0 < rows < SMALLEST_COUNT_SHOWN else rows


def _checksums(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): checksum(path) for path in files}


def _write_text(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8", newline="\n")
