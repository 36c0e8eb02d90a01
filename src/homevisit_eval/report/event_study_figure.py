"""Figure: effects by time since first treatment, with intervals and the test before treatment."""

from __future__ import annotations

import textwrap

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, MaxNLocator
from numpy.typing import ArrayLike, NDArray

from homevisit_eval.errors import EstimationError
from homevisit_eval.report.drawing import (
    BLUE,
    GRAY,
    INK,
    LIGHT,
    MUTED,
    ORANGE,
    figure_style,
    finish,
    new_axes,
)
from homevisit_eval.table import SYNTHETIC

__all__ = ["event_study", "event_study_alt_text"]

Floats = NDArray[np.float64]

HEIGHT = 3.6
SENTENCE_WIDTH = 58
BAND_HALF_WIDTH = 0.28


def event_study(
    event_times: ArrayLike,
    estimates: ArrayLike,
    intervals: ArrayLike,
    *,
    pretrend: str,
    unit: str,
    bands: ArrayLike | None = None,
    time_label: str = "Years since first visited",
    confidence_level: float = 0.95,
    synthetic: bool,
    ax: Axes | None = None,
) -> Figure:
    """Draw effects by time since first treatment, with intervals, zero, and the start.

    Parameters
    ----------
    event_times : array of shape (m,)
        Periods since first treatment, increasing. Leave out those with too few students to be
        shown.
    estimates : array of shape (m,)
        In units of the outcome.
    intervals : array of shape (m, 2)
        Lower and upper bounds; equal to the estimate at a reference, which is drawn as such.
    pretrend
        What the test of effects before treatment says, one sentence, written under the figure.
    unit
        Of the outcome, for the axis.
    bands : array of shape (m, 2), optional
        Simultaneous bands, drawn wide and light behind the intervals.
    time_label
        Of the horizontal axis.
    confidence_level
        Of the intervals and bands.
    synthetic
        Whether the figure is marked as made from synthetic data.
    ax
        Axes to draw into; legend and `pretrend` are then left to the caller.

    Returns
    -------
    Figure
        A new one, or that of `ax`.

    Raises
    ------
    EstimationError
        If shapes do not fit, or numbers are missing or infinite.
    """
    times, values, bounds = _checked(event_times, estimates, intervals)
    wide = None if bands is None else _checked(event_times, estimates, bands)[2]
    with figure_style():
        axes = new_axes(HEIGHT) if ax is None else ax
        _draw(axes, times, values, bounds, wide)
        axes.set_xlabel(time_label)
        axes.set_ylabel(f"Difference, {unit}")
        figure = axes.get_figure(root=True)
        assert figure is not None
        if ax is not None:
            if synthetic:
                ax.set_title(SYNTHETIC, loc="right", color=ORANGE, fontsize=8.5, fontweight="bold")
            return figure
        figure.legend(
            handles=_legend(bounds, wide, confidence_level),
            loc="outside lower left",
            frameon=False,
            fontsize=8.5,
            ncols=1,
            title=textwrap.fill(pretrend, SENTENCE_WIDTH),
            title_fontsize=8.5,
            alignment="left",
        )
        finish(figure, synthetic)
        return figure


def event_study_alt_text(
    event_times: ArrayLike,
    estimates: ArrayLike,
    intervals: ArrayLike,
    *,
    pretrend: str,
    unit: str,
    time_label: str = "Years since first visited",
    confidence_level: float = 0.95,
) -> str:
    """Return what the figure shows, in words; arguments as in `event_study`.

    Raises
    ------
    EstimationError
        As `event_study`.
    """
    times, values, bounds = _checked(event_times, estimates, intervals)
    parts = [
        f"{_number(time)}: reference"
        if low == high
        else f"{_number(time)}: {_digits(value)} [{_digits(low)}, {_digits(high)}]"
        for time, value, (low, high) in zip(times, values, bounds, strict=True)
    ]
    return (
        f"Differences in {unit} by {time_label[:1].lower()}{time_label[1:]}, with "
        f"{100 * confidence_level:g} % intervals. {'; '.join(parts)}. {pretrend}"
    )


def _checked(
    event_times: ArrayLike, estimates: ArrayLike, intervals: ArrayLike
) -> tuple[Floats, Floats, Floats]:
    times, values, bounds = (
        np.asarray(given, dtype=np.float64) for given in (event_times, estimates, intervals)
    )
    m = len(times) if times.ndim == 1 else 0
    if not m or values.shape != (m,) or bounds.shape != (m, 2):
        raise EstimationError(
            f"event study figure: event_times has shape {times.shape}, estimates {values.shape} "
            f"and intervals {bounds.shape}; give (m,), (m,) and (m, 2)."
        )
    bad = int((~np.isfinite(np.column_stack([times, values, bounds]))).any(axis=1).sum())
    if bad:
        raise EstimationError(
            f"event study figure: {bad} of {m} event times have missing or infinite numbers; leave "
            "these out."
        )
    order = np.argsort(times, kind="stable")
    return times[order], values[order], bounds[order]


def _draw(ax: Axes, times: Floats, values: Floats, bounds: Floats, wide: Floats | None) -> None:
    ax.axhline(0, color=MUTED, linewidth=1.1, zorder=1)
    ax.axvline(-0.5, color=GRAY, linewidth=1.0, linestyle=(0, (4, 3)), zorder=1)
    ax.grid(axis="y")
    fixed = bounds[:, 0] == bounds[:, 1]
    if wide is not None:
        for time, (low, high) in zip(times[~fixed], wide[~fixed], strict=True):
            ax.fill_between(
                [time - BAND_HALF_WIDTH, time + BAND_HALF_WIDTH], low, high, color=LIGHT, zorder=1.5
            )
    before = times < 0
    for chosen, face in ((~fixed & before, "white"), (~fixed & ~before, BLUE)):
        ax.vlines(times[chosen], *bounds[chosen].T, color=BLUE, linewidth=2.2, zorder=2)
        ax.plot(
            times[chosen], values[chosen], "o", color=BLUE, markerfacecolor=face, markersize=7,
            markeredgewidth=1.8, zorder=3,
        )  # fmt: skip
    ax.plot(times[fixed], values[fixed], "D", color=GRAY, markersize=6, zorder=3)
    ax.set_xlim(times[0] - 0.6, times[-1] + 0.6)
    ax.xaxis.set_major_locator(MaxNLocator(9, integer=True))
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_formatter(FuncFormatter(lambda value, _: _number(value)))
    ax.tick_params(length=0, colors=INK)


def _legend(bounds: Floats, wide: Floats | None, confidence_level: float) -> list[Line2D | Patch]:
    percent = f"{100 * confidence_level:g} %"
    marks: list[Line2D | Patch] = [
        _mark("o", BLUE, BLUE, f"After the start, with {percent} interval"),
        _mark("o", BLUE, "white", "Before the start: no effect is expected"),
    ]
    if (bounds[:, 0] == bounds[:, 1]).any():
        marks.append(_mark("D", GRAY, GRAY, "Reference"))
    if wide is not None:
        marks.append(Patch(color=LIGHT, label=f"{percent} band for all at once"))
    return marks


def _mark(marker: str, color: str, face: str, label: str) -> Line2D:
    line = 0 if marker == "D" else 2
    return Line2D(
        [], [], marker=marker, color=color, markerfacecolor=face, markersize=7, linewidth=line,
        label=label,
    )  # fmt: skip


def _number(value: float) -> str:
    return f"{value:g}".replace("-", "−")


def _digits(value: float) -> str:
    return f"{value:.3g}".replace("-", "−")
