"""In what a design differs from the registered one, and what is exploratory for that reason."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from homevisit_eval.design.consistency import as_tables
from homevisit_eval.design.design_file import design_checksum
from homevisit_eval.design.measures import TEST_SCORES, measured_name
from homevisit_eval.design.questions import Question, Role, TimingContrast, Variation
from homevisit_eval.design.study import StudyDesign, unused_covariates
from homevisit_eval.design.wording import TAGS, Path

__all__ = [
    "Change",
    "Deviation",
    "compare_designs",
    "contrast_role",
    "design_named",
    "variation_label",
    "why_exploratory",
]

Change = Literal["added", "removed", "changed"]

NAMED = ("covariates", "outcomes", "questions", "sensitivity", "timing_contrasts")
"""Tables that stand in a design several times, each with a name."""

OF_STUDENTS = ("grades", "eligibility", "missing_covariates", "covariates")
"""What plays no part in questions about teachers."""

SHORT_CHECKSUM = 12
PLACES_NAMED = 3
UNREGISTERED = " (exploratory: not as registered)"


@dataclass(frozen=True, slots=True)
class Deviation:
    """One place in which a design differs from the registered one.

    Attributes
    ----------
    place
        As in the file, entries by their names: ``"questions.summer_behavior.window"``.
    registered, used
        The two values as text; "" where there is none. Of a whole entry its label.
    change
        ``"added"`` or ``"removed"``: an entry that only one of the two has; else ``"changed"``.
    editorial
        Whether it is a title, a version or a label, which changes no number.
    touches
        Places of the questions, variations and timing contrasts of the design used that are not
        answered as registered because of it: ``"questions.summer_behavior"``.
    """

    place: str
    registered: str
    used: str
    change: Change
    editorial: bool
    touches: tuple[str, ...]


def compare_designs(registered: StudyDesign, design: StudyDesign) -> tuple[Deviation, ...]:
    """Return every place in which `design` differs from the registered one, in file order.

    Neither comments and layout nor the order of entries, names and years is a difference; nor is
    a matching or model that a question names itself where the other design gives it the same one.
    An entry is known by its name: one with a new name is another.
    """
    before, after = _tables(registered, design), _tables(design, registered)
    return tuple(
        Deviation(
            place=".".join(map(str, path)),
            registered=_words(old),
            used=_words(new),
            change=_change(path, old, new),
            editorial=_is_editorial(path),
            touches=tuple(_touched(path, registered, design)),
        )
        for path, old, new in _differences(before, after, ())
    )


def contrast_role(design: StudyDesign, contrast: TimingContrast) -> Role:
    """Return the role of a timing contrast: that of its earlier question, if it is as registered.

    Exploratory else, and if the design does not have it.
    """
    if contrast not in design.timing_contrasts or _reasons(design, contrast):
        return "exploratory"
    return design.question(contrast.earlier).role


def variation_label(design: StudyDesign, variation: Variation) -> str:
    """Return the label of a variation, which says so if it is not as registered."""
    return f"{variation.label}{UNREGISTERED if _reasons(design, variation) else ''}"


def why_exploratory(design: StudyDesign, question: Question) -> str:
    """Return why a question is exploratory whatever its role says, as a sentence; "" if it is not.

    It is if the design does not have it, or if it is not asked and answered as registered.
    """
    if question not in design.questions:
        return (
            f"Exploratory: this question is not among those of the design ({design_named(design)})."
        )
    found = _reasons(design, question)
    if design.registered is None or not found:
        return ""
    where = design_named(design.registered)
    if any(one.place == _place(question) for one in found):
        return f"Exploratory: this question is not among those of the registered design ({where})."
    places = ", ".join(one.place for one in found[:PLACES_NAMED])
    more = f" and {len(found) - PLACES_NAMED} more" if len(found) > PLACES_NAMED else ""
    return (
        f"Exploratory: this question is not answered as registered ({where}); see {places}{more}."
    )


def design_named(design: StudyDesign) -> str:
    """Return the version and the first digits of the checksum of a design, as text."""
    return f"version {design.version}, checksum {design_checksum(design)[:SHORT_CHECKSUM]}"


def _reasons(
    design: StudyDesign, entry: Question | Variation | TimingContrast
) -> tuple[Deviation, ...]:
    if design.registered is None:
        return ()
    found = compare_designs(design.registered, design)
    return tuple(one for one in found if _place(entry) in one.touches)


def _place(entry: Question | Variation | TimingContrast) -> str:
    match entry:
        case Question():
            kind = "questions"
        case Variation():
            kind = "sensitivity"
        case TimingContrast():
            kind = "timing_contrasts"
    return f"{kind}.{entry.name}"


def _tables(design: StudyDesign, other: StudyDesign) -> dict[str, Any]:
    """Return a design as tables, entries by name.

    Where a question of either names its own matching or model, both get the one they use.
    """
    tables = as_tables(design)
    theirs = {one.name: one for one in other.questions}
    for one in tables["questions"]:
        for key in ("matching", "model"):
            if getattr(theirs.get(one["name"]), key, None) is not None:
                one.setdefault(key, tables[key])
    named = {kind: {one.pop("name"): one for one in tables[kind]} for kind in NAMED}
    return {**tables, **named}


def _differences(old: Any, new: Any, path: Path) -> Iterator[tuple[Path, Any, Any]]:
    if isinstance(old, dict) and isinstance(new, dict) and _kind(old) == _kind(new):
        for key in dict.fromkeys([*new, *old]):
            yield from _differences(old.get(key), new.get(key), (*path, key))
    elif _unordered(old) != _unordered(new):
        yield path, old, new


def _kind(table: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the method, model or rule that a table is of: others have other options."""
    return tuple(table[tag] for tag in TAGS if isinstance(table.get(tag), str))


