"""Figures of several panels, one an outcome, as a certificate has them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from homevisit_eval.errors import DesignError
from homevisit_eval.report.drawing import WIDTH, figure_style, finish
from homevisit_eval.table import PERCENT, PERCENT_OF_STUDENTS

__all__ = ["figure_of_panels", "printed_scale", "printed_unit"]

PANEL_EXTRA = 0.72
"""Inches of a panel above and below its axes: title, ticks, label."""
TOP = 0.3
LEGEND_LINE = 0.2


def printed_scale(unit: str) -> float:
    """Return by what an outcome's numbers are multiplied in a figure."""
    return 100.0 if unit in (PERCENT, PERCENT_OF_STUDENTS) else 1.0


def printed_unit(unit: str) -> str:
    """Return the unit of a difference as a figure's axis names it."""
    return "percentage points" if unit in (PERCENT, PERCENT_OF_STUDENTS) else unit


def figure_of_panels(
    draw: Sequence[Callable[[Axes], None]],
    heights: Sequence[float],
    ax: Axes | None,
    *,
    legend: Sequence[Artist],
    ncols: int = 1,
) -> Figure:
    """Return a figure of panels below each other, marked as synthetic, or draw one into `ax`.

    Parameters
    ----------
    draw, heights
        For each panel what draws it, and the inches of its axes.
    ax
        Axes of the caller, for a single panel; they get no legend.
    legend, ncols
        The entries of the legend below the panels, and its columns.

    Raises
    ------
    DesignError
        If `ax` is given and there are several panels.
    """
    if ax is not None and len(draw) != 1:
        raise DesignError(
            f"ax can show one outcome; this certificate has {len(draw)}. Leave ax out for one "
            "panel an outcome."
        )
    with figure_style():
        if ax is not None:
            draw[0](ax)
            figure = ax.get_figure(root=True)
            assert figure is not None
            return figure
        if not draw:
            draw, heights, legend = [_say_nothing], [0.5], ()
        lines = -(-len(legend) // ncols)
        height = sum(heights) + PANEL_EXTRA * len(draw) + TOP + LEGEND_LINE * lines
        figure = Figure(figsize=(WIDTH, height), layout="constrained")
        grid = figure.subplots(
            len(draw), 1, squeeze=False, gridspec_kw={"height_ratios": list(heights)}
        )
        for axes, one in zip(grid[:, 0], draw, strict=True):
            one(axes)
        if legend:
            figure.legend(
                handles=list(legend), loc="outside lower left", frameon=False, fontsize=8.5,
                ncols=ncols,
            )  # fmt: skip
        finish(figure, synthetic=True)
        return figure


def _say_nothing(ax: Axes) -> None:
    ax.set_axis_off()
    ax.text(0, 0.5, "No replication gave an estimate.", transform=ax.transAxes, va="center")
