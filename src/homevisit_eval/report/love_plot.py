"""Figure FA1: standardized differences before and after matching (a love plot)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter
from numpy.typing import NDArray

from homevisit_eval.effect_sizes import ADJUSTABLE_UP_TO, SATISFIED_UP_TO
from homevisit_eval.report.balance_tables import balance_before_and_after
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
    from homevisit_eval.balance import Balance

__all__ = ["love_plot", "love_plot_alt_text"]

ROW_HEIGHT = 0.28
AROUND = 1.5
ROOM = 1.04
LONGEST_LABEL = 30
Floats = NDArray[np.float64]
YEAR_BEFORE = ", year before"


def love_plot(balance: Balance, ax: Axes | None = None) -> Figure:
    """Draw the standardized difference of each baseline characteristic before and after matching.

    Characteristics whose differences are not shown in A9 are left out. An infinite difference
    (all visited had one value) stands as an arrow at the edge, and its label says so.

    Parameters
    ----------
    balance
        Of a matched sample.
    ax
        Axes to draw into.

    Returns
    -------
    Figure
        A new one, or that of `ax`.
    """
    rows = _rows(balance)
    with figure_style():
        own = ax is None
        ax = new_axes(len(rows) * ROW_HEIGHT + AROUND) if ax is None else ax
        _draw(ax, rows)
        figure = ax.get_figure(root=True)
        assert figure is not None
        if own:
            figure.legend(loc="outside lower left", frameon=False, fontsize=8.5, ncols=2)
            finish(figure, balance.synthetic)
        return figure


def love_plot_alt_text(balance: Balance) -> str:
    """Return what figure FA1 shows, in words."""
    rows = _rows(balance)
    if rows.empty:
        return (
            "Standardized differences: none can be shown, because too few students were matched or "
            "the visited had one value each."
        )
    infinite = np.isinf(rows[["smd_before", "smd_after"]].to_numpy(dtype=float)).any(axis=1)
    without = listed([in_sentence(str(name)) for name in rows.loc[infinite, "characteristic"]])
    rest = f" It is infinite, because all visited had one value, for: {without}." * bool(without)
    rows = rows.loc[~infinite]
    if rows.empty:
        return f"Standardized differences: none is finite.{rest}"
    after, before = rows["smd_after"].abs(), rows["smd_before"].abs()
    within = int((after <= ADJUSTABLE_UP_TO).sum())
    worst = str(rows["characteristic"].iloc[int(after.to_numpy().argmax())])
    return (
        f"Standardized differences of {len(rows)} baseline characteristics between visited and "
        f"comparison students. Before matching the largest is {before.max():.2f} in absolute "
        f"value; after matching it is {after.max():.2f} ({worst}), and {within} "
        f"of {len(rows)} are within {ADJUSTABLE_UP_TO}.{rest}"
    )


def _rows(balance: Balance) -> pd.DataFrame:
    frame = balance_before_and_after(balance).frame
    numbers = frame[["smd_before", "smd_after"]].to_numpy(dtype=float)
    seen: pd.DataFrame = frame.loc[~np.isnan(numbers).any(axis=1)].reset_index(drop=True)
    return seen


def _draw(ax: Axes, rows: pd.DataFrame) -> None:
    place = np.arange(len(rows))
    ax.axvspan(-SATISFIED_UP_TO, SATISFIED_UP_TO, color=LIGHT, alpha=0.55, linewidth=0, zorder=0)
    ax.axvline(0, color=MUTED, linewidth=1, zorder=1)
    for limit in (-ADJUSTABLE_UP_TO, ADJUSTABLE_UP_TO):
        ax.axvline(limit, color=MUTED, linewidth=0.9, linestyle=(0, (4, 3)), zorder=1)
    sizes = rows[["smd_before", "smd_after"]].to_numpy(dtype=float)
    edge = 1.08 * max(0.3, float(np.abs(sizes[np.isfinite(sizes)]).max(initial=0)))
    before, after = np.clip(sizes, -edge, edge).T
    ax.hlines(place, before, after, color=LIGHT, linewidth=1.2, zorder=1)
    _mark(ax, before, place, edge, "D", label="Before matching", color=ORANGE,
          face="white", size=5)  # fmt: skip
    _mark(ax, after, place, edge, "o", label="After matching", color=BLUE, face=BLUE, size=5.5)
    ax.set_xlim(-edge * ROOM, edge * ROOM)
    ax.set_ylim(len(rows) - 0.4, -0.6)
    labels = [
        str(label).removesuffix(YEAR_BEFORE) + " (infinite)" * bool(np.isinf(pair).any())
        for label, pair in zip(rows["characteristic"], sizes, strict=True)
    ]
    ax.set_yticks(place, [_short(label) for label in labels])
    ax.tick_params(axis="both", length=0, labelcolor=INK)
    ax.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:.2g}".replace("-", "−")))
    ax.set_xlabel("Visited less comparison, in standard deviations", loc="right")


def _mark(
    ax: Axes, x: Floats, y: NDArray[np.intp], edge: float, marker: str,
    *, label: str, color: str, face: str, size: float,
) -> None:  # fmt: skip
    """Draw the marks of one time; those at the edge are arrows that point beyond it."""
    for name, symbol, where in (
        (label, marker, np.abs(x) < edge), ("", ">", x >= edge), ("", "<", x <= -edge)
    ):  # fmt: skip
        if name or where.any():
            ax.plot(
                x[where], y[where], symbol, color=color, markerfacecolor=face, markersize=size,
                markeredgewidth=1.4, linestyle="none", label=name or "_", clip_on=bool(name),
            )  # fmt: skip


def _short(label: str) -> str:
    if len(label) <= LONGEST_LABEL:
        return label
    cut = label.rfind(" ", 0, LONGEST_LABEL)
    first, rest = (label[:cut], label[cut + 1 :]) if cut > 0 else (label, "")
    rest = rest if len(rest) <= LONGEST_LABEL else f"{rest[: LONGEST_LABEL - 1]}…"
    return f"{first}\n{rest}"
