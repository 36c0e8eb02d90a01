"""Tables of effects on a distribution: shares by band (B15) and quantiles (B16)."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import accumulate
from typing import TYPE_CHECKING

import pandas as pd

from homevisit_eval.design import Outcome
from homevisit_eval.disclosure import (
    SMALLEST_COUNT_SHOWN,
    is_few,
    round_where_few_are_lost,
    shown_of,
    suppress_small_counts,
)
from homevisit_eval.errors import EstimationError
from homevisit_eval.report.words import one_question, outcome_unit, with_role
from homevisit_eval.table import PERCENT_OF_STUDENTS, Cell, HidingRule, Kind, Sum, Table

if TYPE_CHECKING:
    from homevisit_eval.effects.distribution import BandEffect, BandEffects
    from homevisit_eval.effects.quantile_effects import QuantileEffect, QuantileEffects

__all__ = ["attendance_bands", "quantile_effects"]

KINDS: Mapping[str, Kind] = {
    "band": "text",
    "quantile": "text",
    "outcome": "text",
    "unit": "text",
    "share_visited": "rate",
    "share_comparison": "rate",
    "visited": "mean",
    "comparison": "mean",
    "estimate": "effect",
    "std_error": "spread",
    "ci_low": "effect",
    "ci_high": "effect",
    "p_value": "p_value",
    "n_visited": "count",
    "n_comparison": "count",
}
LABELS: Mapping[str, str] = {
    "band": "Band",
    "quantile": "Quantile",
    "share_visited": "Visited",
    "share_comparison": "Comparison",
    "visited": "Visited",
    "comparison": "Comparison",
    "estimate": "Difference",
    "std_error": "Standard error",
    "ci_low": "from",
    "ci_high": "to",
    "p_value": "p",
    "n_visited": "Visited",
    "n_comparison": "Comparison",
}
EFFECT = ("estimate", "std_error", "ci_low", "ci_high")
ALL_BANDS = "All"
ROUNDED = (
    "Where fewer than ten of the matched students lack the outcome, counts in bands are rounded "
    "down to a ten and shares to a whole percent; the count of all bands is that of the matched "
    "less nine, rounded down to a ten."
)


def attendance_bands(effects: Sequence[BandEffects], name: str = "B15") -> Table:
    """Return the shares of students in each band of an outcome, and the effects on them.

    Parameters
    ----------
    effects
        From `estimate_bands`, of attendance or any other outcome.
    name
        The number of the table in a report.

    Returns
    -------
    Table
        Safe to publish: a band with fewer than ten students of a group is hidden, and another
        one that would tell how many. Shares and effects are fractions.

    Raises
    ------
    EstimationError
        If there is nothing to show.
    """
    if not effects:
        raise EstimationError("There is no band to show; estimate some.")
    headings = _headings(effects)
    lines = [(one, band) for one in effects for band in (*one.bands, None)]
    columns = ("share_visited", "share_comparison", *EFFECT, "p_value", "n_visited", "n_comparison")
    frame = pd.DataFrame(
        {
            "band": [_band_words(one.outcome, band) for one, band in lines],
            "outcome": [headings[id(one)] for one, _ in lines],
            "unit": [PERCENT_OF_STUDENTS for _ in lines],
            **{column: [_of_band(one, band, column) for one, band in lines] for column in columns},
        }
    )
    blocks = _blocks([len(one.bands) + 1 for one in effects])
    sums = [
        Sum(tuple((row, column) for row in rows[:-1]), total)
        for rows in blocks
        for column in ("n_visited", "n_comparison", "share_visited", "share_comparison", "estimate")
        for total in [(rows[-1], column) if column.startswith("n_") else None]
    ]
    table = _table(
        frame,
        name=name,
        title="Students by band of the outcome",
        population=one_question(effects),
        notes=(
            "A student on the lower limit of a band is in it. Differences are adjusted, one linear "
            "probability model for each band; those of all bands add up to 0. They show how the "
            "distribution differs, not who moved from where. p values are not adjusted for the "
            "number of bands.",
            *_notes_of(effects),
        ),
        synthetic=any(one.synthetic for one in effects),
        confidence_level=effects[0].confidence_level,
        spanners=(
            ("Share of students", ("share_visited", "share_comparison")),
            ("Student-years in the band", ("n_visited", "n_comparison")),
        ),
        groups={
            f"n_{group}": (f"share_{group}", *EFFECT, "p_value")
            for group in ("visited", "comparison")
        },
        sums=tuple(sums),
    )
    return _rounded(suppress_small_counts(table), effects, blocks)


def quantile_effects(effects: Sequence[QuantileEffects], name: str = "B16") -> Table:
    """Return quantiles of an outcome in both groups, and their differences.

    Parameters
    ----------
    effects
        From `estimate_quantile_effects`.
    name
        The number of the table in a report.

    Returns
    -------
    Table
        Safe to publish: a quantile with fewer than ten students of a group on a side is hidden.
        Fractions where the unit is a percent.

    Raises
    ------
    EstimationError
        If there is nothing to show.
    """
    if not effects:
        raise EstimationError("There is no quantile to show; estimate some.")
    headings = _headings(effects)
    lines = [(one, row) for one in effects for row in one.quantiles]
    frame = pd.DataFrame(
        {
            "quantile": [_quantile_words(row.quantile) for _, row in lines],
            "outcome": [headings[id(one)] for one, _ in lines],
            "unit": [outcome_unit(one.outcome) for one, _ in lines],
            **{
                column: [getattr(row, column) for _, row in lines]
                for column in ("visited", "comparison", *EFFECT)
            },
            "n_visited": [one.n_visited for one, _ in lines],
            "n_comparison": [one.n_comparison for one, _ in lines],
        }
    )
    hidden: dict[Cell, HidingRule] = {
        (position, column): "rests on a small count"
        for position, (one, row) in enumerate(lines)
        if _few_on_a_side(one, row)
        for column in ("visited", "comparison", *EFFECT)
    }
    table = _table(
        frame,
        name=name,
        title="Quantiles of the outcome",
        population=one_question(effects),
        notes=(
            "A quantile of 10% is the value that one in ten students is at or below.",
            *_notes_of(effects),
        ),
        synthetic=any(one.synthetic for one in effects),
        confidence_level=effects[0].confidence_level,
        spanners=(("Value", ("visited", "comparison")),),
        groups={"n_visited": ("visited", *EFFECT), "n_comparison": ("comparison", *EFFECT)},
        csv_only=("n_visited", "n_comparison"),
        hidden=hidden,
    )
    wholes = {
        f"n_{group}": [getattr(one, f"matched_{group}") for one, _ in lines]
        for group in ("visited", "comparison")
    }
    return round_where_few_are_lost(suppress_small_counts(table), wholes)


def _of_band(one: BandEffects, band: BandEffect | None, column: str) -> float | None:
    """Return a number of a band; of all bands together if there is none."""
    if band is not None:
        value: float = getattr(band, column)
        return value
    totals = {"n_visited": one.n_visited, "n_comparison": one.n_comparison}
    return totals.get(column)


def _band_words(outcome: Outcome, band: BandEffect | None) -> str:
    """Return a band in words, with the limits as the outcome is printed.

    The first one is said from above, the last one from below.
    """
    if band is None:
        return ALL_BANDS
    low, high = (_limit(outcome, value) for value in (band.low, band.high))
    if math.isinf(band.low):
        return f"Below {high}"
    return f"{low} and above" if math.isinf(band.high) else f"{low} to below {high}"


def _limit(outcome: Outcome, value: float) -> str:
    return f"{100 * value:.10g}%" if outcome.scale == "fraction" else f"{value:g}"


def _quantile_words(quantile: float) -> str:
    return "50% (median)" if quantile == 0.5 else f"{100 * quantile:.10g}%"


def _few_on_a_side(one: QuantileEffects, row: QuantileEffect) -> bool:
    """Say whether fewer than ten of a group lie below the quantile, or above it."""
    fewest = min(one.n_visited, one.n_comparison)
    return min(row.quantile, 1 - row.quantile) * fewest < SMALLEST_COUNT_SHOWN


def _headings(effects: Sequence[BandEffects] | Sequence[QuantileEffects]) -> dict[int, str]:
    """Return the heading of each effect's rows, with its question if there are several."""
    several = len({one.question for one in effects}) > 1
    return {
        id(one): one.outcome.label
        + (f". {with_role(one.question_label, one.role)}" if several else "")
        for one in effects
    }