def _unordered(value: Any) -> Any:
    return sorted(json.dumps(part) for part in value) if isinstance(value, list) else value


def _change(path: Path, old: Any, new: Any) -> Change:
    if path[0] in NAMED and len(path) == 2:
        if old is None:
            return "added"
        if new is None:
            return "removed"
    return "changed"


def _is_editorial(path: Path) -> bool:
    return path in (("title",), ("version",)) or (path[0] in NAMED and path[2:] == ("label",))


def _words(value: Any) -> str:
    """Return a value of a file as text, an entry by its label."""
    if value is None:
        return ""
    if isinstance(value, dict):
        if "label" in value:
            return str(value["label"])
        return ", ".join(f"{key} = {_words(part)}" for key, part in value.items())
    if isinstance(value, list):
        parts = [f"[{_words(part)}]" if isinstance(part, list | dict) else _words(part)
                 for part in value]  # fmt: skip
        return ", ".join(parts) or "nothing"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _touched(path: Path, registered: StudyDesign, design: StudyDesign) -> Iterator[str]:
    """Yield the places of entries of `design` that a difference at `path` touches."""
    if _is_editorial(path):
        return
    questions = [one for one in design.questions if _uses(one, path, registered)]
    names = {one.name for one in questions}
    yield from map(_place, questions)
    yield from (_place(one) for one in design.sensitivity if path[:2] == ("sensitivity", one.name))
    for contrast in design.timing_contrasts:
        own = path[:2] == ("timing_contrasts", contrast.name) or path[0] == "model"
        measured = path[0] == "outcomes" and path[1] in contrast.outcomes
        if own or measured or {contrast.earlier, contrast.later} & names:
            yield _place(contrast)


def _uses(question: Question, path: Path, registered: StudyDesign) -> bool:
    """Return whether what stands at `path` is part of how a question is asked or answered."""
    kind, name = path[0], path[1] if len(path) > 1 else ""
    if kind in OF_STUDENTS and question.unit == "teacher":
        return False
    asked = (question, *(one for one in registered.questions if one.name == question.name))
    parts = {
        "questions": name == question.name,
        "outcomes": name in question.outcomes,
        "covariates": name not in unused_covariates(question),
        "achievement": any(measured_name(one)[0] in TEST_SCORES for one in question.outcomes),
        "risk_sets": question.during,
        "matching": all(one.matching is None for one in asked),
        "model": all(one.model is None for one in asked),
        "sensitivity": False,
        "timing_contrasts": False,
    }
    return parts.get(str(kind), True)
