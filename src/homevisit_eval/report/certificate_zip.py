"""Figure FR2: every interval beside the truth, those that miss it on top (a zip plot).

References
----------
Morris, T. P., White, I. R., & Crowther, M. J. (2019). Using simulation studies to evaluate
statistical methods. *Statistics in Medicine*, 38(11), 2074-2102.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator
from numpy.typing import NDArray

from homevisit_eval.certificate import MAIN
from homevisit_eval.report.certificate_panels import (
    figure_of_panels,
    printed_scale,
    printed_unit,
)
from homevisit_eval.report.certificate_words import (
    coverage_of,
    main_mode,
    main_performance,
    outcome_title,
    unit_of,
)
from homevisit_eval.report.drawing import BLUE, INK, LIGHT, MUTED, ORANGE
from homevisit_eval.table import PERCENT, format_value

if TYPE_CHECKING:
    from homevisit_eval.certificate import Certificate, Estimated, Mode, Performance, Trial

__all__ = ["zip_plot", "zip_plot_alt_text"]

HEIGHT = 2.3
SHADE = 0.6
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Zip:
    """Intervals less the truth in printed units, the best estimates first."""

    title: str
    unit: str
    truth: str
    low: Floats
    high: Floats
    coverage: Estimated
    confidence_level: float

    @property
    def misses(self) -> NDArray[np.bool_]:
        """Which intervals do not hold the truth."""
        missed: NDArray[np.bool_] = (self.low > 0) | (self.high < 0)
        return missed


def zip_plot(certificate: Certificate, ax: Axes | None = None, mode: Mode | None = None) -> Figure:
    """Draw every interval of the study's design less the truth, ordered by abs(error / SE).

    The truth is the expected effect with schools redrawn, the effect on the students kept with
    schools fixed. If intervals are honest, those that miss it start at the line of 95 %.

    Parameters
    ----------
    certificate
        With at least one trial.
    ax
        Axes to draw into, if there is one outcome.
    mode
        Schools redrawn or fixed; redrawn where it was run if not given.

    Returns
    -------
    Figure
        A new one, or that of `ax`.

    Raises
    ------
    DesignError
        If `ax` is given and there are several outcomes.
    """
    draw: list[Callable[[Axes], None]] = [
        lambda axes, one=one: _draw(axes, one)  # type: ignore[misc]
        for one in _zips(certificate, mode or main_mode(certificate))
    ]
    legend = [
        Line2D([], [], color=BLUE, alpha=SHADE, linewidth=2.5, label="Interval holds the truth"),
        Line2D([], [], color=ORANGE, linewidth=2.5, label="Interval misses it"),
        Patch(color=LIGHT, label="Monte Carlo interval of the coverage"),
    ]
    return figure_of_panels(draw, [HEIGHT] * len(draw), ax, legend=legend)


def zip_plot_alt_text(certificate: Certificate, mode: Mode | None = None) -> str:
    """Return what figure FR2 shows, in words."""
    parts = [
        f"{one.title}: {int(one.misses.sum()):,} of {len(one.low):,} intervals miss {one.truth}."
        for one in _zips(certificate, mode or main_mode(certificate))
    ]
    return (
        "All intervals of the study's design, ordered by how many standard errors the estimate "
        f"is from the truth. {' '.join(parts)}"
    )


def _zips(certificate: Certificate, mode: Mode) -> list[Zip]:
    performances = main_performance(certificate, mode)
    return [
        _zip(certificate, one, performances)
        for one in performances
        if math.isfinite(one.bias.value)
    ]


def _zip(certificate: Certificate, performance: Performance, among: list[Performance]) -> Zip:
    unit = unit_of(certificate.design, performance)
    mine = [trial for trial in certificate.trials if _is_of(trial, performance)]
    trials = [trial for trial in mine if not trial.problem]
    redrawn = performance.mode == "redrawn"
    expected = float(np.nanmean([trial.truth_all for trial in mine]))
    truth = np.array([expected if redrawn else trial.truth_kept for trial in trials])
    low, high, estimate, std_error = (
        np.array([getattr(trial, name) for trial in trials])
        for name in ("ci_low", "ci_high", "estimate", "std_error")
    )
    order = np.argsort(np.abs(estimate - truth) / std_error, kind="stable")
    scale = printed_scale(unit)
    return Zip(
        title=outcome_title(certificate.design, performance, among),
        unit=unit,
        truth="the expected effect" if redrawn else "the effect on the kept",
        low=(low - truth)[order] * scale,
        high=(high - truth)[order] * scale,
        coverage=coverage_of(performance),
        confidence_level=performance.confidence_level,
    )


def _is_of(trial: Trial, performance: Performance) -> bool:
    return (trial.mode, trial.study_question, trial.outcome, trial.design) == (
        performance.mode,
        performance.study_question,
        performance.outcome,
        MAIN,
    )


def _draw(ax: Axes, one: Zip) -> None:
    count = len(one.low)
    centile = (np.arange(count) + 0.5) / count * 100
    if math.isfinite(one.coverage.ci_low):
        ax.axhspan(
            one.coverage.ci_low * 100, one.coverage.ci_high * 100, color=LIGHT, linewidth=0,
            zorder=0,
        )  # fmt: skip
    width = min(1.6, max(0.35, 160 / count))
    for where, color, shade in ((~one.misses, BLUE, SHADE), (one.misses, ORANGE, 1.0)):
        ax.plot(*_strokes(one, centile, where), color=color, linewidth=width, zorder=2,
                alpha=shade, solid_capstyle="butt")  # fmt: skip
    ax.axvline(0, color=INK, linewidth=1.1, zorder=3)
    level = one.confidence_level * 100
    ax.axhline(level, color=INK, linewidth=1, linestyle=(0, (4, 3)), zorder=3)
    ax.set_ylim(0, 100)
    ax.yaxis.set_major_locator(FixedLocator([0, 25, 50, 75, level]))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:g}%"))
    ax.xaxis.set_major_locator(MaxNLocator(5))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}".replace("-", "−")))
    ax.tick_params(axis="both", length=0, labelsize=8.5, labelcolor=MUTED)
    ax.set_ylabel("Replications, closest first")
    ax.set_xlabel(f"Interval less {one.truth}, {printed_unit(one.unit)}")
    coverage = format_value(one.coverage.value, "mean", PERCENT, 1)
    ax.set_title(one.title, loc="left", fontweight="bold")
    ax.set_title(f"{coverage} hold it", loc="right", fontsize=8.5, color=MUTED)


def _strokes(
    one: Zip, centile: Floats, where: NDArray[np.bool_]
) -> tuple[list[float], list[float]]:
    """Return the intervals as one line with gaps, which is a small drawing."""
    x: list[float] = []
    y: list[float] = []
    for low, high, place in zip(one.low[where], one.high[where], centile[where], strict=True):
        x += [float(low), float(high), math.nan]
        y += [float(place), float(place), math.nan]
    return x, y
