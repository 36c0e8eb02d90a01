"""Figures FR1 and FR3: bias and coverage of each design, with Monte Carlo intervals."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, MaxNLocator

from homevisit_eval.certificate import MAIN
from homevisit_eval.certificate.verdicts import (
    LARGEST_BIAS_OF_NAIVE,
    LARGEST_BIAS_OF_STD_ERROR,
    NOMINAL_COVERAGE,
)
from homevisit_eval.report.certificate_panels import (
    figure_of_panels,
    printed_scale,
    printed_unit,
)
from homevisit_eval.report.certificate_words import (
    by_outcome,
    coverage_of,
    main_mode,
    outcome_title,
    unit_of,
    verdict_on,
)
from homevisit_eval.report.drawing import BLUE, GRAY, INK, LIGHT, MUTED, ORANGE
from homevisit_eval.table import PERCENT, format_value

if TYPE_CHECKING:
    from homevisit_eval.certificate import Certificate, Mode, Performance
    from homevisit_eval.certificate.performance import Judgment

__all__ = [
    "bias_by_design",
    "bias_by_design_alt_text",
    "coverage_by_design",
    "coverage_by_design_alt_text",
]

Shown = Literal["bias", "coverage"]

MARKS: dict[Judgment, tuple[str, str, str, str]] = {
    "pass": ("o", BLUE, BLUE, "Pass"),
    "conservative": ("s", BLUE, "white", "Pass, cautious"),
    "undecided": ("o", GRAY, "white", "Undecided"),
    "fail": ("D", ORANGE, ORANGE, "Fail"),
    "statement": ("|", GRAY, "white", "Not judged"),
}

LINE_CHARACTERS = 50
TEXT_LINE = 0.15
BAR_LINE = 0.21
GAP = 0.07


@dataclass(frozen=True, slots=True)
class Row:
    """One design in a panel, in printed units; `allowed` is the band of the verdict's rule."""

    label: tuple[str, ...]
    text: str
    value: float
    low: float
    high: float
    allowed: tuple[float, float]
    judgment: Judgment
    main: bool

    @property
    def height(self) -> float:
        """Inches."""
        return len(self.label) * TEXT_LINE + BAR_LINE + GAP


@dataclass(frozen=True, slots=True)
class Panel:
    """The designs of one outcome."""

    title: str
    axis: str
    rows: tuple[Row, ...]


def bias_by_design(
    certificate: Certificate,
    ax: Axes | None = None,
    *,
    outcome: str | None = None,
    mode: Mode | None = None,
) -> Figure:
    """Draw the bias of each design with its Monte Carlo interval, one panel an outcome.

    The gray band of a design is what the verdict allows: a quarter of its standard error, and
    a tenth of the naive bias where that exceeds one standard error. Of designs that differ in
    their standard errors only, the first is drawn.

    Parameters
    ----------
    certificate
        With at least one trial.
    ax
        Axes to draw into, if there is one outcome.
    outcome
        The only outcome to draw; all if not given.
    mode
        Schools redrawn or fixed; redrawn where it was run if not given.

    Returns
    -------
    Figure
        A new one, or that of `ax`.

    Raises
    ------
    DesignError
        If `ax` is given and there are several outcomes.
    """
    return _figure(_panels(certificate, "bias", outcome, mode), "bias", ax)


def coverage_by_design(
    certificate: Certificate,
    ax: Axes | None = None,
    *,
    outcome: str | None = None,
    mode: Mode | None = None,
) -> Figure:
    """Draw the coverage of each design with its Monte Carlo interval and the band it should be in.

    Parameters
    ----------
    certificate, ax, outcome, mode
        As in `bias_by_design`.

    Returns
    -------
    Figure
        A new one, or that of `ax`.

    Raises
    ------
    DesignError
        If `ax` is given and there are several outcomes.
    """
    return _figure(_panels(certificate, "coverage", outcome, mode), "coverage", ax)


def bias_by_design_alt_text(
    certificate: Certificate, *, outcome: str | None = None, mode: Mode | None = None
) -> str:
    """Return what figure FR1 shows, in words."""
    panels = _panels(certificate, "bias", outcome, mode)
    return f"Bias of each design with its Monte Carlo interval. {_in_words(panels)}"


def coverage_by_design_alt_text(
    certificate: Certificate, *, outcome: str | None = None, mode: Mode | None = None
) -> str:
    """Return what figure FR3 shows, in words."""
    panels = _panels(certificate, "coverage", outcome, mode)
    return f"How often each design's intervals hold the truth. {_in_words(panels)}"


def _figure(panels: Sequence[Panel], shown: Shown, ax: Axes | None) -> Figure:
    heights = [sum(row.height for row in panel.rows) for panel in panels]
    draw: list[Callable[[Axes], None]] = [
        lambda axes, panel=panel: _draw(axes, panel, shown)  # type: ignore[misc]
        for panel in panels
    ]
    judged = {row.judgment for panel in panels for row in panel.rows}
    band = "Limits of the verdict"
    handles = [_mark(*mark) for judgment, mark in MARKS.items() if judgment in judged]
    return figure_of_panels(
        draw, heights, ax, legend=[*handles, Patch(color=LIGHT, label=band)], ncols=2
    )


