"""Figure F2: the differences between visited and comparison students with their intervals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pandas as pd
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
    mark_synthetic,
)
from homevisit_eval.report.impact_tables import impacts as impacts_table
from homevisit_eval.report.words import Verdict
from homevisit_eval.table import PERCENT, PERCENT_OF_STUDENTS, format_value

if TYPE_CHECKING:
    from homevisit_eval.effects import Effect

__all__ = ["impacts", "impacts_alt_text"]

PERCENTAGE_POINTS = "percentage points"

MARKS: dict[Verdict, tuple[str, str, str, str]] = {
    "clear, favorable": ("o", BLUE, BLUE, "Clear, good for students"),
    "clear, unfavorable": ("D", ORANGE, ORANGE, "Clear, bad for students"),
    "no clear difference": ("o", GRAY, "white", "No clear difference"),
}
ROW_HEIGHT = 0.52
PANEL_EXTRA = 0.72
TOP = 0.62


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
            for unit, rows in panels.items():
                _draw_panel(ax, unit, rows)
            return _figure_of(ax)
        heights = [len(rows) * ROW_HEIGHT + PANEL_EXTRA for rows in panels.values()]
        figure = Figure(figsize=(WIDTH, sum(heights, TOP)), layout="constrained")
        if panels:
            grid = figure.subplots(
                len(panels), 1, squeeze=False, gridspec_kw={"height_ratios": heights}
            )
            for axes, (unit, rows) in zip(grid[:, 0], panels.items(), strict=True):
                _draw_panel(axes, unit, rows)
        shown = {str(verdict) for rows in panels.values() for verdict in rows["verdict"]}
        figure.legend(
            handles=[_legend_mark(*mark) for verdict, mark in MARKS.items() if verdict in shown],
            loc="outside lower left",
            frameon=False,
            fontsize=8.5,
            ncols=1,
        )
        mark_synthetic(figure, any(effect.synthetic for effect in effects))
        return figure


def impacts_alt_text(effects: Sequence[Effect]) -> str:
    """Return what figure F2 shows, in words."""
    frame = impacts_table(effects).frame
    parts = [
        f"{row.outcome}: {format_value(row.estimate, 'effect', str(row.unit))}, interval "
        f"{format_value(row.ci_low, 'effect', str(row.unit))} to "
        f"{format_value(row.ci_high, 'effect', str(row.unit))}, {row.verdict}"
        for row in frame.itertuples()
        if pd.notna(row.estimate)
    ]
    return (
        "Differences between visited and matched comparison students with confidence intervals. "
        f"{'. '.join(parts)}."
    )


def _panels(effects: Sequence[Effect]) -> dict[str, pd.DataFrame]:
    """Return the rows that may be shown, by printed unit; percents are multiplied by 100."""
    frame = impacts_table(effects).frame
    frame = frame[frame["estimate"].notna()].copy()
    percent = frame["unit"].isin([PERCENT, PERCENT_OF_STUDENTS])
    numbers = ["estimate", "ci_low", "ci_high"]
    for column in numbers:
        frame[f"{column}_text"] = [
            format_value(value, "effect", str(unit)).removesuffix(" pp")
            for value, unit in zip(frame[column], frame["unit"], strict=True)
        ]
        frame[column] = frame[column].astype(float).where(~percent, frame[column] * 100)
    frame["panel"] = frame["unit"].astype(str).where(~percent, PERCENTAGE_POINTS)
    return {str(unit): rows for unit, rows in frame.groupby("panel", sort=False)}


def _draw_panel(ax: Axes, unit: str, rows: pd.DataFrame) -> None:
    count = len(rows)
    low = min(0.0, float(rows["ci_low"].min()))
    high = max(0.0, float(rows["ci_high"].max()))
    room = 0.06 * (high - low or 1.0)
    ax.set_xlim(low - room, high + room)
    ax.set_ylim(count - 0.35, -0.75)
    ax.axvline(0, color=MUTED, linewidth=1.1, zorder=1)
    ax.grid(axis="x")
    for position, row in enumerate(rows.itertuples()):
        marker, color, face, _ = MARKS[row.verdict]
        ax.hlines(position, row.ci_low, row.ci_high, color=color, linewidth=2.2, zorder=2)
        ax.plot(
            row.estimate, position, marker, color=color, markerfacecolor=face, markersize=7.5,
            markeredgewidth=1.8, zorder=3,
        )  # fmt: skip
        text = f"{row.estimate_text}  [{row.ci_low_text}, {row.ci_high_text}]"
        for x, words, side, size, ink in (
            (0, str(row.outcome), "left", 9.5, INK),
            (1, text, "right", 8.5, MUTED),
        ):
            ax.text(
                x, position - 0.42, words, transform=ax.get_yaxis_transform(), ha=side,
                va="center", fontsize=size, color=ink, zorder=4,
                bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.2},
            )  # fmt: skip
    ax.set_yticks([])
    ax.xaxis.set_major_locator(MaxNLocator(5))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}".replace("-", "−")))
    ax.tick_params(axis="x", length=0)
    ax.set_xlabel(f"Difference, {unit}")


def _legend_mark(marker: str, color: str, face: str, label: str) -> Line2D:
    return Line2D(
        [], [], marker=marker, color=color, markerfacecolor=face, markersize=7, linewidth=2,
        label=label,
    )  # fmt: skip


def _figure_of(ax: Axes) -> Figure:
    figure = ax.get_figure(root=True)
    assert figure is not None
    return figure
