"""Figure of where scores lie: a dot for each row, matched and unmatched, by group.

A dot never stands where its row is: dots lie at random in cells that hold at least ten rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter
from numpy.typing import NDArray

from homevisit_eval.balance.curves import cell_edges, spread_dots
from homevisit_eval.disclosure import SMALLEST_COUNT_SHOWN, shown_count
from homevisit_eval.report.drawing import (
    BLUE,
    INK,
    LIGHT,
    MUTED,
    ORANGE,
    figure_style,
    finish,
    new_axes,
)
from homevisit_eval.report.words import in_sentence
from homevisit_eval.sample.labels import listed

if TYPE_CHECKING:
    from homevisit_eval.balance.distribution import Distribution

__all__ = ["propensity_jitter", "propensity_jitter_alt_text"]

Floats = NDArray[np.float64]

HEIGHT = 3.6
CELLS = 60
MOST_DOTS = 4_000
DOTS_AS_SHAPES = 1_500  # more are drawn as one picture, so that a file stays small
LINES = ((True, False), (True, True), (False, True), (False, False))  # treated, matched
BAND = 0.36  # half the height of a band, in bands


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class _Band:
    """One line of dots: who, their number, and the dots' places; none if they are few."""

    label: str
    count: int
    color: str
    face: str
    x: Floats
    y: Floats
    rows_a_dot: int

    def __repr__(self) -> str:
        return f"_Band({self.label!r})"


def propensity_jitter(distribution: Distribution, ax: Axes | None = None) -> Figure:
    """Draw a dot for each row by its score: matched and unmatched, treated and comparison.

    Parameters
    ----------
    distribution
        From `sample_distribution` or `frame_distribution`, usually of the propensity score.
    ax
        Axes to draw into.

    Returns
    -------
    Figure
        A new one, or that of `ax`.

    Notes
    -----
    A dot shows that there is a row about there, not its score: the range is cut into 60 cells,
    cells with fewer than ten rows of a line are joined with the next, and the dots of a cell
    lie at random places in it. A line of fewer than ten rows is not drawn. Where a line has
    more than 4,000 rows a dot stands for several, as its label says; many dots are one picture
    within the figure.
    """
    bands = _bands(distribution)
    with figure_style():
        own = ax is None
        ax = new_axes(HEIGHT) if ax is None else ax
        _draw(ax, bands, distribution)
        figure = ax.get_figure(root=True)
        assert figure is not None
        if own:
            finish(figure, distribution.synthetic)
        return figure


def propensity_jitter_alt_text(distribution: Distribution) -> str:
    """Return what `propensity_jitter` shows, in words."""
    counts = [f"{shown_count(band.count)} {in_sentence(band.label)}" for band in
              _bands(distribution)]  # fmt: skip
    return (
        f"Dots for the {distribution.words.units} along {in_sentence(distribution.label)}: "
        f"{listed(counts)}."
    )


def _bands(distribution: Distribution) -> list[_Band]:
    edges = _edges(distribution)
    used, words = distribution.after > 0, distribution.words
    found = []
    for line, (treated, matched) in enumerate(LINES):
        rows = (distribution.treated == treated) & (used == matched)
        name = words.treated if treated else words.comparison
        label = f"{'Matched' if matched else 'Unmatched'} {name}"
        color = BLUE if treated else ORANGE
        cells, counts = cell_edges(distribution.values[rows], edges, least=SMALLEST_COUNT_SHOWN)
        rows_a_dot = max(1, -(-int(counts.sum()) // MOST_DOTS))
        x, y = spread_dots(cells, -(-counts // rows_a_dot), stream=line)
        found.append(
            _Band(label, int(rows.sum()), color, color if matched else "none", x, y, rows_a_dot)
        )
    return found


def _edges(distribution: Distribution) -> Floats:
    """Return edges that lie on round numbers, so that they tell no row's value."""
    if distribution.bounded:
        return np.linspace(0.0, 1.0, CELLS + 1)
    low, high = float(distribution.values.min()), float(distribution.values.max())
    step = 10.0 ** np.floor(np.log10((high - low) / CELLS or 1.0))
    step *= next(times for times in (1, 2, 5, 10) if (high - low) / (step * times) <= CELLS)
    return np.asarray(np.arange(np.floor(low / step), np.ceil(high / step) + 1.5) * step)


def _draw(ax: Axes, bands: list[_Band], distribution: Distribution) -> None:
    for line, band in enumerate(bands):
        ax.axhspan(line - 0.5, line + 0.5, color=LIGHT, alpha=0.35 if line % 2 else 0.0,
                   linewidth=0, zorder=0)  # fmt: skip
        if len(band.x):
            ax.plot(
                band.x, line + (band.y - 0.5) * 2 * BAND, "o", color=band.color,
                markerfacecolor=band.face, markersize=_size(len(band.x)), markeredgewidth=0.55,
                alpha=0.75 if len(band.x) > 500 else 0.9, linestyle="none", zorder=2,
                rasterized=len(band.x) > DOTS_AS_SHAPES,
            )  # fmt: skip
        else:
            text = "None" if band.count == 0 else f"Fewer than {SMALLEST_COUNT_SHOWN}: not shown"
            ax.text(0.5, line, text, transform=ax.get_yaxis_transform(), ha="center", va="center",
                    color=MUTED, fontsize=8.5)  # fmt: skip
    ax.set_ylim(len(bands) - 0.5, -0.5)
    ax.set_yticks(range(len(bands)), [_label(band) for band in bands])
    ax.tick_params(axis="y", length=0, labelcolor=INK)
    drawn = np.concatenate([band.x for band in bands])
    if len(drawn):
        room = 0.02 * (float(drawn.max()) - float(drawn.min())) or 0.5
        ax.set_xlim(float(drawn.min()) - room, float(drawn.max()) + room)
    ax.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:.6g}".replace("-", "−")))
    ax.set_xlabel(distribution.label, loc="right")


def _label(band: _Band) -> str:
    state, name = band.label.split(" ", 1)
    lines = f"{state}\n{name}\n{shown_count(band.count)}"
    return f"{lines}\n1 dot = {band.rows_a_dot}" if band.rows_a_dot > 1 else lines


def _size(dots: int) -> float:
    return 3.2 if dots <= 500 else 2.2 if dots <= 2_000 else 1.5
