"""Figure F1: how enrolled students became the students who were compared."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

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
from homevisit_eval.report.sample_tables import sample_flow as flow_table

if TYPE_CHECKING:
    from homevisit_eval.effects import Effect
    from homevisit_eval.matching import MatchedSample
    from homevisit_eval.table import Table

__all__ = ["sample_flow", "sample_flow_alt_text"]

GROUPS = (("visited", "Visited", 0.12, BLUE), ("comparison", "Comparison", 0.88, ORANGE))
HALF_BOX = 0.118
BOX = 0.62
LINE = 0.36
GAP = 0.16
REASON_WIDTH = 29
BRANCH = 0.46
TOP = 0.7
LABEL_WIDTH = 25
TWO_LINES = 2
INCH = 0.42
FRAME = 0.35


@dataclass(frozen=True, slots=True)
class Stage:
    """A level of the diagram: a label, its counts as printed, and who left before it."""

    label: str
    counts: tuple[str, str]
    left: tuple[tuple[str, tuple[str, str]], ...]
    branch: bool


def sample_flow(
    matched: MatchedSample, effects: Sequence[Effect] = (), ax: Axes | None = None
) -> Figure:
    """Draw the sample flow: a box for who is left, and between boxes who left and why.

    Parameters
    ----------
    matched
        Its sample holds the flow up to the candidates.
    effects
        Effects of this question: the last boxes are those with each outcome observed.
    ax
        Axes to draw into.

    Returns
    -------
    Figure
        A new one, or that of `ax`. Counts of few students are hidden as in table F1.
    """
    stages = _stages(flow_table(matched, effects))
    with figure_style():
        own = ax is None
        height = sum(_height(stage) for stage in stages) + TOP + BRANCH * 1.3 * bool(effects)
        ax = new_axes(height * INCH + FRAME) if ax is None else ax
        ax.set_axis_off()
        ax.set_xlim(0, 1)
        ax.set_ylim(height, 0)
        for _, name, x, color in GROUPS:
            ax.text(x, 0.3, name, ha="center", va="center", fontweight="bold", color=color)
        top = TOP
        for number, stage in enumerate(stages):
            if stage.branch and not stages[number - 1].branch:
                top += BRANCH * 1.3
                ax.text(0.5, top - 0.2, "with this outcome observed", ha="center", va="center",
                        fontsize=8.6, color=MUTED, style="italic")  # fmt: skip
            top = _draw_stage(ax, stage, top, first=number == 0)
        figure = ax.get_figure(root=True)
        assert figure is not None
        if own:
            finish(figure, matched.sample.synthetic)
        return figure


def sample_flow_alt_text(matched: MatchedSample, effects: Sequence[Effect] = ()) -> str:
    """Return what figure F1 shows, in words."""
    parts = [
        f"{stage.label}: {stage.counts[0]} visited, {stage.counts[1]} comparison"
        for stage in _stages(flow_table(matched, effects))
    ]
    return f"Sample flow in student-years. {'; '.join(parts)}."


def _stages(table: Table) -> list[Stage]:
    stages: list[Stage] = []
    left: list[tuple[str, tuple[str, str]]] = []
    for row in range(len(table.frame)):
        counts = (table.cell(row, "visited"), table.cell(row, "comparison"))
        label, line = table.cell(row, "label"), table.cell(row, "line")
        if line == "excluded" and counts != ("0", "0"):
            left.append((label.removeprefix("– "), counts))
        if line in ("remaining", "recounted", "observed"):
            stages.append(Stage(label, counts, tuple(left), line == "observed"))
            left = []
    return stages


def _height(stage: Stage) -> float:
    if stage.branch:
        return BRANCH
    lines = sum(len(textwrap.wrap(reason, REASON_WIDTH)) for reason, _ in stage.left)
    return (
        2 * _overhang(stage)
        + BOX
        + GAP
        + (lines * LINE + GAP + 0.12 * len(stage.left) if stage.left else 0.12)
    )


def _overhang(stage: Stage) -> float:
    """Return by how much a label of more than two lines stands out above and below its box."""
    return max(len(textwrap.wrap(stage.label, LABEL_WIDTH)) - TWO_LINES, 0) * LINE / 2


def _draw_stage(ax: Axes, stage: Stage, top: float, *, first: bool) -> float:
    if stage.branch:
        _draw_branch(ax, stage, top)
        return top + BRANCH
    start = top
    for reason, counts in stage.left:
        wrapped = textwrap.wrap(reason, REASON_WIDTH)
        middle = top + 0.06 + len(wrapped) * LINE / 2
        ax.text(0.5, middle, "\n".join(wrapped), ha="center", va="center", fontsize=8.3,
                color=MUTED, linespacing=1.15)  # fmt: skip
        for (_, _, x, _), count in zip(GROUPS, counts, strict=True):
            side = 0.035 if x < 0.5 else -0.035
            text = "" if count in ("0", "–") else f"−{count}" if count[0].isdigit() else count
            ax.text(x + side, middle, text, ha="left" if x < 0.5 else "right", va="center",
                    fontsize=8.3, color=MUTED)  # fmt: skip
        top += len(wrapped) * LINE + 0.12
    top += GAP + (0.12 if not stage.left else 0)
    top += _overhang(stage)
    if not first:
        _draw_arrows(ax, start, top)
    _draw_boxes(ax, stage, top)
    return top + BOX + _overhang(stage)


def _draw_arrows(ax: Axes, start: float, end: float) -> None:
    for _, _, x, color in GROUPS:
        ax.annotate(
            "", xy=(x, end), xytext=(x, start),
            arrowprops={"arrowstyle": "-|>", "color": color, "lw": 1.2, "shrinkA": 0,
                        "shrinkB": 0},
        )  # fmt: skip


def _draw_boxes(ax: Axes, stage: Stage, top: float) -> None:
    middle = top + BOX / 2
    for (_, _, x, color), count in zip(GROUPS, stage.counts, strict=True):
        box = FancyBboxPatch(
            (x - HALF_BOX, top), 2 * HALF_BOX, BOX, boxstyle="round,pad=0,rounding_size=0.02",
            facecolor="white", edgecolor=color, linewidth=1.6, mutation_aspect=4,
        )  # fmt: skip
        ax.add_patch(box)
        ax.text(x, middle, count, ha="center", va="center", fontweight="bold", color=INK)
    ax.plot([0.12 + HALF_BOX, 0.88 - HALF_BOX], [middle, middle], color=LIGHT, lw=1, zorder=0)
    ax.text(
        0.5, middle, "\n".join(textwrap.wrap(stage.label, LABEL_WIDTH)), ha="center",
        va="center", fontsize=9, fontweight="bold", linespacing=1.1,
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 2.5},
    )  # fmt: skip


def _draw_branch(ax: Axes, stage: Stage, top: float) -> None:
    middle = top + BRANCH / 2
    ax.plot([0.005, 0.995], [top, top], color=LIGHT, lw=0.8)
    for (_, _, x, _), count in zip(GROUPS, stage.counts, strict=True):
        ax.text(x, middle, count, ha="center", va="center", fontsize=9.2)
    words = stage.label.removesuffix(" observed")
    ax.text(0.5, middle, words, ha="center", va="center", fontsize=9)
