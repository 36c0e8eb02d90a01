"""The parameters of a synthetic district as a TOML file: reading and writing.

Nothing here knows which parameters there are: tables, keys and kinds of values come from the
fields of the dataclasses.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

import tomli_w
from pydantic import TypeAdapter, ValidationError

from homevisit_eval.design.toml_file import (
    FileKind,
    check_format,
    faults_by_line,
    parse_document,
    read_text,
)
from homevisit_eval.design.toml_lines import lines_of
from homevisit_eval.design.wording import Fault, in_words, nearest, shown
from homevisit_eval.design.wording import Path as Place
from homevisit_eval.errors import DesignError
from homevisit_eval.synthetic.parameters import District
from homevisit_eval.synthetic.presets import PRESETS, preset

__all__ = ["district_text", "parse_district", "read_district"]

FORMAT = 1
NONE = "none"
"""How a parameter without a value is written: TOML has no word for it."""

DISTRICT_FILE = FileKind(
    name="district",
    example="parameters.toml",
    advice='Begin with the lines `format = 1` and `preset = "small"`, then write what differs.',
    repeated="[[programs]]",
)


def read_district(path: str | Path) -> District:
    """Read the parameters of a synthetic district from a TOML file.

    Parameters
    ----------
    path
        A file in UTF-8 that begins with ``format = 1``. With ``preset = "small"``, or another
        of `PRESETS`, only what differs from that preset need be written; without it, what
        differs from the defaults of `District`. ``"none"`` stands for no value.

    Raises
    ------
    DesignError
        If the file cannot be read or does not describe a possible district. The message lists
        every fault with its line.
    """
    return parse_district(read_text(Path(path), DISTRICT_FILE), str(path))


def parse_district(text: str, file: str = "parameters.toml") -> District:
    """Return the district that a TOML text describes; `file` is what messages call it.

    Without a name of its own a district that differs from its preset is called, for example,
    "small, changed".

    Raises
    ------
    DesignError
        As for `read_district`.
    """
    document = parse_document(text, file, DISTRICT_FILE)
    check_format(document, file, known=(FORMAT,), newest=FORMAT)
    given = {key: value for key, value in document.items() if key not in ("format", "preset")}
    reading = _Reading()
    start = reading.start(document)
    if isinstance(start, District) and given and "name" not in given:
        given["name"] = f"{start.name}, changed"
    district = reading.table(District, given, start, ())
    if reading.faults:
        place = "in the parameters of the district"
        raise DesignError(faults_by_line(reading.faults, lines_of(text), file, place))
    if not isinstance(district, District):
        raise AssertionError("a district without a fault is there")
    return district


def district_text(district: District) -> str:
    """Return the parameters as the text of a TOML file, every default written out.

    Reading the text gives an equal district.
    """
    return tomli_w.dumps({"format": FORMAT, **_as_table(district)})


def _as_table(value: Any) -> dict[str, Any]:
    """Return the fields of a dataclass in order, tables last as TOML wants them."""
    plain = {one.name: _plain(getattr(value, one.name)) for one in dataclasses.fields(value)}
    return dict(sorted(plain.items(), key=lambda item: isinstance(item[1], dict)))


def _plain(value: Any) -> Any:
    if value is None:
        return NONE
    if dataclasses.is_dataclass(value):
        return _as_table(value)
    if isinstance(value, tuple):
        return [_plain(part) for part in value]
    return value


@dataclass(frozen=True, slots=True)
class _Reading:
    """One pass over a file; `faults` grows meanwhile."""

    faults: list[Fault] = field(default_factory=list)

    def start(self, document: dict[str, Any]) -> District | None:
        """Return the district that the file starts from, if it names one."""
        name = document.get("preset")
        if name is None:
            return None
        if name in PRESETS:
            return preset(name)
        listed = ", ".join(shown(one) for one in PRESETS)
        what = f"must be one of {listed}; it is {shown(name)}.{nearest(name, PRESETS)}"
        self.faults.append(Fault(("preset",), what))
        return None

    def table(self, cls: type, given: dict[str, Any], start: Any, path: Place) -> Any:
        """Return a value of class `cls`; what is not given is taken from `start`, or a default."""
        before = len(self.faults)
        hints = _hints(cls)
        for key in given.keys() - hints.keys():
            what = f"is not a parameter.{nearest(key, list(hints))} Allowed: {', '.join(hints)}."
            self.faults.append(Fault((*path, key), what))
        values = {}
        for one in dataclasses.fields(cls):
            place = (*path, one.name)
            usual = _default(one) if start is None else getattr(start, one.name)
            if one.name in given:
                values[one.name] = self.value(cls, one.name, given[one.name], usual, place)
            elif usual is not dataclasses.MISSING:
                values[one.name] = usual
            else:
                self.faults.append(Fault(place, "is missing; add it."))
        if len(self.faults) > before:
            return start
        try:
            return cls(**values)
        except DesignError as error:
            sentences = str(error).removeprefix(f"{cls.__name__}.").replace("\n", " ")
            self.faults.append(Fault(path or ("format",), f"do not fit together: {sentences}"))
        return start

    def value(self, cls: type, name: str, given: Any, usual: Any, path: Place) -> Any:
        """Return the value of one field; a fault is noted, and the usual value returned."""
        hint, optional = _without_none(_hints(cls)[name])
        if optional and given == NONE:
            return None
        inner = get_args(hint)[0] if get_origin(hint) is tuple else None
        if dataclasses.is_dataclass(hint):
            return self.nested(hint, given, usual, path)
        if dataclasses.is_dataclass(inner) and isinstance(given, list):
            parts = [self.nested(inner, part, None, (*path, n)) for n, part in enumerate(given)]
            return tuple(parts)
        checked, faults = _checked(cls, name, _tuples(given), usual)
        self.faults.extend(Fault((*path, *fault.path[1:]), fault.what) for fault in faults)
        return checked

    def nested(self, cls: Any, given: Any, usual: Any, path: Place) -> Any:
        """Return the value of a table inside a table."""
        if not isinstance(given, dict):
            what = f"must be a table, with its name in brackets above it; it is {shown(given)}."
            self.faults.append(Fault(path, what))
            return usual
        start = usual if dataclasses.is_dataclass(usual) else None
        return self.table(cls, given, start, path)


def _checked(cls: type, name: str, given: Any, usual: Any) -> tuple[Any, list[Fault]]:
    """Return a plain value as the field wants it, and what is wrong with it."""
    hint, _ = _without_none(_hints(cls)[name])
    length = _length(name, hint, usual)
    if length is not None and isinstance(given, tuple) and len(given) != length:
        what = f"must hold {length} values; it holds {len(given)}."
        return usual, [Fault((name,), what)]
    try:
        checked = _adapter(cls, name).validate_python(given, strict=True)
    except ValidationError as error:
        details = error.errors(include_url=False, include_input=False)
        return usual, [in_words(detail, cls, name, given) for detail in details]
    return checked, _outside_limits(name, checked)


def _length(name: str, hint: Any, usual: Any) -> int | None:
    """Return how many values a tuple must hold, if that is fixed.

    It is by its annotation; or because it is by grade, and there are as many grades as usual.
    """
    inside = get_args(hint) if get_origin(hint) is tuple else ()
    if inside and inside[-1] is not Ellipsis:
        return len(inside)
    by_grade = name.endswith("by_grade") and isinstance(usual, tuple)
    return len(usual) if by_grade else None


def _outside_limits(name: str, value: Any) -> list[Fault]:
    """Return numbers that no parameter of such a name can have.

    No number is infinite; what is called an SD is not negative; what is called a share lies
    between 0 and 1. All other limits stand in the dataclasses.
    """
    parts = enumerate(value) if isinstance(value, tuple) else [(None, value)]
    faults = []
    for position, part in parts:
        if not isinstance(part, float | int) or isinstance(part, bool):
            continue
        path = (name,) if position is None else (name, position)
        if not math.isfinite(part):
            faults.append(Fault(path, f"must be a finite number; it is {part}."))
        elif (name == "sd" or name.endswith("_sd")) and part < 0:
            faults.append(Fault(path, f"must not be negative: it is an SD; it is {part:g}."))
        elif (name == "share" or name.endswith("_share")) and not 0 <= part <= 1:
            faults.append(Fault(path, f"must be between 0 and 1; it is {part:g}."))
    return faults


@cache
def _hints(cls: type) -> dict[str, Any]:
    return get_type_hints(cls, include_extras=True)


@cache
def _adapter(cls: type, name: str) -> TypeAdapter[Any]:
    return TypeAdapter(_hints(cls)[name])


def _without_none(hint: Any) -> tuple[Any, bool]:
    """Return an annotation without its rules and without None, and whether None was in it."""
    if get_origin(hint) is Annotated:
        return _without_none(get_args(hint)[0])
    if get_origin(hint) not in (Union, UnionType):
        return hint, False
    others = [part for part in get_args(hint) if part is not type(None)]
    return others[0], len(others) < len(get_args(hint))


def _default(one: dataclasses.Field[Any]) -> Any:
    if one.default_factory is not dataclasses.MISSING:
        return one.default_factory()
    return one.default


def _tuples(value: Any) -> Any:
    return tuple(_tuples(part) for part in value) if isinstance(value, list) else value
