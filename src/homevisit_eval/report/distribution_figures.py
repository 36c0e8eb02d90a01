"""Figures of one column in the two groups: densities, distribution functions, quantiles.

No point of a curve rests on fewer than ten rows of a group, and a group with fewer is not drawn.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter
from numpy.typing import NDArray

from homevisit_eval.balance.curves import binned_ecdf, binned_quantiles
from homevisit_eval.balance.density import weighted_density
from homevisit_eval.design.checks import allowed
from homevisit_eval.disclosure import SMALLEST_COUNT_SHOWN
from homevisit_eval.errors import DesignError
from homevisit_eval.report.drawing import (
    BLUE,
    INK,
    LIGHT,
    MUTED,
    ORANGE,
    figure_style,
    finish,
    new_axes,
    new_panels,
)
from homevisit_eval.report.words import in_sentence
from homevisit_eval.table import format_value

if TYPE_CHECKING:
    from homevisit_eval.balance.distribution import Distribution

__all__ = [
    "When",
    "ecdf_plot",
    "ecdf_plot_alt_text",
    "propensity_density",
    "propensity_density_alt_text",
    "qq_plot",
    "qq_plot_alt_text",
    "shown_groups",
]

When = Literal["before", "after", "both"]
Floats = NDArray[np.float64]
Dashes = str | tuple[int, tuple[float, ...]]

PANEL_HEIGHT = 1.75
SQUARE = 3.9
GRID = 512
TAIL = 0.15  # of the range: room for the tails of a density
FEW_VALUES = 20  # up to which a distribution function is drawn in steps
TITLES = {"before": "Before matching", "after": "After matching"}


def propensity_density(
    distribution: Distribution, ax: Axes | None = None, *, when: When = "both"
) -> Figure:
    """Draw the densities of a score, or of any column, in the two groups.

    Parameters
    ----------
    distribution
        From `sample_distribution` or `frame_distribution`.
    ax
        Axes to draw one panel into.
    when
        ``"before"`` or ``"after"`` matching, or ``"both"``, one panel each.

    Returns
    -------
    Figure
        A new one, or that of `ax`. Curves end where fewer than ten rows lie beyond.

    Raises
    ------
    DesignError
        If two panels are to go into one `ax`.
    """
    return _panels(distribution, ax, when, _draw_density)


def propensity_density_alt_text(distribution: Distribution, *, when: When = "both") -> str:
    """Return what `propensity_density` shows, in words."""
    return _alt_text("Densities", distribution, when)


def ecdf_plot(distribution: Distribution, ax: Axes | None = None, *, when: When = "both") -> Figure:
    """Draw the cumulative distribution of a column in the two groups.

    Parameters
    ----------
    distribution, ax, when
        As for `propensity_density`.

    Returns
    -------
    Figure
        A new one, or that of `ax`. Each point is the mean of at least ten rows.

    Raises
    ------
    DesignError
        If two panels are to go into one `ax`.
    """
    return _panels(distribution, ax, when, _draw_ecdf)


def ecdf_plot_alt_text(distribution: Distribution, *, when: When = "both") -> str:
    """Return what `ecdf_plot` shows, in words."""
    return _alt_text("Cumulative distributions", distribution, when)


def qq_plot(distribution: Distribution, ax: Axes | None = None) -> Figure:
    """Draw quantiles of a column in the treated against those in the comparison group.

    Parameters
    ----------
    distribution
        From `sample_distribution` or `frame_distribution`.
    ax
        Axes to draw into.

    Returns
    -------
    Figure
        A new one, or that of `ax`. Each mark is the mean between two quantiles, of at least ten
        rows in both groups; on the diagonal the two groups are alike.
    """
    with figure_style():
        own = ax is None
        ax = new_axes(SQUARE) if ax is None else ax
        _draw_qq(ax, distribution)
        figure = ax.get_figure(root=True)
        assert figure is not None
        if own:
            _add_legend(figure, [ax])
            finish(figure, distribution.synthetic)
        return figure


def qq_plot_alt_text(distribution: Distribution) -> str:
    """Return what `qq_plot` shows, in words."""
    sentences = []
    for when in ("before", "after"):
        comparison, treated = _quantile_pairs(distribution, when)
        if len(treated):
            gap = float(np.abs(treated - comparison).mean())
            sentences.append(
                f"{when} matching the quantiles of the groups differ by "
                f"{_number(gap, distribution)} on average"
            )
    if not sentences:
        return f"Quantiles of {in_sentence(distribution.label)}: not shown, too few rows."
    text = "; ".join(sentences)
    return f"Quantiles of {in_sentence(distribution.label)} in the two groups: {text}."


def shown_groups(distribution: Distribution, when: str) -> list[tuple[bool, str, Floats, Floats]]:
    """Return the groups with at least ten rows: treated or not, name, values and weights."""
    weights = distribution.before if when == "before" else distribution.after
    found = []
    for treated in (True, False):
        rows = (distribution.treated == treated) & (weights > 0)
        name = distribution.words.treated if treated else distribution.words.comparison
        if rows.sum() >= SMALLEST_COUNT_SHOWN:
            found.append((treated, name.capitalize(), distribution.values[rows], weights[rows]))
    return found


def _panels(
    distribution: Distribution,
    ax: Axes | None,
    when: When,
    draw: Callable[[Axes, Distribution, str], None],
) -> Figure:
    allowed("when", when, ("before", "after", "both"))
    parts = ["before", "after"] if when == "both" else [when]
    if ax is not None and len(parts) > 1:
        raise DesignError(
            'ax can show one panel: give when="before" or when="after", or leave ax out.'
        )
    with figure_style():
        axes = new_panels(len(parts), PANEL_HEIGHT * len(parts) + 0.9) if ax is None else [ax]
        for one, part in zip(axes, parts, strict=True):
            draw(one, distribution, part)
            one.set_title(TITLES[part], loc="left", color=INK)
            _missing_groups(one, distribution, part)
        last = axes[-1]
        last.set_xlabel(distribution.label, loc="right")
        _format_values(last, distribution)
        figure = last.get_figure(root=True)
        assert figure is not None
        if ax is None:
            _add_legend(figure, axes)
            finish(figure, distribution.synthetic)
        return figure


def _add_legend(figure: Figure, axes: Sequence[Axes]) -> None:
    """Add one legend for all panels; none if nothing is drawn."""
    found: dict[str, Artist] = {}
    for ax in axes:
        handles, labels = ax.get_legend_handles_labels()
        found |= dict(zip(labels, handles, strict=True))
    if found:
        figure.legend(
            list(found.values()),
            list(found),
            loc="outside lower left",
            frameon=False,
            fontsize=8.5,
            ncols=2,
        )


def _style(treated: bool) -> tuple[str, Dashes, float]:
    """Return color, dashes and width: the groups are told apart without color."""
    return (BLUE, "-", 1.8) if treated else (ORANGE, (0, (4, 1.6)), 1.8)


def _draw_density(ax: Axes, distribution: Distribution, when: str) -> None:
    grid, shown = _grid(distribution)
    for treated, name, values, weights in shown_groups(distribution, when):
        color, dashes, width = _style(treated)
        density = weighted_density(values, weights, grid, reflect=distribution.bounded)
        ax.fill_between(grid[shown], density[shown], color=color, alpha=0.13, linewidth=0)
        ax.plot(
            grid[shown], density[shown], color=color, linestyle=dashes, linewidth=width, label=name
        )
    ax.set_ylim(bottom=0)
    ax.set_yticks([])
    ax.set_ylabel("Density")


def _grid(distribution: Distribution) -> tuple[Floats, NDArray[np.bool_]]:
    """Return points over the values, and which lie where at least ten rows are on both sides."""
    values = np.sort(distribution.values)
    if distribution.bounded:
        low, high = 0.0, 1.0
    else:
        room = TAIL * float(values[-1] - values[0]) or 1.0
        low, high = float(values[0]) - room, float(values[-1]) + room
    grid = np.linspace(low, high, GRID)
    below = np.searchsorted(values, grid, side="right")
    enough = (below >= SMALLEST_COUNT_SHOWN) & (len(values) - below >= SMALLEST_COUNT_SHOWN)
    return grid, enough


def _draw_ecdf(ax: Axes, distribution: Distribution, when: str) -> None:
    few = len(np.unique(distribution.values)) <= FEW_VALUES
    for treated, name, values, weights in shown_groups(distribution, when):
        color, dashes, width = _style(treated)
        means, middle, through = binned_ecdf(values, weights, least=SMALLEST_COUNT_SHOWN)
        if few:
            ax.step(
                np.append(means, means[-1]), np.append(0.0, through),
                where="pre", color=color, linestyle=dashes, linewidth=width, label=name,
            )  # fmt: skip
        else:
            ax.plot(
                np.concatenate([means[:1], means, means[-1:]]),
                np.concatenate([[0.0], middle, [1.0]]),
                color=color, linestyle=dashes, linewidth=width, label=name,
            )  # fmt: skip
    ax.set_ylim(0, 1.02)
    ax.set_yticks([0, 0.5, 1])
    ax.yaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{share:.0%}"))
    ax.grid(axis="y")
    ax.tick_params(axis="y", length=0)


def _draw_qq(ax: Axes, distribution: Distribution) -> None:
    ends: list[float] = []
    for when, marker, color, face, size in (
        ("before", "D", ORANGE, "white", 3.6), ("after", "o", BLUE, BLUE, 4.0)
    ):  # fmt: skip
        comparison, treated = _quantile_pairs(distribution, when)
        if len(treated):
            ends += [float(np.min([comparison, treated])), float(np.max([comparison, treated]))]
            ax.plot(
                comparison, treated, marker, color=color, markerfacecolor=face, markersize=size,
                markeredgewidth=1.0, linestyle="none", label=TITLES[when], clip_on=False, zorder=3,
            )  # fmt: skip
    words = distribution.words
    if not ends:
        _say(ax, f"Fewer than {SMALLEST_COUNT_SHOWN} {words.units} in a group: not shown")
        ends = [0.0, 1.0]
    low, high = min(ends), max(ends)
    room = 0.04 * (high - low) or 0.5
    ax.plot(
        [low - room, high + room], [low - room, high + room], color=MUTED, linewidth=1, zorder=1
    )
    ax.set_xlim(low - room, high + room)
    ax.set_ylim(low - room, high + room)
    ax.set_aspect("equal")
    ax.set_title(distribution.label, loc="left", color=INK)
    ax.set_xlabel(f"{words.comparison.capitalize()}, means between quantiles", loc="right")
    ax.set_ylabel(f"{words.treated.capitalize()}, means between quantiles")
    ax.grid(visible=True)
    ax.tick_params(length=0)
    _format_values(ax, distribution)
    ax.yaxis.set_major_formatter(ax.xaxis.get_major_formatter())


def _quantile_pairs(distribution: Distribution, when: str) -> tuple[Floats, Floats]:
    groups = shown_groups(distribution, when)
    if len(groups) < 2:
        return np.zeros(0), np.zeros(0)
    (_, _, *treated), (_, _, *comparison) = groups
    first, second = binned_quantiles(
        (comparison[0], comparison[1]), (treated[0], treated[1]), least=SMALLEST_COUNT_SHOWN
    )
    return first, second


def _missing_groups(ax: Axes, distribution: Distribution, when: str) -> None:
    drawn = {treated for treated, *_ in shown_groups(distribution, when)}
    words = distribution.words
    names = [
        name
        for treated, name in ((True, words.treated), (False, words.comparison))
        if treated not in drawn
    ]
    if names:
        _say(ax, f"Fewer than {SMALLEST_COUNT_SHOWN} {' and '.join(names)}: not shown")


def _say(ax: Axes, text: str) -> None:
    ax.text(0.5, 0.5, text, transform=ax.transAxes, ha="center", va="center", color=MUTED,
            fontsize=8.5)  # fmt: skip


def _format_values(ax: Axes, distribution: Distribution) -> None:
    def text(value: float, _: object) -> str:
        shown = f"{100 * value:g}%" if distribution.percent else f"{value:,.6g}"
        return shown.replace("-", "−")

    ax.xaxis.set_major_formatter(FuncFormatter(text))
    ax.tick_params(axis="x", color=LIGHT)


def _alt_text(what: str, distribution: Distribution, when: When) -> str:
    parts = ["before", "after"] if when == "both" else [when]
    sentences = []
    for part in parts:
        groups = shown_groups(distribution, part)
        means = [
            f"{name.lower()} {_number(float(np.average(values, weights=weights)), distribution)}"
            for _, name, values, weights in groups
        ]
        sentences.append(
            f"{part} matching the means are {' and '.join(means)}" if len(means) == 2
            else f"{part} matching a group has fewer than {SMALLEST_COUNT_SHOWN} rows"
        )  # fmt: skip
    return f"{what} of {in_sentence(distribution.label)} in the two groups: {'; '.join(sentences)}."


def _number(value: float, distribution: Distribution) -> str:
    return format_value(value, "share" if distribution.percent else "number", digits=2)
