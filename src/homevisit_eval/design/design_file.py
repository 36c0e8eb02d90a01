"""A design as a file: reading `study.toml`, and the text and checksum of a design.

Every fault of a file is reported at once. What pydantic finds is put in our own words; what
the tables disagree about is looked for in whatever part of the file could be read.
"""

from __future__ import annotations

import copy
import hashlib
import json
import re
import tomllib
from collections.abc import Callable, Mapping
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any, get_type_hints

import tomli_w
from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from homevisit_eval.design.consistency import as_tables, inconsistencies
from homevisit_eval.design.matching_methods import NearestNeighbor, NoMatching
from homevisit_eval.design.outcome_models import DifferenceInMeans, FixedEffects
from homevisit_eval.design.questions import Covariate, Outcome, Question, Variation
from homevisit_eval.design.study import Eligibility, Measurement, StudyDesign
from homevisit_eval.design.toml_lines import line_of, lines_of
from homevisit_eval.design.wording import Fault, in_words, literals, nearest, path_text, shown
from homevisit_eval.design.wording import Path as Place
from homevisit_eval.errors import DesignError

__all__ = ["design_checksum", "design_text", "parse_design", "read_design", "upgrade"]

Document = dict[str, Any]
Upgrade = Callable[[Document], Document]

FORMAT = 1
UPGRADES: Mapping[int, Upgrade] = {}
"""Format -> a pure function from a document of that format to one of the next."""

LARGEST = 1_000_000  # bytes; a design file has a few thousand
DEEPEST = 8  # tables and lists within each other; a design has five
TOO_DEEP = "tables or lists are nested too deeply to be a design; compare it with a complete one."
ADVICE = "`homevisit-eval init DIR` writes a complete one with comments."

CLASSES: Mapping[str, type] = {
    "covariates": Covariate,
    "outcomes": Outcome,
    "questions": Question,
    "sensitivity": Variation,
    "eligibility": Eligibility,
    "measurement": Measurement,
    "nearest_neighbor": NearestNeighbor,
    "no_matching": NoMatching,
    "fixed_effects": FixedEffects,
    "difference_in_means": DifferenceInMeans,
}
"""The class of each table, by its name in the file or by its `method` or `model`."""


def read_design(path: str | Path) -> StudyDesign:
    """Read the design of a study from a TOML file.

    Parameters
    ----------
    path
        A file in UTF-8, with or without a byte-order mark, that begins with ``format = 1``.

    Raises
    ------
    DesignError
        If the file cannot be read, is not TOML, has a format that this version does not know,
        or does not describe a possible design. The message lists every fault with its line.
    """
    return parse_design(_text_of(Path(path)), str(path))


def parse_design(text: str, file: str = "study.toml") -> StudyDesign:
    """Return the design that a TOML text describes.

    Parameters
    ----------
    text
        The whole text of a design file.
    file
        What messages call it.

    Raises
    ------
    DesignError
        As for `read_design`.
    """
    document = _document(text, file)
    if not document:
        raise DesignError(f"{file}: the file is empty. {ADVICE}")
    _check_format(document, file)
    plain = json.dumps(upgrade(document), default=str)  # a date becomes text
    try:
        return _adapter().validate_json(plain)
    except ValidationError as error:
        details = error.errors(include_url=False, include_input=False)
    faults = _faults(json.loads(plain), details)
    lines = lines_of(text)
    listed = sorted((line_of(fault.path, lines) or 1, _sentence(fault)) for fault in faults)
    sentences = list(dict.fromkeys(f"  line {line}: {sentence}" for line, sentence in listed))
    count = "1 fault" if len(sentences) == 1 else f"{len(sentences)} faults"
    raise DesignError("\n".join([f"{file}: {count} in the design of the study.", *sentences]))


def design_text(design: StudyDesign) -> str:
    """Return the design as the text of a TOML file, every default written out.

    Reading the text gives an equal design.
    """
    return tomli_w.dumps(as_tables(design))


def design_checksum(design: StudyDesign) -> str:
    """Return the SHA-256 of the design, 64 hexadecimal digits.

    It covers every option, defaults included, and neither comments nor layout: equal designs
    have equal checksums. It is taken over JSON in the order of the fields, which does not
    depend on how a version of the TOML writer breaks lines.
    """
    canonical = json.dumps(as_tables(design), ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode("ascii")).hexdigest()


def upgrade(
    document: Document, upgrades: Mapping[int, Upgrade] = UPGRADES, to: int = FORMAT
) -> Document:
    """Return a document of an older format as one of format `to`; the document is unchanged.

    Parameters
    ----------
    document
        The tables of a design file, whose `format` is a key of `upgrades`, or is `to`.
    upgrades
        For each older format, the function that makes a document of the next format.
    to
        The format wanted.
    """
    while document["format"] < to:
        step = upgrades[document["format"]]
        document = {**step(copy.deepcopy(document)), "format": document["format"] + 1}
    return document


