"""Figure: the share of students with a first event by day, in both groups, with bands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, MaxNLocator
from numpy.typing import NDArray

from homevisit_eval.disclosure import SMALLEST_COUNT_SHOWN
from homevisit_eval.report.drawing import (
    BLUE,
    INK,
    MUTED,
    ORANGE,
    figure_style,
    finish,
    new_axes,
)
from homevisit_eval.report.survival_places import last_shown, shown_places
from homevisit_eval.report.words import in_sentence, marked
from homevisit_eval.table import SYNTHETIC, format_value

if TYPE_CHECKING:
    from homevisit_eval.effects.survival import SurvivalEffects
    from homevisit_eval.effects.survival_curves import SurvivalCurve

__all__ = ["survival_curves", "survival_curves_alt_text"]

Floats = NDArray[np.float64]
Dashes = Literal["-"] | tuple[float, Sequence[float]]

HEIGHT = 3.6
SOLID: Dashes = "-"
DASHED: Dashes = (0, (5, 2))
GROUPS: tuple[tuple[str, str, Dashes], ...] = (
    ("Visited", BLUE, SOLID),
    ("Comparison", ORANGE, DASHED),
)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class DrawnCurve:
    """Cumulative incidence of one group as it is drawn, from day 0 on, each of shape (k,).

    Attributes
    ----------
    name
    days, incidence, low, high
        Fractions of students.
    """

    name: str
    days: Floats
    incidence: Floats
    low: Floats
    high: Floats

    def __repr__(self) -> str:
        """Show the group and the number of points."""
        return f"DrawnCurve({self.name}: {len(self.days)} points)"


def survival_curves(effects: SurvivalEffects, ax: Axes | None = None) -> Figure:
    """Draw the share of students with a first event by enrolled day, visited and comparison.

    Parameters
    ----------
    effects
        From `estimate_survival`.
    ax
        Axes to draw into; the legend is then left to the caller.

    Returns
    -------
    Figure
        A new one, or that of `ax`. Points are 1 less the Kaplan-Meier estimates, with intervals
        for each day alone, and ten or more students had the event between two of them; a curve
        ends where fewer than ten are still followed without it, and a group in which fewer than
        ten had it is not drawn. Points are joined by lines: steps of ten students would show
        every day between them too low, and a small group lower than a large one.
    """
    curves = _drawn(effects)
    with figure_style():
        axes = new_axes(HEIGHT) if ax is None else ax
        _draw(axes, curves, effects)
        figure = axes.get_figure(root=True)
        assert figure is not None
        if ax is not None:
            if effects.synthetic:
                ax.set_title(SYNTHETIC, loc="right", color=ORANGE, fontsize=8.5, fontweight="bold")
            return figure
        percent = f"{100 * effects.confidence_level:g} %"
        figure.legend(
            handles=[
                *(_line(name, color, dashes) for name, color, dashes in GROUPS
                  if any(one.name == name for one in curves)),
                Patch(color=MUTED, alpha=0.25, linewidth=0, label=f"{percent} interval by day"),
            ],
            loc="outside lower left",
            frameon=False,
            fontsize=8.5,
            ncols=3,
            columnspacing=1.2,
            handlelength=1.8,
        )  # fmt: skip
        finish(figure, effects.synthetic)
        return figure


def survival_curves_alt_text(effects: SurvivalEffects) -> str:
    """Return what the figure shows, in words: where each curve ends."""
    curves = _drawn(effects)
    parts = [
        f"{in_sentence(one.name)} students: {format_value(one.incidence[-1], 'share')} "
        f"[{format_value(one.low[-1], 'share')}, {format_value(one.high[-1], 'share')}] by day "
        f"{one.days[-1]:g}"
        for one in curves
    ]
    names = {one.name for one in curves}
    parts += [
        f"{in_sentence(name)} students: not shown, fewer than {SMALLEST_COUNT_SHOWN} had the event "
        "or are followed"
        for name, _, _ in GROUPS
        if name not in names
    ]
    label = f"{SYNTHETIC}. " if effects.synthetic else ""
    event = marked(effects.event, effects.role)
    return (
        f"{label}{event}: share of students who have had it, by enrolled day, as "
        f"curves with {100 * effects.confidence_level:g} % intervals. {'; '.join(parts)}."
    )


def _drawn(effects: SurvivalEffects) -> list[DrawnCurve]:
    """Return the curves that may be shown."""
    sides = zip(GROUPS, (effects.curves.treated, effects.curves.comparison), strict=True)
    found = [_points(name, curve, effects) for (name, _, _), curve in sides]
    return [one for one in found if one is not None]


def _points(name: str, curve: SurvivalCurve, effects: SurvivalEffects) -> DrawnCurve | None:
    """Return the coarsened curve of a group; None if it may not be shown."""
    counts = {"Visited": effects.n_visited, "Comparison": effects.n_comparison}
    places, end = shown_places(curve), last_shown(curve)
    if end < 0 or counts[name] < SMALLEST_COUNT_SHOWN:
        return None
    if not len(places) and curve.events[: end + 1].sum():
        return None
    if not len(places):  # nobody had it
        places = np.array([end])
    bounds = 1.0 - curve.intervals[places]
    zero = np.zeros(1)
    return DrawnCurve(
        name=name,
        days=np.concatenate([zero, curve.times[places]]),
        incidence=np.concatenate([zero, 1.0 - curve.survival[places]]),
        low=np.concatenate([zero, bounds[:, 1]]),
        high=np.concatenate([zero, bounds[:, 0]]),
    )


def _draw(ax: Axes, curves: list[DrawnCurve], effects: SurvivalEffects) -> None:
    looks = {name: (color, dashes) for name, color, dashes in GROUPS}
    for one in curves:
        color, dashes = looks[one.name]
        ax.fill_between(one.days, one.low, one.high, color=color, alpha=0.15, linewidth=0, zorder=1)
        ax.plot(
            one.days, one.incidence, color=color, linestyle=dashes, linewidth=1.8,
            marker="o", markersize=3.2, zorder=3,
        )  # fmt: skip
    if not curves:
        ax.text(
            0.5, 0.5, "Not shown: too few students", ha="center", va="center",
            transform=ax.transAxes, color=MUTED,
        )  # fmt: skip
    top = max((float(np.nanmax(one.high)) for one in curves), default=0.0)
    ax.set_ylim(0.0, 1.06 * top if top > 0 else 1.0)
    ax.set_xlim(0.0, max((float(one.days[-1]) for one in curves), default=1.0))
    ax.grid(axis="y")
    ax.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    ax.yaxis.set_major_locator(MaxNLocator(5))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:g}%"))
    ax.tick_params(length=0, colors=INK)
    ax.set_xlabel("Enrolled days of instruction")
    ax.set_ylabel("Students who have had it")
    ax.set_title(marked(effects.event, effects.role), loc="left", color=INK)


def _line(name: str, color: str, dashes: Dashes) -> Line2D:
    return Line2D(
        [], [], color=color, linestyle=dashes, linewidth=1.8, marker="o", markersize=3.2, label=name
    )
