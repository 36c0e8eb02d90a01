"""Figures of timing: impacts by window (F3), and visits during the year told in several ways."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, MaxNLocator

from homevisit_eval.errors import DesignError, EstimationError
from homevisit_eval.report.drawing import (
    BLUE,
    GRAY,
    INK,
    LIGHT,
    MUTED,
    ORANGE,
    WIDTH,
    figure_style,
    finish,
)
from homevisit_eval.report.hidden_effects import few_groups
from homevisit_eval.report.impact_figure import MARKS, PERCENTAGE_POINTS
from homevisit_eval.report.impact_tables import MAIN_ANALYSIS
from homevisit_eval.report.timing_tables import impact_by_timing as timing_table
from homevisit_eval.report.timing_tables import timing_lines
from homevisit_eval.report.words import marked, outcome_unit, verdict
from homevisit_eval.table import PERCENT, PERCENT_OF_STUDENTS, SYNTHETIC, format_value

if TYPE_CHECKING:
    from homevisit_eval.design import Outcome, Question
    from homevisit_eval.effects import Effect, EffectDifference
    from homevisit_eval.timing import TimingDifference

__all__ = [
    "impact_by_timing",
    "impact_by_timing_alt_text",
    "landmark",
    "landmark_alt_text",
    "landmark_can_be_drawn",
]

Mark = tuple[str, str, str, str]

CONTRAST: Mark = ("D", INK, INK, "Earlier less later, same days: clear")
UNCLEAR_CONTRAST: Mark = ("D", INK, "white", "Earlier less later, same days: not clear")
PART: Mark = ("s", GRAY, "white", "The two effects that are contrasted")
MAIN: Mark = ("o", BLUE, BLUE, "Followed from the day after the visit on")
OTHER: Mark = ("o", BLUE, "white", "The same with another rule")
NAIVE: Mark = ("X", ORANGE, ORANGE, "Whole-year comparison: biased, not to be used")
TRUTH = "True effect in the synthetic district"
NAIVE_LABEL = "Whole year, against never visited"

LABEL_WIDTH = 37
ROW_HEIGHT = 0.62
PANEL_EXTRA = 0.95
LEGEND_LINE = 0.19


@dataclass(frozen=True, slots=True)
class Bar:
    """One interval of a figure, in printed units."""

    label: str
    estimate: float
    low: float
    high: float
    text: str
    mark: Mark
    truth: float = math.nan
    divided: bool = False


def impact_by_timing(
    effects: Sequence[Effect],
    contrasts: Sequence[TimingDifference],
    questions: Sequence[Question],
    ax: Axes | None = None,
) -> Figure:
    """Draw the impact of visits in each window, and earlier less later, one panel an outcome.

    Parameters
    ----------
    effects, contrasts, questions
        As for table T3. What rests on too few students is left out.
    ax
        Axes to draw into, if there is one outcome.

    Returns
    -------
    Figure
        A new one, or that of `ax`.

    Raises
    ------
    DesignError
        If `ax` is given and there are several outcomes.
    EstimationError
        As `hv.tables.impact_by_timing`.
    """
    panels = _timing_panels(effects, contrasts, questions)
    synthetic = [*(one.synthetic for one in effects), *(one.synthetic for one in contrasts)]
    return _drawn(panels, any(synthetic), ax)


def impact_by_timing_alt_text(
    effects: Sequence[Effect],
    contrasts: Sequence[TimingDifference],
    questions: Sequence[Question],
) -> str:
    """Return what figure F3 shows, in words."""
    parts = _in_words(_timing_panels(effects, contrasts, questions))
    return (
        "Differences between visited and comparison students by when the visit was, with "
        f"confidence intervals, and earlier less later visits over the same days. {parts}"
    )


def landmark(
    main: Effect,
    others: Sequence[Effect],
    *,
    naive: Effect | None = None,
    truth: Mapping[str, float] | None = None,
    ax: Axes | None = None,
) -> Figure:
    """Draw the effect of visits during the year by how days are counted and compared.

    Parameters
    ----------
    main
        Of a question about visits during the year: outcomes from the day after the visit on.
    others
        The same outcome with a lag, against no visit for the rest of the year, and so on, each
        with its `sensitivity` label.
    naive
        The whole-year comparison with students never visited that year, which is biased.
    truth
        The true effect of rows of a synthetic district in units of the outcome, by label:
        ``"Main analysis"``, the label of a sensitivity row, or ``"naive"``.
    ax
        Axes to draw into.

    Returns
    -------
    Figure
        A new one, or that of `ax`.

    Raises
    ------
    EstimationError
        If the effects are of several outcomes, too few students are left to show any but the
        biased one, or a truth belongs to no row or to data that are not synthetic.
    """
    panels = _landmark_panel(main, others, naive, truth or {})
    return _drawn(panels, main.synthetic, ax)


def landmark_can_be_drawn(
    main: Effect, others: Sequence[Effect], *, naive: Effect | None = None
) -> bool:
    """Say whether a row other than the biased one may be shown; arguments as in `landmark`."""
    return not _only_biased(_landmark_bars(main, others, naive, {}))


def landmark_alt_text(
    main: Effect,
    others: Sequence[Effect],
    *,
    naive: Effect | None = None,
    truth: Mapping[str, float] | None = None,
) -> str:
    """Return what the figure shows, in words; arguments as in `landmark`."""
    parts = _in_words(_landmark_panel(main, others, naive, truth or {}))
    return (
        "Effect of a visit during the school year with confidence intervals, by how days are "
        f"counted and with whom visited students are compared. {parts}"
    )


def _timing_panels(
    effects: Sequence[Effect],
    contrasts: Sequence[TimingDifference],
    questions: Sequence[Question],
) -> dict[str, list[Bar]]:
    """Return the lines of T3 that may be shown, by outcome and unit."""
    table = timing_table(effects, contrasts, questions)
    panels: dict[str, list[Bar]] = {}
    before = ""
    for row, line in enumerate(timing_lines(effects, contrasts, questions)):
        found = line.effect or (line.contrast.difference if line.contrast else None)
        if found is None or (row, "estimate") in table.hidden:
            continue
        if line.effect is not None:
            mark = MARKS[verdict(line.effect)] if line.row == "window" else PART
        else:
            clear = found.p_value < 1 - found.confidence_level
            mark = CONTRAST if clear else UNCLEAR_CONTRAST
        divided = before == "window" and line.row != "window"
        bar = _bar(line.window, line.outcome, found, mark, divided=divided)
        if bar is not None:
            panels.setdefault(_heading(line.outcome.label, line.outcome), []).append(bar)
            before = line.row
    return panels


def _landmark_panel(
    main: Effect, others: Sequence[Effect], naive: Effect | None, truth: Mapping[str, float]
) -> dict[str, list[Bar]]:
    """Return the rows of the figure: the biased one, the main one, and those beside it."""
    _check_landmark(main, others, naive, truth)
    bars = _landmark_bars(main, others, naive, truth)
    if _only_biased(bars):
        raise EstimationError(
            "landmark figure: every row but a biased one rests on too few students to be shown."
        )
    return {_heading(marked(main.outcome.label, main.role), main.outcome): bars}


def _landmark_bars(
    main: Effect, others: Sequence[Effect], naive: Effect | None, truth: Mapping[str, float]
) -> list[Bar]:
    rows = [(NAIVE_LABEL, naive, NAIVE, truth.get("naive", math.nan))] if naive else []
    rows.append((_followed(main), main, MAIN, truth.get(MAIN_ANALYSIS, math.nan)))
    rows += [(one.sensitivity, one, OTHER, truth.get(one.sensitivity, math.nan)) for one in others]
    bars = []
    for position, (label, effect, mark, true) in enumerate(rows):
        assert effect is not None
        if few_groups(main) or few_groups(effect):
            continue
        divided = bool(naive) and position == 1
        bar = _bar(label, effect.outcome, effect, mark, truth=true, divided=divided)
        if bar is not None:
            bars.append(bar)
    return bars


def _only_biased(bars: Sequence[Bar]) -> bool:
    return all(bar.mark == NAIVE for bar in bars)


def _followed(main: Effect) -> str:
    """Return how the students of the main analysis are followed, in words."""
    until_visited = "no visit for the rest of the year" in str(main.estimand)
    return f"Days after the visit, against {'no later visit' if until_visited else 'not yet'}"


def _check_landmark(
    main: Effect, others: Sequence[Effect], naive: Effect | None, truth: Mapping[str, float]
) -> None:
    every = [main, *others, *([naive] if naive else [])]
    if len({effect.outcome.name for effect in every}) > 1:
        raise EstimationError(
            "landmark figure: the effects are of several outcomes; draw one figure an outcome."
        )
    labels = {MAIN_ANALYSIS, *(one.sensitivity for one in others), *(["naive"] if naive else [])}
    if unknown := sorted(set(truth) - labels):
        raise EstimationError(
            f"landmark figure: truth names {', '.join(unknown)}, which is no row; rows are "
            f"{', '.join(sorted(labels))}."
        )
    if truth and not main.synthetic:
        raise EstimationError(
            "landmark figure: only synthetic data have a known truth; leave truth out."
        )


def _bar(
    label: str,
    outcome: Outcome,
    found: Effect | EffectDifference,
    mark: Mark,
    *,
    truth: float = math.nan,
    divided: bool = False,
) -> Bar | None:
    """Return an interval in printed units; None if it has no finite bounds."""
    estimate, low, high = found.estimate, found.ci_low, found.ci_high
    if not math.isfinite(high - low):
        return None
    unit = outcome_unit(outcome)
    scale = 100.0 if unit in (PERCENT, PERCENT_OF_STUDENTS) else 1.0
    shown = [
        format_value(value, "effect", unit).removesuffix(" pp") for value in (estimate, low, high)
    ]
    text = f"{shown[0]}  [{shown[1]}, {shown[2]}]"
    return Bar(
        label, scale * estimate, scale * low, scale * high, text, mark, scale * truth, divided
    )


def _heading(label: str, outcome: Outcome) -> str:
    unit = outcome_unit(outcome)
    words = PERCENTAGE_POINTS if unit in (PERCENT, PERCENT_OF_STUDENTS) else unit
    return f"{label}, {words}"


def _in_words(panels: Mapping[str, Sequence[Bar]]) -> str:
    return " ".join(
        f"{heading}: "
        + "; ".join(
            f"{bar.label} {bar.text}"
            + ("" if math.isnan(bar.truth) else f" (true effect {bar.truth:+.2f})")
            for bar in bars
        ).replace("-", "−")
        + "."
        for heading, bars in panels.items()
    )


def _drawn(panels: Mapping[str, Sequence[Bar]], synthetic: bool, ax: Axes | None) -> Figure:
    """Draw each panel below the other, or the only one into `ax`."""
    if ax is not None and len(panels) > 1:
        raise DesignError(
            f"ax can show one outcome; there are {len(panels)}. Give effects of one outcome, or "
            "leave ax out for one panel an outcome."
        )
    with figure_style():
        if ax is not None:
            for heading, bars in panels.items():
                _draw_panel(ax, heading, bars)
            if synthetic:
                ax.set_title(SYNTHETIC, loc="right", color=ORANGE, fontsize=8.5, fontweight="bold")
            figure = ax.get_figure(root=True)
            assert figure is not None
            return figure
        handles = _legend(panels)
        heights = [len(bars) * ROW_HEIGHT + PANEL_EXTRA for bars in panels.values()]
        total = sum(heights) + LEGEND_LINE * len(handles) + 0.4
        figure = Figure(figsize=(WIDTH, total), layout="constrained")
        if panels:
            grid = figure.subplots(
                len(panels), 1, squeeze=False, gridspec_kw={"height_ratios": heights}
            )
            for axes, (heading, bars) in zip(grid[:, 0], panels.items(), strict=True):
                _draw_panel(axes, heading, bars)
        figure.legend(
            handles=handles, loc="outside lower left", frameon=False, fontsize=8.5, ncols=1
        )
        finish(figure, synthetic)
        return figure


def _draw_panel(ax: Axes, heading: str, bars: Sequence[Bar]) -> None:
    count = len(bars)
    values = [
        value for bar in bars for value in (bar.low, bar.high, bar.truth) if math.isfinite(value)
    ]
    low, high = min(0.0, *values), max(0.0, *values)
    room = 0.06 * (high - low or 1.0)
    ax.set_xlim(low - room, high + room)
    ax.set_ylim(count - 0.65, -0.95)
    ax.axvline(0, color=MUTED, linewidth=1.1, zorder=1)
    ax.grid(axis="x")
    for position, bar in enumerate(bars):
        _draw_bar(ax, position, bar)
    ax.set_yticks([])
    ax.xaxis.set_major_locator(MaxNLocator(5))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}".replace("-", "−")))
    ax.tick_params(axis="x", length=0)
    ax.set_xlabel(f"Difference, {heading.rpartition(', ')[2]}")
    ax.set_title(heading.rpartition(", ")[0], loc="left", fontsize=10, fontweight="bold")


def _draw_bar(ax: Axes, position: int, bar: Bar) -> None:
    marker, color, face, _ = bar.mark
    if bar.divided:
        ax.axhline(position - 0.78, color=LIGHT, linewidth=1.4, zorder=4)
    ax.hlines(position, bar.low, bar.high, color=color, linewidth=2.2, zorder=2)
    ax.plot(
        bar.estimate, position, marker, color=color, markerfacecolor=face, markersize=7.5,
        markeredgewidth=1.8, zorder=3,
    )  # fmt: skip
    if math.isfinite(bar.truth):
        ax.plot(bar.truth, position, "|", color=INK, markersize=17, markeredgewidth=2.2, zorder=3.5)
    for x, words, side, size, ink in (
        (0, textwrap.fill(bar.label, LABEL_WIDTH, max_lines=2, placeholder="…"), "left", 8.5, INK),
        (1, bar.text, "right", 8.0, MUTED),
    ):
        ax.text(
            x, position - 0.2, words, transform=ax.get_yaxis_transform(), ha=side, va="bottom",
            fontsize=size, color=ink, zorder=4, linespacing=1.05,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.8},
        )  # fmt: skip


def _legend(panels: Mapping[str, Sequence[Bar]]) -> list[Line2D]:
    shown = [bar for bars in panels.values() for bar in bars]
    marks = dict.fromkeys(bar.mark for bar in shown)
    handles = [
        Line2D(
            [], [], marker=marker, color=color, markerfacecolor=face, markersize=7, linewidth=2,
            label=label,
        )
        for marker, color, face, label in marks
    ]  # fmt: skip
    if any(math.isfinite(bar.truth) for bar in shown):
        handles.append(
            Line2D(
                [], [], marker="|", color=INK, markersize=12, markeredgewidth=2.2, linewidth=0,
                label=TRUTH,
            )
        )  # fmt: skip
    return handles
