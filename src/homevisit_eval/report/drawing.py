"""How figures of a report look and how they become SVG and PNG: the same bytes every time."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from homevisit_eval.table import SYNTHETIC

__all__ = [
    "BLUE",
    "GRAY",
    "INK",
    "LIGHT",
    "MUTED",
    "ORANGE",
    "WIDTH",
    "figure_style",
    "finish",
    "new_axes",
    "new_panels",
    "to_png",
    "to_svg",
]

WIDTH = 4.0
"""Inches: text of 10 points stays readable where a phone scales the figure to its width."""

# Okabe and Ito's colors, which people with color blindness can tell apart.
BLUE = "#0072B2"
ORANGE = "#D55E00"
GRAY = "#6B7280"
INK = "#1B2430"
MUTED = "#566170"
LIGHT = "#D9DEE4"

STYLE: dict[str, Any] = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans", "Arial", "Helvetica", "sans-serif"],
    "font.size": 9.5,
    "axes.titlesize": 9.5,
    "axes.labelsize": 9.0,
    "axes.edgecolor": LIGHT,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "axes.axisbelow": True,
    "grid.color": LIGHT,
    "grid.linewidth": 0.6,
    "text.color": INK,
    "xtick.color": MUTED,
    "ytick.color": INK,
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 9.0,
    "svg.fonttype": "none",
    "svg.hashsalt": "homevisit_eval",
}
DOTS_PER_INCH = 180


@contextmanager
def figure_style() -> Iterator[None]:
    """Draw with the style of the report, whatever the user's own settings are."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(STYLE)  # type: ignore[arg-type]
        yield


def new_axes(height: float) -> Axes:
    """Return the axes of a new figure of the report's width and `height` inches."""
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    return figure.subplots()


def new_panels(number: int, height: float) -> list[Axes]:
    """Return axes one below the other, on one scale, of a new figure `height` inches high."""
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    return list(figure.subplots(number, 1, sharex=True, squeeze=False)[:, 0])


def finish(figure: Figure, synthetic: bool) -> None:
    """Write "Synthetic data" at the top right where it is due, and settle the layout once."""
    if synthetic:
        figure.suptitle(
            SYNTHETIC,
            x=0.995,
            ha="right",
            fontsize=8.5,
            fontweight="bold",
            color=ORANGE,
        )
    if figure.axes and (layout := figure.get_layout_engine()):
        layout.execute(figure)
    figure.set_layout_engine("none")


def to_svg(figure: Figure) -> str:
    """Return a figure as SVG text: no date, the same identifiers on every run."""
    out = io.BytesIO()
    with figure_style():
        FigureCanvasSVG(figure).print_svg(  # type: ignore[no-untyped-call]
            out, metadata={"Date": None, "Creator": None}
        )
    return out.getvalue().decode("utf-8")


def to_png(figure: Figure) -> bytes:
    """Return a figure as PNG bytes, without the name and version of the drawing library."""
    out = io.BytesIO()
    with figure_style(), _resolution(figure, DOTS_PER_INCH):
        FigureCanvasAgg(figure).print_png(  # type: ignore[no-untyped-call]
            out, metadata={"Software": None}
        )
    return out.getvalue()


@contextmanager
def _resolution(figure: Figure, dots_per_inch: float) -> Iterator[None]:
    before = figure.dpi
    figure.dpi = dots_per_inch
    try:
        yield
    finally:
        figure.dpi = before