def _text_of(path: Path) -> str:
    try:
        if path.is_dir():
            raise DesignError(
                f"{path}: this is a folder. Name the design file in it, for example "
                f"{path / 'study.toml'}."
            )
        if path.stat().st_size > LARGEST:
            raise DesignError(
                f"{path}: the file is larger than {LARGEST:,} bytes and cannot be a design file. "
                f"{ADVICE}"
            )
        content = path.read_bytes()
    except FileNotFoundError:
        raise DesignError(f"{path}: there is no such file. {ADVICE}") from None
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


def _document(text: str, file: str) -> Document:
    try:
        document = tomllib.loads(text)
    except RecursionError:
        raise DesignError(f"{file}: {TOO_DEEP}") from None
    except ValueError as error:
        message = str(error)
    else:
        if _is_deep(document):
            raise DesignError(f"{file}: {TOO_DEEP}")
        return document
    place = re.search(r"at line (\d+), column (\d+)", message)
    where = f"line {place[1]}, column {place[2]}" if place else "the end of the file"
    if message.startswith("Cannot"):
        raise DesignError(
            f"{file}: near {where}, a table or key is given a second time. Keep one; "
            "repeated tables such as [[questions]] have double brackets."
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


def _check_format(document: Document, file: str) -> None:
    found = document.get("format")
    if found is None:
        raise DesignError(f"{file}: format is missing. Make `format = {FORMAT}` the first line.")
    if not isinstance(found, int) or isinstance(found, bool):
        raise DesignError(f"{file}: format must be a whole number, now {FORMAT}.")
    if found != FORMAT and found not in UPGRADES:
        older = "" if found < FORMAT else "; install a version that reads it, newer than this one"
        raise DesignError(
            f"{file}: format = {found} is unknown. homevisit-eval {_version()} reads format "
            f"{FORMAT}{older}."
        )


def _version() -> str:
    try:
        return metadata.version("homevisit-eval")
    except metadata.PackageNotFoundError:
        return "of this source tree"


@cache
def _adapter() -> TypeAdapter[StudyDesign]:
    return TypeAdapter(StudyDesign)


def _sentence(fault: Fault) -> str:
    return f"{path_text(fault.path)} {fault.what}"


def _faults(document: Document, details: list[ErrorDetails]) -> list[Fault]:
    """Return what is wrong with a document, given what pydantic found in its tables."""
    readable = copy.deepcopy(document)
    faults = []
    for detail in details:
        if not detail["loc"]:
            continue  # what the tables disagree about: looked for below, in every readable part
        fault = _fault(document, detail)
        faults.append(fault)
        if detail["type"] != "value_error":
            _blank(readable, fault.path)
    return faults + inconsistencies(readable)


def _blank(value: Any, path: Place) -> None:
    """Put `None` where a value cannot be used."""
    for part in path[:-1]:
        value = value[part]
    value[path[-1]] = None


def _fault(document: Document, detail: ErrorDetails) -> Fault:
    loc = detail["loc"]
    cls, start = _class_at(loc)
    around, table = _around(document, loc[:start])
    name = str(loc[start])
    if detail["type"] == "missing" and name not in table:
        return Fault((*around, name), _missing(cls, name))
    if detail["type"] == "unexpected_keyword_argument":
        return Fault((*around, name), _unknown_key(cls, name, around))
    fault = in_words({**detail, "loc": loc[start + 1 :]}, cls, name, table[name])
    return Fault((*around, *fault.path), fault.what)


def _class_at(loc: Place) -> tuple[type, int]:
    """Return the class that `loc` lies in, and where in `loc` its field begins."""
    cls: type = StudyDesign
    start = 0
    for position, part in enumerate(loc[:-1]):
        inner = position + (2 if isinstance(loc[position + 1], int) else 1)
        if part in CLASSES and inner < len(loc):
            cls, start = CLASSES[str(part)], inner
    return cls, start


def _around(document: Document, loc: Place) -> tuple[Place, Any]:
    """Return the path and value at `loc`, passing over the name of a method or model."""
    path: Place = ()
    value: Any = document
    for part in loc:
        if path and path[-1] in ("matching", "model"):
            break  # `part` is the name, and the last part
        path, value = (*path, part), value[part]
    return path, value


def _missing(cls: type, name: str) -> str:
    words = literals(get_type_hints(cls)[name])
    return f"is missing; one of {', '.join(map(shown, words))}." if words else "is missing; add it."


def _unknown_key(cls: type, name: str, around: Place) -> str:
    keys = list(get_type_hints(cls))
    keys = [key for key in keys if not key.startswith("__")]
    hint = nearest(name, keys)
    if not hint and around and name in get_type_hints(StudyDesign):
        hint = " It belongs at the top of the file, before the first table in brackets."
    where = "the top of the file" if cls is StudyDesign else "this table"
    return f"is not a key of {where}.{hint} Its keys: {', '.join(keys)}."
