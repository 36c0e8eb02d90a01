"""Finished replications of a certificate on disk, so that an interrupted run can go on."""

from __future__ import annotations

import csv
import hashlib
import json
import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from importlib.metadata import version
from pathlib import Path
from typing import Any

from homevisit_eval.certificate import Mode, Replication, Seconds, Trial
from homevisit_eval.cli.output_folder import MANIFEST
from homevisit_eval.design import StudyDesign, design_checksum
from homevisit_eval.errors import OutputError
from homevisit_eval.synthetic import District

__all__ = ["TrialStore", "certificate_key", "open_trial_store"]

TRIALS = "trials.csv"
LIBRARIES = ("duckdb", "numba", "numpy", "pandas", "scipy")
ONLY_SHOW = ("cli", "report", "table")
PACKAGE = Path(__file__).resolve().parent.parent
WORDS = {
    "homevisit_eval": "version of the package",
    "code": "code of the package",
    "libraries": "versions of libraries",
    "design": "design",
    "district": "district's parameters",
    "seed": "seed",
    "districts": "number of fixed districts",
    "variations": "whether variations are tried",
    "questions": "questions",
}
"""What a key is made of, as a message names it."""

Key = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class TrialStore:
    """The replications that earlier commands finished, and a file that takes further ones.

    Attributes
    ----------
    path
        One line of JSON for the key and for each replication.
    done
        What was found there when it was opened.
    """

    path: Path
    done: tuple[Replication, ...]

    def append(self, replication: Replication) -> None:
        """Write a replication to the end of the file, at once.

        Raises
        ------
        OutputError
            If it cannot be written.
        """
        try:
            with self.path.open("a", encoding="utf-8", newline="\n") as lines:
                lines.write(_line(asdict(replication)))
        except OSError as error:
            raise OutputError(_cannot_store(self.path, error)) from None

    def remove(self) -> None:
        """Delete the file, when its trials stand in the finished certificate."""
        self.path.unlink(missing_ok=True)


def certificate_key(
    design: StudyDesign,
    district: District,
    *,
    seed: int,
    districts: int,
    variations: bool,
    questions: Sequence[str] = (),
) -> dict[str, Any]:
    """Return what must be equal for finished replications to count.

    Replications name their mode, and their number follows from nothing else, so more of them
    may be asked for later.
    """
    parameters = json.dumps(asdict(district), sort_keys=True)
    return {
        "homevisit_eval": version("homevisit-eval"),
        "code": _code_checksum(),
        "libraries": {name: version(name) for name in LIBRARIES},
        "design": design_checksum(design),
        "district": hashlib.sha256(parameters.encode()).hexdigest(),
        "seed": seed,
        "districts": districts,
        "variations": variations,
        "questions": list(questions),
    }


def open_trial_store(out: Path, key: Key) -> TrialStore:
    """Return the store of the certificate that is written to `out`.

    It stands beside `out`, with ``.unfinished.jsonl`` behind its name. A last line that was cut
    off by an interruption is dropped. Replications of a finished certificate of the same key in
    `out` count as done, so that more of them may be asked for.

    Raises
    ------
    OutputError
        If the file holds trials of another certificate, or cannot be read or written.
    """
    out = out.resolve()
    path = out.with_name(f"{out.name}.unfinished.jsonl")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        done = _read(path, key) if path.exists() else None
        if done is None:
            path.write_text(_line({"key": key}), encoding="utf-8", newline="\n")
    except OSError as error:
        raise OutputError(_cannot_store(path, error)) from None
    kept = {(one.mode, one.number) for one in done or ()}
    finished = [one for one in _finished(out, key) if (one.mode, one.number) not in kept]
    return TrialStore(path, (*finished, *(done or ())))


def _finished(out: Path, key: Key) -> list[Replication]:
    """Return the replications of the certificate in a folder; none if it is of another key."""
    try:
        manifest = json.loads((out / MANIFEST).read_text(encoding="utf-8"))
        if manifest.get("key") != _plain(key):
            return []
        seconds = Seconds(**manifest["seconds"])
        with (out / TRIALS).open(encoding="utf-8", newline="") as lines:
            rows = list(csv.DictReader(lines))
        numbered = [(int(row["number"]), _trial(row)) for row in rows]
    except (AttributeError, KeyError, OSError, TypeError, ValueError):
        return []
    found: dict[tuple[Mode, int], list[Trial]] = {}
    for number, trial in numbered:
        found.setdefault((trial.mode, number), []).append(trial)
    return [
        Replication(mode, number, trials[0].district, trials[0].replication, tuple(trials), seconds)
        for (mode, number), trials in found.items()
    ]


