"""Figure: impacts in the year of the visit and the years after it, beside the year before."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from homevisit_eval.design.measures import measured_name
from homevisit_eval.disclosure import SMALLEST_COUNT_SHOWN
from homevisit_eval.effect_sizes import weighted_mean
from homevisit_eval.errors import DesignError, EstimationError
from homevisit_eval.report.drawing import BLUE, GRAY, WIDTH, figure_style, finish
from homevisit_eval.report.event_study_figure import event_study
from homevisit_eval.report.follow_up_tables import follow_up as follow_up_table
from homevisit_eval.report.follow_up_tables import follow_up_order, years_after_words
from homevisit_eval.report.impact_figure import PERCENTAGE_POINTS
from homevisit_eval.report.words import marked, outcome_unit
from homevisit_eval.table import PERCENT, PERCENT_OF_STUDENTS

if TYPE_CHECKING:
    from homevisit_eval.design import Outcome
    from homevisit_eval.effects import Effect
    from homevisit_eval.matching import MatchedSample

__all__ = ["follow_up", "follow_up_alt_text"]

TIME_LABEL = "School years after that of the visit"
YEAR_BEFORE = "Year before the visit"
PANEL_HEIGHT = 2.5
LEGEND_HEIGHT = 0.75


@dataclass(frozen=True, slots=True)
class Point:
    """One year's difference in printed units; without an interval in the year before."""

    years_after: int
    estimate: float
    low: float
    high: float


def follow_up(effects: Sequence[Effect], matched: MatchedSample, ax: Axes | None = None) -> Figure:
    """Draw the difference by school year from the year before the visit on, one panel an outcome.

    Parameters
    ----------
    effects, matched
        As for table B7. The difference in the year before is what matching has left; it has no
        interval. Years with too few students are left out.
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
        As `hv.tables.follow_up`; if every year rests on too few students.
    """
    panels = _panels(effects, matched)
    if ax is not None and len(panels) > 1:
        raise DesignError(
            f"ax can show one outcome; there are {len(panels)}. Give effects of one outcome, or "
            "leave ax out for one panel an outcome."
        )
    synthetic = matched.sample.synthetic
    with figure_style():
        if ax is not None:
            for (label, unit), points in panels.items():
                _draw(ax, label, unit, points, synthetic)
            figure = ax.get_figure(root=True)
            assert figure is not None
            return figure
        height = PANEL_HEIGHT * len(panels) + LEGEND_HEIGHT
        figure = Figure(figsize=(WIDTH, height), layout="constrained")
        grid = figure.subplots(len(panels), 1, squeeze=False)
        for axes, ((label, unit), points) in zip(grid[:, 0], panels.items(), strict=True):
            _draw(axes, label, unit, points, synthetic=False)
        figure.legend(
            handles=_legend(list(panels.values()), effects[0].confidence_level),
            loc="outside lower left",
            frameon=False,
            fontsize=8.5,
            ncols=1,
        )
        finish(figure, synthetic)
        return figure


def follow_up_alt_text(effects: Sequence[Effect], matched: MatchedSample) -> str:
    """Return what the figure shows, in words; arguments as in `follow_up`."""
    parts = []
    for (label, unit), points in _panels(effects, matched).items():
        years = [
            f"{_when(point)} {point.estimate:+.2f}"
            + ("" if point.years_after < 0 else f" [{point.low:+.2f}, {point.high:+.2f}]")
            for point in points
        ]
        parts.append(f"{label}, {unit}: {'; '.join(years)}.")
    return (
        "Differences between visited and comparison students in the year before the visit, the "
        f"year of the visit and later years, with confidence intervals. {' '.join(parts)}"
    ).replace("-", "−")


def _panels(
    effects: Sequence[Effect], matched: MatchedSample
) -> dict[tuple[str, str], list[Point]]:
    """Return the points that may be shown by outcome and unit, in the order of the years."""
    table = follow_up_table(effects, matched)
    panels: dict[tuple[str, str], list[Point]] = {}
    for row, effect in enumerate(follow_up_order(effects, matched)):
        bounded = math.isfinite(effect.ci_high - effect.ci_low)
        if (row, "estimate") in table.hidden or not bounded:
            continue
        after = measured_name(effect.outcome.name)[1]
        unit = outcome_unit(effect.outcome)
        scale = 100.0 if unit in (PERCENT, PERCENT_OF_STUDENTS) else 1.0
        words = PERCENTAGE_POINTS if scale > 1 else unit
        label = effect.outcome.label.removesuffix(f", {years_after_words(after)}")
        points = panels.setdefault((marked(label, effect.role), words), [])
        if not points:
            before = _year_before(effect.outcome, matched) * scale
            points += [Point(-1, before, before, before)] if math.isfinite(before) else []
        numbers = (scale * one for one in (effect.estimate, effect.ci_low, effect.ci_high))
        points.append(Point(after, *numbers))
    if not panels:
        raise EstimationError("follow-up figure: every year rests on too few students to be shown.")
    return panels


def _year_before(outcome: Outcome, matched: MatchedSample) -> float:
    """Return the difference of weighted means of the outcome's baseline; NaN if it has none."""
    baseline = matched.sample.baseline
    if outcome.baseline is None or outcome.baseline not in baseline:
        return math.nan
    values = baseline[outcome.baseline].to_numpy(dtype=np.float64)
    weights = matched.matches.weights.to_numpy(dtype=np.float64)
    known = (weights > 0) & np.isfinite(values)
    groups = [known & (baseline["visited"].to_numpy() == code) for code in (1, 0)]
    if any(group.sum() < SMALLEST_COUNT_SHOWN for group in groups):
        return math.nan
    visited, comparison = (weighted_mean(values[group], weights[group]) for group in groups)
    return float(visited - comparison)


def _draw(ax: Axes, label: str, unit: str, points: Sequence[Point], synthetic: bool) -> None:
    event_study(
        [point.years_after for point in points],
        [point.estimate for point in points],
        [(point.low, point.high) for point in points],
        pretrend="",
        unit=unit,
        time_label=TIME_LABEL,
        synthetic=synthetic,
        ax=ax,
    )
    ax.set_title(label, loc="left", fontsize=10, fontweight="bold")


def _legend(panels: Sequence[Sequence[Point]], level: float) -> list[Line2D]:
    marks = [
        Line2D(
            [], [], marker="o", color=BLUE, markersize=7, linewidth=2,
            label=f"Difference, with {100 * level:g}% interval",
        )
    ]  # fmt: skip
    if any(points[0].years_after < 0 for points in panels):
        marks.append(
            Line2D(
                [], [], marker="D", color=GRAY, markersize=6, linewidth=0,
                label="Year before the visit: difference left after matching",
            )
        )  # fmt: skip
    return marks


def _when(point: Point) -> str:
    return YEAR_BEFORE if point.years_after < 0 else years_after_words(point.years_after)
