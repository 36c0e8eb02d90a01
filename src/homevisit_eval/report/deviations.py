"""What was not done as registered: table C6, its section, and the sentence at the top."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

import pandas as pd

from homevisit_eval.design import Deviation, StudyDesign, compare_designs, design_checksum
from homevisit_eval.design.deviations import SHORT_CHECKSUM
from homevisit_eval.report.page import paragraph, section, table_html
from homevisit_eval.sample.labels import listed
from homevisit_eval.table import Table

if TYPE_CHECKING:
    from homevisit_eval.evaluation import Evaluation

__all__ = ["departures_sentence", "deviations", "deviations_banner", "deviations_section"]

NONE_GIVEN = "not given"
PARTS = {
    "questions": "Questions",
    "timing_contrasts": "Timing contrasts",
    "outcomes": "Outcomes",
    "covariates": "Covariates",
    "shared": "Shared by several questions",
    "sensitivity": "Other analyses",
    "words": "Words only",
}
"""The parts of table C6 after the designs themselves, in their order."""

OWN_ENTRIES = ("questions", "timing_contrasts", "sensitivity")
FAMILIES = (
    "P values are adjusted within role and domain. Where a registered question is not run, or is "
    "exploratory now, fewer of them are adjusted together than was registered."
)
NOT_REGISTERED = (
    "The design names no registered design, so nothing says which of these questions were asked "
    "before the data were read."
)


def deviations(evaluation: Evaluation, name: str = "C6") -> Table:
    """Return in what the design of a study differs from the registered one, and what follows.

    Parameters
    ----------
    evaluation
        Of a design with or without a registered one. Answers to questions that its design does
        not have are listed too.
    name
        The number of the table in a report.

    Returns
    -------
    Table
        Two rows on the designs, then one for each deviation; values of the design only, none of
        the data.
    """
    design, registered = evaluation.design, evaluation.design.registered
    checksums = [design_checksum(one) if one else NONE_GIVEN for one in (registered, design)]
    rows = [
        ("The designs", "version", registered.version if registered else NONE_GIVEN,
         design.version, ""),
        ("The designs", "checksum", *(text[:SHORT_CHECKSUM] for text in checksums), ""),
    ]  # fmt: skip
    found = _found(design)
    rows += [
        (PARTS[part], one.place, one.registered, one.used, _what_follows(one, design))
        for part in PARTS
        for one in found
        if _part(one) == part and one.place != "version"
    ]
    fewer = any(_part(one) == "questions" or one.touches for one in found)
    rows += [
        ("Asked beside the design", f"questions.{one.question.name}", "", one.question.label,
         "exploratory")
        for one in evaluation.answers
        if one.question not in design.questions
    ]  # fmt: skip
    return Table(
        name=name,
        title="Deviations from the registered design",
        frame=pd.DataFrame(rows, columns=["part", "place", "registered", "used", "follows"]),
        kinds=dict.fromkeys(("place", "part", "registered", "used", "follows"), "text"),
        labels={
            "place": "Place in the design file", "registered": "Registered", "used": "Used",
            "follows": "What follows",
        },
        notes=(
            f"SHA-256 of the registered design: {checksums[0]}; of the design used: "
            f"{checksums[1]}. It covers every option and no comment.",
            *((FAMILIES,) if fewer else ()),
        ),
        synthetic=evaluation.synthetic,
        section="part",
    )  # fmt: skip


def deviations_banner(design: StudyDesign) -> str:
    """Return what the top of the page says of deviations, with a link; empty if there is none."""
    text = departures_sentence(design)
    link = ' <a href="#deviations">What and where</a>.'
    return (
        '<div class="banner missing" role="note"><strong>Not all as registered</strong>'
        f"{escape(text)}{link}</div>"
        if text
        else ""
    )


def departures_sentence(design: StudyDesign) -> str:
    """Return a sentence on how many places differ from the registered design; "" if none does."""
    count = sum(not one.editorial for one in _found(design))
    places = "1 place" if count == 1 else f"{count} places"
    return (
        f"The design differs from the registered one in {places}; questions that this touches are "
        "exploratory (table C6)."
        if count
        else ""
    )


def deviations_section(table: Table, design: StudyDesign) -> str:
    """Return the section of table C6."""
    return section(
        "deviations",
        "Deviations from the registered design",
        paragraph(_in_short(design)),
        table_html(table),
    )


def _found(design: StudyDesign) -> tuple[Deviation, ...]:
    return compare_designs(design.registered, design) if design.registered else ()


def _in_short(design: StudyDesign) -> str:
    if design.registered is None:
        return NOT_REGISTERED
    if text := departures_sentence(design):
        return text
    same = design_checksum(design) == design_checksum(design.registered)
    other = "" if same else " Only words or the order of entries differ."
    return f"Every question is asked and answered as registered.{other}"


def _part(deviation: Deviation) -> str:
    if deviation.editorial:
        return "words"
    kind = deviation.place.partition(".")[0]
    return kind if kind in PARTS else "shared"


def _what_follows(deviation: Deviation, design: StudyDesign) -> str:
    part = _part(deviation)
    if part == "words":
        return "no number changes"
    if part in OWN_ENTRIES and deviation.change == "removed":
        return "registered, not run"
    if part in OWN_ENTRIES and deviation.change == "added":
        return "not registered: exploratory"
    names = _touched(deviation, "questions")
    if names:
        return f"exploratory: {_all_or_some(names, [one.name for one in design.questions])}"
    if others := [*_touched(deviation, "timing_contrasts"), *_touched(deviation, "sensitivity")]:
        return f"exploratory: {listed(others)}"
    return "touches no question"


def _touched(deviation: Deviation, kind: str) -> list[str]:
    return [place.removeprefix(f"{kind}.") for place in deviation.touches
            if place.startswith(f"{kind}.")]  # fmt: skip


def _all_or_some(names: Sequence[str], every: Sequence[str]) -> str:
    left = [name for name in every if name not in names]
    if not left:
        return "every question"
    return listed(names) if len(left) >= len(names) else f"every question but {listed(left)}"