def _panels(
    certificate: Certificate, shown: Shown, outcome: str | None, mode: Mode | None
) -> list[Panel]:
    mode = mode or main_mode(certificate)
    performances = by_outcome([one for one in certificate.performance if one.mode == mode])
    panels: dict[str, list[Performance]] = {}
    for one in performances:
        if math.isfinite(one.bias.value) and outcome in (None, one.outcome):
            panels.setdefault(outcome_title(certificate.design, one, performances), []).append(one)
    return [
        Panel(
            title,
            _axis(printed_unit(unit_of(certificate.design, group[0])), shown, mode),
            tuple(
                _row(certificate, one, shown)
                for one in (_with_own_bias(group) if shown == "bias" else group)
            ),
        )
        for title, group in panels.items()
    ]


def _with_own_bias(performances: Sequence[Performance]) -> list[Performance]:
    """Leave out designs with the estimates of an earlier one, which differ in standard errors."""
    first = {one.bias: one for one in reversed(performances)}
    return [one for one in performances if first[one.bias] is one]


def _axis(unit: str, shown: Shown, mode: Mode) -> str:
    if shown == "bias":
        return f"Bias, {unit}"
    truth = "the expected effect" if mode == "redrawn" else "the effect on the kept"
    return f"Intervals that hold {truth}, percent"


def _row(certificate: Certificate, one: Performance, shown: Shown) -> Row:
    unit = unit_of(certificate.design, one)
    verdict = verdict_on(certificate, one, shown)
    if shown == "bias":
        scale, estimated = printed_scale(unit), one.bias
        text = format_value(estimated.value, "effect", unit, 3).removesuffix(" pp")
        allowed = bias_limit(one)
        limits = (-allowed * scale, allowed * scale)
    else:
        scale, estimated = 100.0, coverage_of(one)
        text = format_value(estimated.value, "mean", PERCENT, 1)
        top = NOMINAL_COVERAGE[1] if one.mode == "redrawn" else 1.0
        limits = (NOMINAL_COVERAGE[0] * 100, top * 100)
    return Row(
        label=tuple(textwrap.wrap(one.label, LINE_CHARACTERS)),
        text=text,
        value=estimated.value * scale,
        low=estimated.ci_low * scale,
        high=estimated.ci_high * scale,
        allowed=limits,
        judgment=verdict.verdict if verdict else "statement",
        main=one.design == MAIN,
    )


def bias_limit(performance: Performance) -> float:
    """Return the largest bias that the verdict's rule allows, in units of the outcome."""
    std_error = performance.mean_std_error.value
    naive = abs(performance.naive_bias.value)
    limit = LARGEST_BIAS_OF_STD_ERROR * std_error
    return min(limit, LARGEST_BIAS_OF_NAIVE * naive) if naive > std_error else limit


def _draw(ax: Axes, panel: Panel, shown: Shown) -> None:
    ends = [end for row in panel.rows for end in (row.low, row.high, *row.allowed)]
    inside = [end for end in ends if math.isfinite(end)]
    low, high = min(inside), max(inside)
    room = 0.04 * (high - low or 1.0)
    ax.set_xlim(low - room, min(high + room, 100.5) if shown == "coverage" else high + room)
    ax.set_ylim(sum(row.height for row in panel.rows), 0)
    if shown == "bias":
        ax.axvline(0, color=MUTED, linewidth=1.1, zorder=1.5)
    else:
        ax.axvline(95, color=MUTED, linewidth=1.1, zorder=1.5)
    ax.grid(axis="x", zorder=0)
    top = 0.0
    for row in panel.rows:
        _draw_row(ax, row, top)
        top += row.height
    ax.set_yticks([])
    ax.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 2.5, 5, 10]))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}".replace("-", "−")))
    ax.tick_params(axis="x", length=0)
    ax.set_xlabel(panel.axis)
    ax.set_title(panel.title, loc="left", fontweight="bold")


def _draw_row(ax: Axes, row: Row, top: float) -> None:
    middle = top + len(row.label) * TEXT_LINE + BAR_LINE / 2 + 0.02
    left, right = row.allowed
    ax.fill_between(
        [left, right], middle - BAR_LINE / 2, middle + BAR_LINE / 2, color=LIGHT, linewidth=0,
        zorder=1,
    )  # fmt: skip
    marker, color, face, _ = MARKS[row.judgment]
    ax.hlines(middle, row.low, row.high, color=color, linewidth=2.2, zorder=2)
    ax.plot(
        row.value, middle, marker, color=color, markerfacecolor=face, markersize=6.5,
        markeredgewidth=1.7, zorder=3,
    )  # fmt: skip
    weight = "bold" if row.main else "normal"
    lines = [(0, line, "left", INK, number) for number, line in enumerate(row.label)]
    for x, words, side, ink, number in (*lines, (1, row.text, "right", MUTED, 0)):
        ax.text(
            x, top + (number + 0.55) * TEXT_LINE, words, transform=ax.get_yaxis_transform(),
            ha=side, va="center", fontsize=8.5, color=ink, fontweight=weight, zorder=4,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.8},
        )  # fmt: skip


def _mark(marker: str, color: str, face: str, label: str) -> Line2D:
    return Line2D(
        [], [], marker=marker, color=color, markerfacecolor=face, markersize=6.5, linewidth=2,
        label=label,
    )  # fmt: skip


def _in_words(panels: Sequence[Panel]) -> str:
    parts: list[str] = []
    for panel in panels:
        lines = [
            f"{' '.join(row.label)}: {row.text}, {MARKS[row.judgment][3]}" for row in panel.rows
        ]
        parts.append(f"{panel.title} ({panel.axis}): {'; '.join(lines)}.")
    return " ".join(parts)
