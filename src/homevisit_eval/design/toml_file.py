"""Reading a TOML file of ours: its text, its tables, its format, and where its faults stand."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from homevisit_eval.design.toml_lines import line_of
from homevisit_eval.design.wording import Fault, path_text
from homevisit_eval.design.wording import Path as Place
from homevisit_eval.errors import DesignError

__all__ = [
    "Document",
    "FileKind",
    "check_format",
    "faults_by_line",
    "parse_document",
    "read_text",
]

Document = dict[str, Any]

LARGEST = 1_000_000  # bytes; a file of ours has a few thousand
DEEPEST = 8  # tables and lists within each other; a design has five


@dataclass(frozen=True, slots=True)
class FileKind:
    """What messages say about one kind of file.

    Parameters
    ----------
    name
        What the file describes, in one word.
    example
        The usual name of such a file.
    advice
        A sentence on how to get a complete one.
    repeated
        A table that may stand in it several times, in double brackets.
    """

    name: str
    example: str
    advice: str
    repeated: str


def read_text(path: Path, kind: FileKind) -> str:
    """Return the text of a file in UTF-8, with or without a byte-order mark.

    Raises
    ------
    DesignError
        If there is no such file, or it is not such a text.
    """
    try:
        if path.is_dir():
            raise DesignError(
                f"{path}: this is a folder. Name the {kind.name} file in it, for example "
                f"{path / kind.example}."
            )
        if path.stat().st_size > LARGEST:
            raise DesignError(
                f"{path}: the file is larger than {LARGEST:,} bytes and cannot be a {kind.name} "
                f"file. {kind.advice}"
            )
        content = path.read_bytes()
    except FileNotFoundError:
        raise DesignError(f"{path}: there is no such file. {kind.advice}") from None
    except PermissionError:
        raise DesignError(f"{path}: there is no permission to read the file.") from None
    except (OSError, ValueError) as error:
        if isinstance(error, DesignError):
            raise
        raise DesignError(f"{path}: the file cannot be read; check the path.") from None
    return _decoded(content, path)


def _decoded(content: bytes, path: Path) -> str:
    if content.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\x00" in content:
        raise DesignError(
            f"{path}: the file is not UTF-8 text; it looks like UTF-16. Save it as UTF-8 "
            '(in Notepad: Save As, Encoding "UTF-8").'
        )
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
    raise DesignError(
        f"{path}: line {line} has a letter that is not UTF-8, perhaps from Windows-1252 "
        "(Latin-1). Save the file as UTF-8."
    )


def parse_document(text: str, file: str, kind: FileKind) -> Document:
    """Return the tables of a TOML text that holds something.

    Raises
    ------
    DesignError
        If the text is not TOML, is empty, or is nested too deeply.
    """
    too_deep = (
        f"{file}: tables or lists are nested too deeply to be a {kind.name}; compare it with a "
        "complete one."
    )
    try:
        document = tomllib.loads(text)
    except RecursionError:
        raise DesignError(too_deep) from None
    except ValueError as error:
        message = str(error)
    else:
        if _is_deep(document):
            raise DesignError(too_deep)
        if not document:
            raise DesignError(f"{file}: the file is empty. {kind.advice}")
        return document
    place = re.search(r"at line (\d+), column (\d+)", message)
    where = f"line {place[1]}, column {place[2]}" if place else "the end of the file"
    if message.startswith("Cannot"):
        raise DesignError(
            f"{file}: near {where}, a table or key is given a second time. Keep one; "
            f"repeated tables such as {kind.repeated} have double brackets."
        )
    raise DesignError(
        f"{file}: near {where}, the text is not TOML. Write key = value on a line of its own, "
        "text in quotes, lists as [1, 2], and close every quote and bracket."
    )


def _is_deep(document: Document) -> bool:
    level: list[Any] = [document]
    for _ in range(DEEPEST):
        inside = [value.values() if isinstance(value, dict) else value for value in level]
        level = [part for parts in inside for part in parts if isinstance(part, dict | list)]
    return bool(level)


def check_format(document: Document, file: str, *, known: Collection[int], newest: int) -> None:
    """Raise `DesignError` unless ``format`` is one of the formats that this version knows."""
    found = document.get("format")
    if found is None:
        raise DesignError(f"{file}: format is missing. Make `format = {newest}` the first line.")
    if not isinstance(found, int) or isinstance(found, bool):
        raise DesignError(f"{file}: format must be a whole number, now {newest}.")
    if found not in known:
        older = "" if found < newest else "; install a version that reads it, newer than this one"
        raise DesignError(
            f"{file}: format = {found} is unknown. homevisit-eval {_version()} reads format "
            f"{newest}{older}."
        )


def _version() -> str:
    try:
        return metadata.version("homevisit-eval")
    except metadata.PackageNotFoundError:
        return "of this source tree"


def faults_by_line(
    faults: Sequence[Fault], lines: Mapping[Place, int], file: str, place: str
) -> str:
    """Return all faults of a file as text: how many, then one line for each, in their order.

    Parameters
    ----------
    faults
        At least one.
    lines
        From `lines_of`.
    file
        What messages call the file.
    place
        Where they are, for example "in the design of the study".
    """
    listed = sorted(
        (line_of(fault.path, dict(lines)) or 1, f"{path_text(fault.path)} {fault.what}")
        for fault in faults
    )
    sentences = list(dict.fromkeys(f"  line {line}: {sentence}" for line, sentence in listed))
    count = "1 fault" if len(sentences) == 1 else f"{len(sentences)} faults"
    return "\n".join([f"{file}: {count} {place}.", *sentences])
