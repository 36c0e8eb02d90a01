"""Figure of an event study: effects before and after the first visit, with intervals."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from homevisit_eval.errors import EstimationError
from homevisit_eval.report.drawing import (
    BLUE,
    GRAY,
    MUTED,
    ORANGE,
    WIDTH,
    figure_style,
    finish,
)
from homevisit_eval.table import SYNTHETIC

__all__ = ["EventSeries", "event_study", "event_study_alt_text"]

LOOKS = (("o", BLUE), ("D", ORANGE), ("^", GRAY))
HEIGHT = 3.1
LINE_HEIGHT = 0.17
SPREAD = 0.24
TEXT_WIDTH = 46


@dataclass(frozen=True, slots=True)
class EventSeries:
    """The estimates of one method, in the units that are drawn.

    Attributes
    ----------
    label
        For the legend, as ``"Group-time effects"``.
    event_times : tuple of m whole numbers
        Periods since the first visit, increasing; negative before it.
    estimates, low, high : tuples of m numbers
        Effects with their intervals; NaN for an effect that may not be shown.
    band_low, band_high : tuples of m numbers, or empty
        Intervals that hold for all effects together.
    """

    label: str
    event_times: tuple[int, ...]
    estimates: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    band_low: tuple[float, ...] = ()
    band_high: tuple[float, ...] = ()


def event_study(
    series: Sequence[EventSeries],
    *,
    unit: str,
    references: Sequence[int] = (),
    time_label: str = "School years since the first visit",
    pretrend: str = "",
    synthetic: bool,
    ax: Axes | None = None,
) -> Figure:
    """Draw effects by periods since the first visit, one mark and interval for each.

    Parameters
    ----------
    series
        One to three methods, side by side.
    unit
        Of the effects, as ``"percentage points"``.
    references
        Event times that were set to 0; drawn as empty marks without an interval.
    time_label
        What the horizontal axis counts.
    pretrend
        The result of the test of pretrends in words, written under the figure.
    synthetic
        Whether the data are, which the figure then says.
    ax
        Axes to draw into.

    Returns
    -------
    Figure
        A new one, or that of `ax`.

    Raises
    ------
    EstimationError
        If there is no series or more than three, lengths differ, or nothing can be shown.
    """
    _check(series)
    lines = textwrap.wrap(pretrend, TEXT_WIDTH)
    with figure_style():
        if ax is not None:
            _draw(ax, series, references)
            _name_axes(ax, unit, time_label, lines)
            if synthetic:
                ax.set_title(SYNTHETIC, loc="right", fontsize=8.5, fontweight="bold", color=ORANGE)
            figure = ax.get_figure(root=True)
            assert figure is not None
            return figure
        figure = Figure(
            figsize=(WIDTH, HEIGHT + LINE_HEIGHT * (len(lines) + len(series))),
            layout="constrained",
        )
        own = figure.subplots()
        _draw(own, series, references)
        _name_axes(own, unit, time_label, lines)
        if len(series) > 1:
            figure.legend(loc="outside lower left", frameon=False, fontsize=8.5, ncols=1)
        finish(figure, synthetic)
        return figure


def event_study_alt_text(series: Sequence[EventSeries], *, unit: str, pretrend: str = "") -> str:
    """Return what the figure shows, in words.

    Raises
    ------
    EstimationError
        As `event_study`.
    """
    _check(series)
    parts = []
    for one in series:
        told = [
            f"{_number(time)}: {_number(estimate)} [{_number(low)}, {_number(high)}]"
            for time, estimate, low, high in zip(
                one.event_times, one.estimates, one.low, one.high, strict=True
            )
            if math.isfinite(estimate)
        ]
        parts.append(f"{one.label}: {'; '.join(told)}.")
    end = f" {pretrend.rstrip('.')}." if pretrend else ""
    return (
        f"Effects in {unit} with confidence intervals, by periods since the first visit. "
        f"{' '.join(parts)}{end}"
    )


def _check(series: Sequence[EventSeries]) -> None:
    if not 1 <= len(series) <= len(LOOKS):
        raise EstimationError(
            f"event study figure: {len(series)} series were given; give one to {len(LOOKS)}."
        )
    for one in series:
        m = len(one.event_times)
        sizes = {len(one.estimates), len(one.low), len(one.high)}
        bands = (len(one.band_low), len(one.band_high))
        if sizes != {m} or bands not in ((0, 0), (m, m)):
            raise EstimationError(
                f"event study figure: {one.label} has {m} event times, and estimates, intervals "
                "or bands of other lengths; give one of each for every event time."
            )
    shown = sum(math.isfinite(value) for one in series for value in one.estimates)
    if not shown:
        raise EstimationError("event study figure: no effect can be shown.")


def _draw(ax: Axes, series: Sequence[EventSeries], references: Sequence[int]) -> None:
    ax.axhline(0, color=MUTED, linewidth=1.1, zorder=1)
    ax.axvline(-0.5, color=MUTED, linewidth=1.0, linestyle=(0, (3, 3)), zorder=1)
    ax.grid(axis="y")
    for number, one in enumerate(series):
        shift = SPREAD * (number - (len(series) - 1) / 2)
        _draw_series(ax, one, shift, LOOKS[number])
    for time in references:
        ax.plot(
            time, 0.0, "o", color=MUTED, markerfacecolor="white", markersize=6.5,
            markeredgewidth=1.4, zorder=3,
        )  # fmt: skip
    times = [*references, *(time for one in series for time in one.event_times)]
    ax.set_xlim(min(times) - 0.6, max(times) + 0.6)


def _draw_series(ax: Axes, one: EventSeries, shift: float, look: tuple[str, str]) -> None:
    marker, color = look
    shown = [j for j, value in enumerate(one.estimates) if math.isfinite(value)]
    places = [one.event_times[j] + shift for j in shown]
    if one.band_low:
        ax.vlines(
            places, [one.band_low[j] for j in shown], [one.band_high[j] for j in shown],
            color=color, linewidth=5.5, alpha=0.22, zorder=2,
        )  # fmt: skip
    ax.vlines(
        places, [one.low[j] for j in shown], [one.high[j] for j in shown],
        color=color, linewidth=1.8, zorder=2,
    )  # fmt: skip
    ax.plot(
        places, [one.estimates[j] for j in shown], marker, color=color, markersize=6.0,
        label=one.label, zorder=4,
    )  # fmt: skip


def _name_axes(ax: Axes, unit: str, time_label: str, lines: Sequence[str]) -> None:
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda x, _: _number(x)))
    ax.yaxis.set_major_locator(MaxNLocator(6))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda y, _: _number(y)))
    ax.tick_params(length=0)
    ax.set_ylabel(f"Effect, {unit}")
    ax.set_xlabel("\n".join([time_label, *lines]))


def _number(value: float) -> str:
    return f"{value:.3g}".replace("-", "−")