def _trial(row: Mapping[str, str]) -> Trial:
    """Return the trial of a line of ``trials.csv``."""
    read: dict[str, Callable[[str], Any]] = {
        "int": int,
        "float": lambda text: float(text) if text else math.nan,
    }
    return Trial(**{one.name: read.get(str(one.type), str)(row[one.name]) for one in fields(Trial)})


def _plain(key: Key) -> object:
    """Return a key as JSON gives it back."""
    return json.loads(json.dumps(key))


def _read(path: Path, key: Key) -> tuple[Replication, ...] | None:
    """Return the replications of a file, whole lines only; None if it holds not even a key."""
    content = path.read_bytes()
    whole = content[: content.rfind(b"\n") + 1]
    if not whole:
        return None
    lines = whole.decode("utf-8", errors="replace").splitlines()
    found = _parsed(lines[0])
    if found is None or not isinstance(found.get("key"), dict):
        raise OutputError(
            f"{path}: not a file of finished trials, so it is not touched. Move it away, or give "
            "another --out."
        )
    if found["key"] != _plain(key):
        raise OutputError(_other_key(path, found["key"], key, len(lines) - 1))
    if len(whole) < len(content):
        os.truncate(path, len(whole))
    by_number = {(one.mode, one.number): one for one in _replications(path, lines[1:])}
    return tuple(by_number.values())  # two commands at once may have written some of them twice


def _replications(path: Path, lines: Sequence[str]) -> Iterator[Replication]:
    for number, line in enumerate(lines, start=2):
        values = _parsed(line)
        try:
            if values is None:
                raise ValueError
            yield Replication(
                **values
                | {
                    "trials": tuple(Trial(**_with_nan(trial)) for trial in values["trials"]),
                    "seconds": Seconds(**values["seconds"]),
                }
            )
        except (KeyError, TypeError, ValueError):
            raise OutputError(
                f"{path}: line {number} is no finished trial. Delete the file to start afresh."
            ) from None


def _parsed(line: str) -> dict[str, Any] | None:
    try:
        values = json.loads(line)
    except ValueError:
        return None
    return values if isinstance(values, dict) else None


def _line(values: Mapping[str, Any]) -> str:
    return json.dumps(_without_nan(values), allow_nan=False) + "\n"


def _without_nan(value: object) -> object:
    """Return a value with None where a number is missing, since JSON has no NaN."""
    match value:
        case dict():
            return {name: _without_nan(one) for name, one in value.items()}
        case list() | tuple():
            return [_without_nan(one) for one in value]
        case float() if not math.isfinite(value):
            return None if math.isnan(value) else str(value)
        case _:
            return value


def _with_nan(values: Mapping[str, Any]) -> dict[str, Any]:
    special = {None: math.nan, "inf": math.inf, "-inf": -math.inf}
    return {name: special.get(value, value) for name, value in values.items()}


def _other_key(path: Path, found: Key, key: Key, trials: int) -> str:
    differing = [words for name, words in WORDS.items() if found.get(name) != key[name]]
    return (
        f"{path}: holds {trials:,} finished replications of another certificate (not the same: "
        f"{', '.join(differing)}). Start again what they belong to, delete the file to start "
        "afresh, or give another --out."
    )


def _cannot_store(path: Path, error: OSError) -> str:
    reason = error.strerror or type(error).__name__
    return (
        f"{path}: finished trials cannot be kept here ({reason}). Check free space and "
        "permissions, or give another --out."
    )


def _code_checksum() -> str:
    """Return one checksum over the modules that compute: other code may give other numbers."""
    digest = hashlib.sha256()
    for path in sorted(PACKAGE.rglob("*.py")):
        place = path.relative_to(PACKAGE)
        if place.parts[0] not in ONLY_SHOW:
            digest.update(place.as_posix().encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()