def _blocks(lengths: Sequence[int]) -> list[range]:
    ends = list(accumulate(lengths))
    return [range(end - length, end) for end, length in zip(ends, lengths, strict=True)]


def _rounded(table: Table, effects: Sequence[BandEffects], blocks: Sequence[range]) -> Table:
    """Return the table with numbers rounded that would add up to how few lack the outcome."""
    frame, digits = table.frame.copy(), dict(table.digits)
    for one, rows in zip(effects, blocks, strict=True):
        for group in ("visited", "comparison"):
            whole = getattr(one, f"matched_{group}")
            if not is_few(whole - getattr(one, f"n_{group}")):
                continue
            digits[f"share_{group}"] = 0
            column = f"n_{group}"
            counts = frame[column].to_numpy(dtype=object, copy=True)
            for row in rows:
                if not pd.isna(counts[row]):
                    counts[row] -= counts[row] % SMALLEST_COUNT_SHOWN
            if not pd.isna(counts[rows[-1]]):
                counts[rows[-1]] = shown_of(getattr(one, f"n_{group}"), whole)
            frame[column] = pd.Series(counts).astype(frame[column].dtype)
            shares = frame[f"share_{group}"].to_numpy(dtype=float, copy=True)
            shares[rows.start : rows.stop] = shares[rows.start : rows.stop].round(2)
            frame[f"share_{group}"] = shares
    if digits == table.digits:
        return table
    return replace(table, frame=frame, digits=digits, notes=(*table.notes, ROUNDED))


