"""Figure F2: the differences between visited and comparison students with their intervals."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, MaxNLocator

from homevisit_eval.errors import DesignError
from homevisit_eval.report.drawing import (
    BLUE,
    GRAY,
    INK,
    MUTED,
    ORANGE,
    WIDTH,
    figure_style,
    finish,
)
from homevisit_eval.report.impact_tables import impacts as impacts_table
from homevisit_eval.report.words import Verdict, marked, outcome_unit, verdict
from homevisit_eval.table import PERCENT, PERCENT_OF_STUDENTS, format_value

if TYPE_CHECKING:
    from homevisit_eval.effects import Effect

__all__ = ["impacts", "impacts_alt_text"]

PERCENTAGE_POINTS = "percentage points"

MARKS: dict[Verdict, tuple[str, str, str, str]] = {
    "clear, favorable": ("o", BLUE, BLUE, "Clear, good for students"),
    "clear, unfavorable": ("D", ORANGE, ORANGE, "Clear, bad for students"),
    "no clear difference": ("o", GRAY, "white", "No clear difference"),
    "not to be relied on": ("^", GRAY, "white", "Not to be relied on"),
}
ROW_HEIGHT = 0.52
PANEL_EXTRA = 0.72
TOP = 0.62
LONGEST_LABEL = 32


@dataclass(frozen=True, slots=True)
class Bar:
    """One line of the figure, in printed units."""

    label: str
    role: str
    unit: str
    estimate: float
    low: float
    high: float
    text: str
    verdict: Verdict


def impacts(effects: Sequence[Effect], ax: Axes | None = None) -> Figure:
    """Draw each difference with its interval and a line at zero, one panel for each unit.

    Parameters
    ----------
    effects
        With adjusted p values. Those that rest on too few students are left out.
    ax
        Axes to draw into, if the effects have one unit.

    Returns
    -------
    Figure
        A new one, or that of `ax`.

    Raises
    ------
    DesignError
        If `ax` is given and the effects have several units.
    EstimationError
        If there is no effect.
    """
    panels = _panels(effects)
    if ax is not None and len(panels) > 1:
        raise DesignError(
            f"ax can show one unit; these effects have {', '.join(panels)}. Give effects of one "
            "unit, or leave ax out for one panel a unit."
        )
    with figure_style():
        if ax is not None:
            for unit, bars in panels.items():
                _draw_panel(ax, unit, bars)
            return _figure_of(ax)
        heights = [len(bars) * ROW_HEIGHT + PANEL_EXTRA for bars in panels.values()]
        figure = Figure(figsize=(WIDTH, sum(heights, TOP)), layout="constrained")
        if panels:
            grid = figure.subplots(
                len(panels), 1, squeeze=False, gridspec_kw={"height_ratios": heights}
            )
            for axes, (unit, bars) in zip(grid[:, 0], panels.items(), strict=True):
                _draw_panel(axes, unit, bars)
        shown = {bar.verdict for bars in panels.values() for bar in bars}
        figure.legend(
            handles=[_legend_mark(*mark) for key, mark in MARKS.items() if key in shown],
            loc="outside lower left",
            frameon=False,
            fontsize=8.5,
            ncols=1,
        )
        finish(figure, any(effect.synthetic for effect in effects))
        return figure


def impacts_alt_text(effects: Sequence[Effect]) -> str:
    """Return what figure F2 shows, in words."""
    parts = [
        f"{marked(bar.label, bar.role)}: {bar.text} {bar.unit}, {bar.verdict}"
        for bars in _panels(effects).values()
        for bar in bars
    ]
    return (
        "Differences between visited and comparison students with confidence intervals. "
        f"{'. '.join(parts)}."
    )


def _panels(effects: Sequence[Effect]) -> dict[str, list[Bar]]:
    """Return the effects that may be shown, by printed unit; percents are multiplied by 100."""
    table = impacts_table(effects)
    panels: dict[str, list[Bar]] = {}
    for row, effect in enumerate(effects):
        if (row, "estimate") in table.hidden or not math.isfinite(effect.ci_high - effect.ci_low):
            continue
        unit = outcome_unit(effect.outcome)
        percent = unit in (PERCENT, PERCENT_OF_STUDENTS)
        scale = 100.0 if percent else 1.0
        estimate, low, high = (
            format_value(value, "effect", unit).removesuffix(" pp")
            for value in (effect.estimate, effect.ci_low, effect.ci_high)
        )
        bar = Bar(
            label=effect.outcome.label,
            role=effect.role,
            unit=PERCENTAGE_POINTS if percent else unit,
            estimate=effect.estimate * scale,
            low=effect.ci_low * scale,
            high=effect.ci_high * scale,
            text=f"{estimate}  [{low}, {high}]",
            verdict=verdict(effect),
        )
        panels.setdefault(bar.unit, []).append(bar)
    return panels


def _draw_panel(ax: Axes, unit: str, bars: Sequence[Bar]) -> None:
    count = len(bars)
    low = min(0.0, *(bar.low for bar in bars))
    high = max(0.0, *(bar.high for bar in bars))
    room = 0.06 * (high - low or 1.0)
    ax.set_xlim(low - room, high + room)
    ax.set_ylim(count - 0.35, -0.75)
    ax.axvline(0, color=MUTED, linewidth=1.1, zorder=1)
    ax.grid(axis="x")
    for position, bar in enumerate(bars):
        marker, color, face, _ = MARKS[bar.verdict]
        ax.hlines(position, bar.low, bar.high, color=color, linewidth=2.2, zorder=2)
        ax.plot(
            bar.estimate, position, marker, color=color, markerfacecolor=face, markersize=7.5,
            markeredgewidth=1.8, zorder=3,
        )  # fmt: skip
        for x, words, side, size, ink in (
            (0, _short(bar.label), "left", 9.5, INK),
            (1, bar.text, "right", 8.5, MUTED),
        ):
            ax.text(
                x, position - 0.42, words, transform=ax.get_yaxis_transform(), ha=side,
                va="center", fontsize=size, color=ink, zorder=4,
                bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.2},
            )  # fmt: skip
        if bar.role == "exploratory":
            ax.text(
                0, position + 0.18, bar.role, transform=ax.get_yaxis_transform(), ha="left",
                va="center", fontsize=7.5, fontstyle="italic", color=MUTED, zorder=4,
                bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.6},
            )  # fmt: skip
    ax.set_yticks([])
    ax.xaxis.set_major_locator(MaxNLocator(5))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}".replace("-", "−")))
    ax.tick_params(axis="x", length=0)
    ax.set_xlabel(f"Difference, {unit}")


def _short(label: str) -> str:
    return label if len(label) <= LONGEST_LABEL else f"{label[: LONGEST_LABEL - 1].rstrip()}…"


def _legend_mark(marker: str, color: str, face: str, label: str) -> Line2D:
    return Line2D(
        [], [], marker=marker, color=color, markerfacecolor=face, markersize=7, linewidth=2,
        label=label,
    )  # fmt: skip


def _figure_of(ax: Axes) -> Figure:
    figure = ax.get_figure(root=True)
    assert figure is not None
    return figure
