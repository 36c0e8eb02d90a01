"""The section that a busy reader reads: findings as cards, T1 and F2."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

from homevisit_eval.report.estimand_words import WHOSE, groups_made_alike
from homevisit_eval.report.page import ReportFigure, figure_html, paragraph, section, table_html
from homevisit_eval.report.words import (
    Verdict,
    impact_sentence,
    in_sentence,
    interval_text,
    outcome_unit,
    reservation,
    verdict,
    with_role,
)
from homevisit_eval.sample.labels import listed
from homevisit_eval.table import Table, format_value

if TYPE_CHECKING:
    from homevisit_eval.effects import Effect

__all__ = ["findings_section", "summary_text"]

VERDICT_WORDS: dict[Verdict, tuple[str, str]] = {
    "clear, favorable": ("good", "● Clear difference, good for students"),
    "clear, unfavorable": ("bad", "◆ Clear difference, bad for students"),
    "no clear difference": ("", "○ No clear difference"),
    "not to be relied on": ("flagged", "△ Not to be relied on"),
}
NO_PRIMARY = (
    "No primary question of the study is answered here. What follows comes from secondary or "
    "exploratory questions, which can suggest but not confirm."
)
UNLIKE = (
    "<p>The groups were <strong>not alike before the visit</strong>; the notes below table T1 say "
    "in what.</p>\n"
)
TOO_FEW = "Not shown: it rests on too few students."


def findings_section(
    effects: Sequence[Effect], unlike: Sequence[bool], table: Table, figure: ReportFigure
) -> str:
    """Return the section of the key findings.

    Parameters
    ----------
    effects
        In the order of the rows of `table`.
    unlike
        Of each effect, whether its groups were not alike before the visit.
    table, figure
        T1 and F2.
    """
    main = [(row, effect) for row, effect in enumerate(effects) if effect.role == "primary"]
    answered = bool(main)
    main = main or list(enumerate(effects))
    hidden = [(row, "estimate") in table.hidden for row, _ in main]
    shown = [effect for _, effect in main]
    cards = "\n".join(
        _card(effect, unlike[row], hid) for (row, effect), hid in zip(main, hidden, strict=True)
    )
    return section(
        "findings",
        "Key findings",
        "" if answered else paragraph(NO_PRIMARY, css="lead"),
        paragraph(_lead(shown, hidden), css="lead"),
        f'<div class="cards">\n{cards}\n</div>',
        '<div class="with-figure">',
        figure_html(figure),
        "<div>",
        "<h3>How to read the figure</h3>",
        paragraph(
            "A mark is the difference between visited and comparison students; its line is the "
            "interval. A line that crosses zero means that the data are compatible with no "
            "difference. Filled marks are differences that remain clear after taking into "
            "account how many outcomes were tested.",
        ),
        paragraph(
            "This is not a randomized trial: differences between the groups before the visit "
            "that no file records may be part of what is shown."
        ),
        "</div>",
        "</div>",
        table_html(table),
    )


def summary_text(effects: Sequence[Effect], table: Table) -> str:
    """Return the findings on the primary outcomes as lines for a terminal."""
    lines = [
        effect.outcome.label + ": " + TOO_FEW
        if (row, "estimate") in table.hidden
        else impact_sentence(effect)
        for row, effect in enumerate(effects)
        if effect.role == "primary"
    ]
    label = ["Synthetic data."] if table.synthetic else []
    return "\n".join([*label, *(lines or [NO_PRIMARY])]).replace("−", "-")


def _lead(effects: Sequence[Effect], hidden: Sequence[bool]) -> str:
    seen = [effect for effect, is_hidden in zip(effects, hidden, strict=True) if not is_hidden]
    good, bad, unclear, flagged = (
        [one for one in seen if verdict(one) == key] for key in VERDICT_WORDS
    )
    made = {groups_made_alike(one) for one in effects}
    similar = "similar " if made == {"matched"} else ""
    weighted = ", weighted so that the groups are similar" if made == {"weighted"} else ""
    sentences = [
        f"Visited students are compared with {similar}students who were not visited before that "
        f"school year{weighted}."
    ]
    targets = dict.fromkeys(one.estimand.target for one in effects)
    if any(target != "ATT" for target in targets):
        whose = listed([WHOSE[target] for target in targets])
        sentences.append(f"What is estimated is the difference that a visit makes for {whose}.")
    if good:
        sentences.append(f"The visited did clearly better in {_named(good)}.")
    if bad:
        sentences.append(f"The visited did clearly worse in {_named(bad)}.")
    if unclear:
        sentences.append(f"There was no clear difference in {_named(unclear)}.")
    if flagged:
        names = listed([in_sentence(one.outcome.label) for one in flagged])
        sentences.append(f"What was found for {names} is not to be relied on.")
    return " ".join(sentences)


def _named(effects: Sequence[Effect]) -> str:
    return listed([_with_difference(effect) for effect in effects])


def _with_difference(effect: Effect) -> str:
    difference = format_value(effect.estimate, "effect", outcome_unit(effect.outcome))
    unit = "percentage points" if difference.endswith(" pp") else effect.outcome.unit
    return f"{in_sentence(effect.outcome.label)} ({difference.removesuffix(' pp')} {unit})"


def _card(effect: Effect, unlike: bool, hidden: bool) -> str:
    if hidden:
        return f'<div class="card">{_card_head(effect)}<p>{TOO_FEW}</p></div>'
    css, words = VERDICT_WORDS[verdict(effect)]
    unit = outcome_unit(effect.outcome)
    difference = format_value(effect.estimate, "effect", unit)
    number, _, suffix = difference.partition(" ")
    printed = "percentage points" if suffix else effect.outcome.unit
    visited, comparison = (
        format_value(mean, "mean", unit)
        for mean in (effect.adjusted_mean_visited, effect.adjusted_mean_comparison)
    )
    level = f"{effect.confidence_level * 100:g}% interval"
    reason = reservation(effect)
    because = f": {reason}" if reason else ""
    return (
        f'<article class="card {css}">\n{_card_head(effect)}\n'
        f'<p class="big">{number} <small>{escape(printed)}</small></p>\n'
        f'<p class="verdict">{words}{because}</p>\n'
        f"<dl><dt>Visited</dt><dd>{visited}</dd><dt>Comparison</dt><dd>{comparison}</dd></dl>\n"
        f"<p>{level}: {escape(interval_text(effect))}.</p>\n{UNLIKE if unlike else ''}</article>"
    )


def _card_head(effect: Effect) -> str:
    """Return the heading of a card, with its question where that is not a primary one."""
    asked = with_role(effect.question_label, effect.role)
    below = "" if effect.role == "primary" else f'\n<p class="asked">{escape(asked)}</p>'
    return f"<h3>{escape(effect.outcome.label)}</h3>{below}"