def _notes_of(effects: Sequence[BandEffects] | Sequence[QuantileEffects]) -> list[str]:
    """Return the notes of the effects once each, without those that count clusters.

    One that is true of all effects is said of none by name.
    """
    kept = [
        (one, note)
        for one in effects
        for note in one.notes
        if one.tells_no_small_count or not note.startswith("Only ")
    ]
    times = Counter(note for _, note in kept)
    headings = _headings(effects)
    said = [
        note
        if times[note] == len(effects)
        else f"{headings[id(one)]}: {note[:1].lower()}{note[1:]}"
        for one, note in kept
    ]
    return list(dict.fromkeys(said))


def _table(
    frame: pd.DataFrame,
    *,
    name: str,
    title: str,
    population: str,
    notes: tuple[str, ...],
    synthetic: bool,
    confidence_level: float,
    spanners: tuple[tuple[str, tuple[str, ...]], ...],
    groups: Mapping[str, tuple[str, ...]],
    sums: tuple[Sum, ...] = (),
    csv_only: tuple[str, ...] = (),
    hidden: Mapping[Cell, HidingRule] | None = None,
) -> Table:
    columns = [str(column) for column in frame]
    return Table(
        name=name,
        title=title,
        population=population,
        frame=frame,
        kinds={column: KINDS[column] for column in columns},
        labels={column: LABELS[column] for column in columns if column in LABELS},
        notes=notes,
        synthetic=synthetic,
        unit="unit",
        section="outcome",
        csv_only=("unit", *csv_only),
        spanners=(
            spanners[0],
            (f"{100 * confidence_level:g}% interval", ("ci_low", "ci_high")),
            *spanners[1:],
        ),
        groups=groups,
        sums=sums,
        hidden=hidden or {},
    )
