"""Rules that single fields of a design must satisfy, and the check of a value made in Python.

The rules stand in the annotations of the design's classes, so the same ones hold for a value
made in Python (`check_fields`) and for one read from a file (`design_file`).
"""

from __future__ import annotations

import dataclasses
import re
import unicodedata
from collections.abc import Sequence
from functools import cache
from typing import Annotated, Any, get_type_hints

from pydantic import AfterValidator, TypeAdapter, ValidationError

from homevisit_eval.design.wording import Fault, in_words, nearest, path_text, shown
from homevisit_eval.errors import DesignError

__all__ = [
    "Days",
    "Distinct",
    "MonthDay",
    "Name",
    "NotEmpty",
    "SchoolYear",
    "Text",
    "allowed",
    "between",
    "check_fields",
    "raise_faults",
]

NAME = re.compile(r"[a-z][a-z0-9_]{0,59}")
MONTH_DAY = re.compile(r"(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])")
MONTH_DAYS = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
UNPRINTED = ("Cc", "Cs", "Zl", "Zp")  # control characters, halves of a character, line breaks


def _is_name(value: str) -> str:
    if not NAME.fullmatch(value):
        raise DesignError(
            "must begin with a lower-case letter and hold only lower-case letters, digits and _ "
            f"(at most 60), because files are named after it; it is {shown(value)}."
        )
    return value


def _is_text(value: str) -> str:
    if not value.strip():
        raise DesignError("must not be empty: it is printed.")
    if any(unicodedata.category(letter) in UNPRINTED for letter in value):
        raise DesignError("must be a single line, without tabs or control characters.")
    return value


def _is_not_empty(values: tuple[Any, ...]) -> tuple[Any, ...]:
    if not values:
        raise DesignError("must hold at least one value; it is empty.")
    return values


def _is_distinct(values: tuple[Any, ...]) -> tuple[Any, ...]:
    twice = list(dict.fromkeys(shown(value) for value in values if values.count(value) > 1))
    if twice:
        raise DesignError(f"holds {', '.join(twice)} more than once; keep one.")
    return values


def _is_month_day(value: str) -> str:
    if not MONTH_DAY.fullmatch(value) or int(value[3:]) > MONTH_DAYS[int(value[:2]) - 1]:
        raise DesignError(f'must be a month and a day, such as "02-01"; it is {shown(value)}.')
    return value


def between(low: float, high: float) -> AfterValidator:
    """Return the rule ``low <= value <= high`` for use in an annotation."""

    def rule(value: float) -> float:
        if not low <= value <= high:
            raise DesignError(f"must be between {low:g} and {high:g}; it is {shown(value)}.")
        return value

    return AfterValidator(rule)


Name = Annotated[str, AfterValidator(_is_name)]
"""A short name used in code and in file names."""

MonthDay = Annotated[str, AfterValidator(_is_month_day)]
"""A day of any year, as month and day: "02-01" is February 1."""

Text = Annotated[str, AfterValidator(_is_text)]
"""One printed line."""

Days = Annotated[int, between(1, 366)]
"""A number of days of a school year."""

SchoolYear = Annotated[int, between(1990, 2100)]
"""A school year, named by its spring: 2015 is 2014-15."""

NotEmpty = AfterValidator(_is_not_empty)
"""The rule that a list holds something."""

Distinct = AfterValidator(_is_distinct)
"""The rule that a list holds nothing twice."""


@cache
def _adapters(cls: type[Any]) -> dict[str, TypeAdapter[Any]]:
    hints = get_type_hints(cls, include_extras=True)
    return {field.name: TypeAdapter(hints[field.name]) for field in dataclasses.fields(cls)}


def check_fields(value: object) -> None:
    """Check every field of a design value against its annotation, in ``__post_init__``.

    A whole number given for a fraction is stored as a `float`, so that equal designs have
    equal checksums.

    Parameters
    ----------
    value
        An instance of one of the design's dataclasses.

    Raises
    ------
    DesignError
        Naming every field at fault, what is allowed, and the nearest spelling.
    """
    cls: type[Any] = type(value)
    faults: list[Fault] = []
    for name, adapter in _adapters(cls).items():  # type: ignore[arg-type]
        given = getattr(value, name)
        try:
            checked = adapter.validate_python(given, strict=True)
        except ValidationError as error:
            details = error.errors(include_url=False, include_input=False)
            faults += [in_words(detail, cls, name, given) for detail in details]
        else:
            object.__setattr__(value, name, checked)
    raise_faults(cls.__name__, faults)


def raise_faults(owner: str, faults: Sequence[Fault]) -> None:
    """Raise one `DesignError` with all `faults` of the value called `owner`; none, no error."""
    if faults:
        sentences = [f"{owner}.{path_text(fault.path)} {fault.what}" for fault in faults]
        raise DesignError("\n".join(dict.fromkeys(sentences)))


def allowed(name: str, value: object, choices: Sequence[object]) -> None:
    """Raise `DesignError` unless `value` is one of `choices`; list them and the nearest."""
    if value not in choices:
        listed = ", ".join(shown(choice) for choice in choices)
        raise DesignError(
            f"{name} must be one of {listed}; it is {shown(value)}.{nearest(value, choices)}"
        )
