"""What is wrong with a design, in our words: where it stands, what it is, what is allowed."""

from __future__ import annotations

import dataclasses
import difflib
import re
from collections.abc import Sequence
from typing import Any, Literal, get_args, get_origin, get_type_hints

from pydantic_core import ErrorDetails

__all__ = ["Fault", "Path", "in_words", "literals", "nearest", "path_text", "shown"]

Path = tuple[str | int, ...]

LONGEST_SHOWN = 60
TAGS = ("method", "model", "rule")  # each the first field of the classes of one union
BARE_KEY = re.compile(r"[A-Za-z0-9_-]{1,60}")

MUST = {
    "string_type": "must be text in quotes",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "bool_type": "must be true or false",
}


@dataclasses.dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong with a design.

    Parameters
    ----------
    path
        Names of tables and keys, and positions in lists (the first is 0).
    what
        The rest of the sentence that begins with the path.
    """

    path: Path
    what: str


def path_text(path: Path) -> str:
    """Return a path as it is written in Python, for example ``questions[2].outcomes``."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            key = part if BARE_KEY.fullmatch(part) else shown(part)
            text += f".{key}" if text else key
    return text


def shown(value: object) -> str:
    """Return a value of a design as it is quoted in a message, shortened where long."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return "a table"
    if isinstance(value, list) and any(isinstance(part, dict) for part in value):
        return "a list of tables"
    if dataclasses.is_dataclass(value):
        return f"a value of class {type(value).__name__}"
    text = repr(value)
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}..."


def nearest(value: object, choices: Sequence[object]) -> str:
    """Return " Did you mean ...?" with the choice spelled most like `value`, or nothing."""
    if not isinstance(value, str):
        return ""
    spelled = {str(choice).lower(): choice for choice in choices}
    close = difflib.get_close_matches(value.strip().lower(), list(spelled), n=1)
    return f" Did you mean {shown(spelled[close[0]])}?" if close else ""


def literals(annotation: Any) -> tuple[object, ...]:
    """Return the words that an annotation allows; for a union of methods, their names."""
    if get_origin(annotation) is Literal:
        return get_args(annotation)
    if dataclasses.is_dataclass(annotation):
        first = dataclasses.fields(annotation)[0].name
        tags = literals(get_type_hints(annotation)[first])
        return tags if first in TAGS else ()
    return tuple(word for part in get_args(annotation) for word in literals(part))


def in_words(detail: ErrorDetails, cls: type, name: str, given: object) -> Fault:
    """Return a fault that pydantic found in one field, in our words.

    Parameters
    ----------
    detail
        What pydantic says; of it only its kind, its place and our own errors are used.
    cls, name
        The class and the field.
    given
        The value of the field.
    """
    path: Path = (name,)
    value = given
    for part in detail["loc"]:
        if isinstance(part, int) and isinstance(value, list | tuple) and part < len(value):
            path, value = (*path, part), value[part]
    annotation = get_type_hints(cls).get(name)
    if detail["type"] == "union_tag_invalid" and isinstance(value, dict):
        key = _tag(annotation)
        path, value = (*path, key), value[key]
    return Fault(path, _sentence(detail, value, annotation))


def _sentence(detail: ErrorDetails, value: object, annotation: Any) -> str:
    kind = detail["type"]
    if kind == "value_error":
        return str(detail["ctx"]["error"])
    if kind.startswith(("union_tag_not", "dataclass", "dict_type", "model_attributes")):
        return _must_be_table(annotation, value)
    if kind in MUST:
        must = MUST[kind]
    elif kind in ("literal_error", "union_tag_invalid"):
        must = f"must be one of {', '.join(map(shown, literals(annotation)))}"
    elif kind == "tuple_type":
        must = "must be a list of values (a tuple in Python)"
        if isinstance(value, dict):
            must = "must be a list of tables, each with double brackets [[...]] above it"
    elif kind in ("missing", "too_long"):
        must = "must hold exactly two values"
    else:
        must = "is not a possible value"
    return f"{must}; it is {shown(value)}.{nearest(value, literals(annotation))}"


def _must_be_table(annotation: Any, value: object) -> str:
    names = literals(annotation)
    if not names:
        return (
            "must be one table, with single brackets [...] above it (in Python a value of its own "
            f"class); it is {shown(value)}."
        )
    key = _tag(annotation)
    must = f"must be a table with {key} = one of {', '.join(map(shown, names))}"
    has = f"it has no {key}" if isinstance(value, dict) else f"it is {shown(value)}"
    return f"{must}; {has}."


def _tag(annotation: Any) -> str:
    """Return the key that tells the classes of a union apart."""
    parts = get_args(annotation)
    if not dataclasses.is_dataclass(annotation):
        return next(tag for part in parts if (tag := _tag(part)))
    first = dataclasses.fields(annotation)[0].name
    return first if first in TAGS else ""
