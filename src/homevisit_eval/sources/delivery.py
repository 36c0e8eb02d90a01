"""Which files a district delivered, and what they are called."""

from __future__ import annotations

import difflib
from pathlib import Path

from homevisit_eval.sources.problems import FOLDER, Problem, make_problem
from homevisit_eval.sources.schema import ATTENDANCE_TABLES, SCHEMAS

__all__ = ["find_files"]

FORMATS = (".csv", ".parquet")


def find_files(folder: Path) -> tuple[dict[str, Path], list[Problem]]:
    """Find the file of each table in a folder.

    Parameters
    ----------
    folder
        Where the files are. Folders inside it are not searched.

    Returns
    -------
    dict
        Table name -> file. Upper and lower case of a file name do not matter.
    list of Problem
        Missing and doubled files, and how many files are not tables.
    """
    try:
        entries = sorted(entry for entry in folder.iterdir() if entry.is_file())
    except OSError:
        return {}, [make_problem(str(folder), "missing_folder")]
    delivered: dict[str, list[Path]] = {}
    for entry in entries:
        if entry.suffix.lower() in FORMATS and not entry.name.startswith("."):
            delivered.setdefault(entry.stem.lower(), []).append(entry)
    names = [schema.name for schema in SCHEMAS]
    problems = [
        make_problem(
            f"{name}.csv", "both_formats", count=len(files), detail="a CSV and a Parquet file"
        )
        for name, files in delivered.items()
        if name in names and len(files) > 1
    ]
    problems += _missing(delivered)
    problems += _unknown(delivered, names)
    found = {name: delivered[name][0] for name in names if len(delivered.get(name, ())) == 1}
    return found, problems


def _missing(delivered: dict[str, list[Path]]) -> list[Problem]:
    problems = [
        make_problem(f"{schema.name}.csv", "missing_file")
        for schema in SCHEMAS
        if schema.required and schema.name not in delivered
    ]
    attendance = [name for name in ATTENDANCE_TABLES if name in delivered]
    if not attendance:
        detail = "or daily_attendance.csv"
        problems.append(make_problem("absences.csv", "missing_file", detail=detail))
    elif len(attendance) == 2:
        problems.append(make_problem("daily_attendance.csv", "both_attendance_files"))
    return problems


def _unknown(delivered: dict[str, list[Path]], names: list[str]) -> list[Problem]:
    """Count files that are no tables; only the known name that one may stand for is shown."""
    unknown = [stem for stem in delivered if stem not in names]
    if not unknown:
        return []
    open_names = [name for name in names if name not in delivered]
    near = {
        match
        for stem in unknown
        for match in difflib.get_close_matches(stem, open_names, n=1, cutoff=0.75)
    }
    detail = f"is one of them {' or '.join(sorted(near))}?" if near else ""
    count = sum(len(delivered[stem]) for stem in unknown)
    return [make_problem(FOLDER, "unknown_file", count=count, detail=detail)]
