"""Figure FA1: balance of each characteristic before and after matching (a love plot)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter
from numpy.typing import NDArray

from homevisit_eval.balance.published import safe_balance
from homevisit_eval.design.checks import allowed
from homevisit_eval.effect_sizes import ADJUSTABLE_UP_TO, SATISFIED_UP_TO
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

__all__ = ["LoveStatistic", "love_plot", "love_plot_alt_text"]

LoveStatistic = Literal["smd", "variance_ratio", "ecdf_mean", "ecdf_max"]

ROW_HEIGHT = 0.28
AROUND = 1.5
ROOM = 1.04
LONGEST_LABEL = 30
Floats = NDArray[np.float64]
YEAR_BEFORE = ", year before"


@dataclass(frozen=True, slots=True)
class _Scale:
    """How one statistic is drawn.

    Attributes
    ----------
    words
        What it is called in the text alternative.
    axis
        The label of the axis; ``{}`` stands for the treated and the comparison group.
    thresholds
        The half width of the gray band and the place of the dashed lines.
    nothing
        The value without any difference.
    least
        The axis reaches at least so far from it.
    one_sided
        Whether the statistic is never below `nothing`.
    """

    words: str
    axis: str
    thresholds: tuple[float, float]
    nothing: float = 0.0
    least: float = 0.3
    one_sided: bool = False


SCALES: Mapping[str, _Scale] = {
    "smd": _Scale(
        "Standardized differences",
        "{} less {}, in standard deviations",
        (SATISFIED_UP_TO, ADJUSTABLE_UP_TO),
    ),
    "variance_ratio": _Scale(
        "Variance ratios", "Variance of {} over that of {}", (1.25, 2.0), nothing=1.0, least=2.1
    ),
    "ecdf_mean": _Scale(
        "Mean differences of distribution functions",
        "Mean difference of the distributions",
        (0.05, 0.1),
        one_sided=True,
        least=0.12,
    ),
    "ecdf_max": _Scale(
        "Largest differences of distribution functions",
        "Largest difference of the distributions (KS)",
        (0.05, 0.1),
        one_sided=True,
        least=0.12,
    ),
}


def love_plot(
    balance: Balance,
    ax: Axes | None = None,
    *,
    statistic: LoveStatistic = "smd",
    thresholds: tuple[float, float] | None = None,
) -> Figure:
    """Draw how far the groups differ in each characteristic, before and after matching.

    Characteristics whose differences are not shown in A9 are left out. An infinite difference
    (all visited had one value) stands as an arrow at the edge, and its label says so. After
    `pool_balance` a line shows the range over the imputations.

    Parameters
    ----------
    balance
        Of a matched sample, or of any data frame.
    ax
        Axes to draw into.
    statistic
        ``"smd"``: standardized mean differences; ``"variance_ratio"`` (of characteristics that
        are not 0/1, on a logarithmic axis); ``"ecdf_mean"``, ``"ecdf_max"``: the mean and the
        largest difference of the distribution functions.
    thresholds
        The edge of the gray band and the place of the dashed lines. Usual ones by default: .05
        and .25 for mean differences, 1.25 and 2 for variance ratios (and one over them), .05
        and .1 for distributions.

    Returns
    -------
    Figure
        A new one, or that of `ax`.

    Raises
    ------
    DesignError
        If the statistic is none of these.

    References
    ----------
    Love, T. E. (2004). *Graphical display of covariate balance*. Presentation, Case Western
    Reserve University. Rubin, D. B. (2001). Using propensity scores to help design
    observational studies. *Health Services and Outcomes Research Methodology*, 2, 169-188.
    """
    allowed("statistic", statistic, tuple(SCALES))
    scale = SCALES[statistic]
    rows = _rows(balance, statistic)
    with figure_style():
        own = ax is None
        ax = new_axes(len(rows) * ROW_HEIGHT + AROUND) if ax is None else ax
        _draw(ax, rows, scale, thresholds or scale.thresholds)
        words = balance.words
        groups = (words.treated, words.comparison)
        axis = scale.axis.format(*groups)
        ax.set_xlabel(axis[:1].upper() + axis[1:], loc="right")
        figure = ax.get_figure(root=True)
        assert figure is not None
        if own:
            figure.legend(loc="outside lower left", frameon=False, fontsize=8.5, ncols=2)
            finish(figure, balance.synthetic)
        return figure


def love_plot_alt_text(balance: Balance, *, statistic: LoveStatistic = "smd") -> str:
    """Return what the love plot shows, in words."""
    allowed("statistic", statistic, tuple(SCALES))
    scale, rows = SCALES[statistic], _rows(balance, statistic)
    what, words = scale.words, balance.words
    if rows.empty:
        return (
            f"{what}: none can be shown, because too few {_members(balance)} were matched or "
            f"the {words.treated} had one value each."
        )
    infinite = np.isinf(rows[["before", "after"]].to_numpy(dtype=float)).any(axis=1)
    without = listed([in_sentence(str(name)) for name in rows.loc[infinite, "characteristic"]])
    rest = f" It is infinite, because all {words.treated} had one value, for: {without}." * bool(
        without
    )
    rows = rows.loc[~infinite]
    if rows.empty:
        return f"{what}: none is finite.{rest}"
    after, before = (_distance(rows[when].to_numpy(dtype=float), scale) for when in
                     ("after", "before"))  # fmt: skip
    limit = scale.thresholds[1]
    within = int((after <= limit).sum())
    worst = str(rows["characteristic"].iloc[int(after.argmax())])
    kind = "in absolute value" if scale.nothing == 0 and not scale.one_sided else ""
    kind = "(or one over it)" if scale.nothing else kind
    return (
        f"{what} of {len(rows)} baseline characteristics between {words.treated} and "
        f"{words.comparison} {_members(balance)}. Before matching the largest is "
        f"{before.max():.2f} {kind}".rstrip()
        + f"; after matching it is {after.max():.2f} ({worst}), and {within} "
        f"of {len(rows)} are within {limit:g}.{rest}"
    )


def _members(balance: Balance) -> str:
    return "students" if balance.question else "units"


def _rows(balance: Balance, statistic: str) -> pd.DataFrame:
    frame = safe_balance(balance.everybody).frame
    start = f"{statistic}_"
    frame = frame[
        ["characteristic", *(name for name in map(str, frame.columns) if name.startswith(start))]
    ]
    frame = frame.rename(columns=lambda name: name.removeprefix(start))
    numbers = frame[["before", "after"]].to_numpy(dtype=float)
    seen: pd.DataFrame = frame.loc[~np.isnan(numbers).any(axis=1)].reset_index(drop=True)
    return seen


def _distance(values: Floats, scale: _Scale) -> Floats:
    """Return how far values are from no difference: ratios below 1 turned around."""
    if scale.nothing:
        with np.errstate(divide="ignore"):
            return np.asarray(np.maximum(values, 1 / values))
    return np.abs(values)


def _placed(values: Floats, scale: _Scale) -> Floats:
    """Return places on an axis whose middle is no difference; ratios by their logarithm."""
    if scale.nothing:
        with np.errstate(divide="ignore"):
            return np.asarray(np.log2(values))
    return values


def _draw(ax: Axes, rows: pd.DataFrame, scale: _Scale, thresholds: tuple[float, float]) -> None:
    place = np.arange(len(rows))
    band, limit = (float(_placed(np.array([t]), scale)[0]) for t in thresholds)
    sides = (1,) if scale.one_sided else (-1, 1)
    ax.axvspan(0 if scale.one_sided else -band, band, color=LIGHT, alpha=0.55, linewidth=0,
               zorder=0)  # fmt: skip
    ax.axvline(0, color=MUTED, linewidth=1, zorder=1)
    for side in sides:
        ax.axvline(side * limit, color=MUTED, linewidth=0.9, linestyle=(0, (4, 3)), zorder=1)
    sizes = _placed(rows[["before", "after"]].to_numpy(dtype=float), scale)
    least = float(_placed(np.array([scale.least]), scale)[0])
    edge = 1.08 * max(least, limit, float(np.abs(sizes[np.isfinite(sizes)]).max(initial=0)))
    before, after = np.clip(sizes, -edge, edge).T
    ax.hlines(place, before, after, color=LIGHT, linewidth=1.2, zorder=1)
    _draw_ranges(ax, rows, place, scale, edge)
    _mark(ax, before, place, edge, "D", label="Before matching", color=ORANGE,
          face="white", size=5)  # fmt: skip
    _mark(ax, after, place, edge, "o", label="After matching", color=BLUE, face=BLUE, size=5.5)
    ax.set_xlim(-edge * (ROOM - 1) if scale.one_sided else -edge * ROOM, edge * ROOM)
    ax.set_ylim(len(rows) - 0.4, -0.6)
    labels = [
        str(label).removesuffix(YEAR_BEFORE) + " (infinite)" * bool(np.isinf(pair).any())
        for label, pair in zip(rows["characteristic"], sizes, strict=True)
    ]
    ax.set_yticks(place, [_short(label) for label in labels])
    ax.tick_params(axis="both", length=0, labelcolor=INK)
    ax.xaxis.set_major_formatter(FuncFormatter(lambda x, _: _tick(x, scale)))
    if scale.nothing:
        whole = int(np.floor(edge))
        ax.set_xticks(range(-whole, whole + 1))


def _draw_ranges(
    ax: Axes, rows: pd.DataFrame, place: NDArray[np.intp], scale: _Scale, edge: float
) -> None:
    """Draw the range over imputations, if there is one."""
    for when, color in (("before", ORANGE), ("after", BLUE)):
        if f"{when}_low" in rows:
            low, high = (
                np.clip(_placed(rows[f"{when}_{end}"].to_numpy(dtype=float), scale), -edge, edge)
                for end in ("low", "high")
            )
            ax.hlines(place, low, high, color=color, linewidth=2.4, alpha=0.45, zorder=1)


def _tick(x: float, scale: _Scale) -> str:
    return (f"{2.0**x:.3g}" if scale.nothing else f"{x:.2g}").replace("-", "−")


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
