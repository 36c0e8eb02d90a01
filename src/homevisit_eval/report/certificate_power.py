"""Figure FR4: how likely the design is to find an effect, by the size of the true effect."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator
from numpy.typing import NDArray

from homevisit_eval.certificate import MAIN
from homevisit_eval.certificate.summarize import PUBLISHED_EFFECTS
from homevisit_eval.certificate.summarize import power_curve as power_at
from homevisit_eval.design.measures import measured_name
from homevisit_eval.report.certificate_panels import (
    figure_of_panels,
    printed_scale,
    printed_unit,
)
from homevisit_eval.report.certificate_words import (
    main_mode,
    main_performance,
    outcome_title,
    unit_of,
)
from homevisit_eval.report.drawing import BLUE, INK, LIGHT, MUTED, ORANGE
from homevisit_eval.table import PERCENT, format_value

if TYPE_CHECKING:
    from homevisit_eval.certificate import Certificate, Mode, Performance

__all__ = ["power_curve", "power_curve_alt_text", "smallest_found"]

HEIGHT = 1.75
LINE_POINTS = 13.0
POINTS = 49
SMALLEST = 1e-6
"""Of the farthest effect: with none at all there is no right sign."""
REACH_SE = 4.2
REACH_PUBLISHED = 1.35
USUAL_POWER = 0.8
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """Power by the true effect in units of the outcome; shares with their Monte Carlo limits."""

    title: str
    unit: str
    effects: Floats
    power: Floats
    low: Floats
    high: Floats
    published: float
    power_published: float

    @property
    def detectable(self) -> float:
        """The smallest effect on the curve that is found with a power of 80 %; NaN if none is."""
        reached = np.flatnonzero(self.power >= USUAL_POWER)
        if not len(reached) or reached[0] == 0:
            return math.nan
        before, at = reached[0] - 1, reached[0]
        share = (USUAL_POWER - self.power[before]) / (self.power[at] - self.power[before])
        return float(self.effects[before] + share * (self.effects[at] - self.effects[before]))

    def printed(self, effect: float) -> str:
        """Return an effect as text."""
        text = format_value(effect, "effect", self.unit)
        return text if text.endswith(" pp") else f"{text} {self.unit}"

    @property
    def marks(self) -> list[tuple[str, str, float, float, str]]:
        """Marker, fill, effect and power of each mark, and what it says."""
        share = format_value(self.power_published, "mean", PERCENT, 0)
        published = f"Published effect, {self.printed(self.published)}: power {share}"
        detectable = f"Power 80% from {self.printed(self.detectable)} on"
        marks = [
            ("o", ORANGE, self.published, self.power_published, published),
            ("D", "white", self.detectable, USUAL_POWER, detectable),
        ]
        return [mark for mark in marks if math.isfinite(mark[2]) and math.isfinite(mark[3])]


def power_curve(
    certificate: Certificate, ax: Axes | None = None, mode: Mode | None = None
) -> Figure:
    """Draw the probability that the design finds an effect, by the size of the true effect.

    Each trial keeps its error and its standard error and is given another true effect. The
    band is the Monte Carlo interval.

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
        lambda axes, curve=curve: _draw(axes, curve)  # type: ignore[misc]
        for curve in _curves(certificate, mode or main_mode(certificate))
    ]
    return figure_of_panels(draw, [HEIGHT + 0.3] * len(draw), ax, legend=())


def power_curve_alt_text(certificate: Certificate, mode: Mode | None = None) -> str:
    """Return what figure FR4 shows, in words."""
    parts = [
        f"{curve.title}: {'; '.join(mark[-1] for mark in curve.marks)}."
        for curve in _curves(certificate, mode or main_mode(certificate))
    ]
    return f"Power by the size of the true effect. {' '.join(parts)}"


def smallest_found(certificate: Certificate, performance: Performance) -> float:
    """Return the smallest effect that the design finds with a power of 80 %, NaN if unknown."""
    return _curve(certificate, performance, [performance]).detectable


def _curves(certificate: Certificate, mode: Mode) -> list[Curve]:
    performances = main_performance(certificate, mode)
    return [
        _curve(certificate, one, performances)
        for one in performances
        if math.isfinite(one.mean_std_error.value)
    ]


def _curve(certificate: Certificate, performance: Performance, among: list[Performance]) -> Curve:
    outcome = certificate.design.outcome(measured_name(performance.outcome)[0])
    published = PUBLISHED_EFFECTS.get(performance.outcome, math.nan)
    good = 1.0 if outcome.beneficial == "higher" else -1.0
    direction = math.copysign(1.0, published) if math.isfinite(published) else good
    farthest = max(
        REACH_SE * performance.mean_std_error.value,
        REACH_PUBLISHED * abs(published) if math.isfinite(published) else 0.0,
    )
    effects = direction * np.linspace(SMALLEST, 1, POINTS) * farthest
    trials = [
        trial
        for trial in certificate.trials
        if (trial.mode, trial.study_question, trial.outcome, trial.design)
        == (performance.mode, performance.study_question, performance.outcome, MAIN)
    ]
    found = power_at(trials, effects.tolist())
    return Curve(
        title=outcome_title(certificate.design, performance, among),
        unit=unit_of(certificate.design, performance),
        effects=effects,
        power=np.array([one.value for one in found]),
        low=np.array([one.ci_low for one in found]),
        high=np.array([one.ci_high for one in found]),
        published=published,
        power_published=performance.power_published.value,
    )


def _draw(ax: Axes, curve: Curve) -> None:
    effects = curve.effects * printed_scale(curve.unit)
    ax.grid(axis="both")
    ax.fill_between(effects, curve.low * 100, curve.high * 100, color=LIGHT, linewidth=0)
    ax.axhline(USUAL_POWER * 100, color=MUTED, linewidth=1, linestyle=(0, (4, 3)))
    ax.plot(effects, curve.power * 100, color=BLUE, linewidth=2.2)
    for marker, face, effect, power, _ in curve.marks:
        x = effect * printed_scale(curve.unit)
        ax.plot(x, power * 100, marker, **_look(face), zorder=3, clip_on=False)
    ax.set_xlim(0, float(effects[-1]))  # a negative effect grows to the right as well
    ax.set_ylim(0, 100)
    ax.xaxis.set_major_locator(MaxNLocator(5))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}".replace("-", "−")))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:g}%"))
    ax.yaxis.set_major_locator(MaxNLocator(5))
    ax.tick_params(axis="both", length=0, labelsize=8.5, labelcolor=MUTED)
    ax.set_xlabel(f"True effect, {printed_unit(curve.unit)}")
    lines = len(curve.marks)
    ax.set_title(curve.title, loc="left", fontweight="bold", pad=6 + LINE_POINTS * lines)
    for number, (marker, face, _, _, words) in enumerate(curve.marks):
        above = (lines - number - 0.3) * LINE_POINTS / 72 / HEIGHT
        ax.plot(0.012, 1 + above, marker, transform=ax.transAxes, clip_on=False, **_look(face))
        ax.text(
            0.045, 1 + above, words, transform=ax.transAxes, va="center", fontsize=8.5, color=INK
        )


def _look(face: str) -> dict[str, Any]:
    return {
        "color": ORANGE,
        "markerfacecolor": face,
        "markersize": 6.5,
        "markeredgewidth": 1.7,
        "linestyle": "none",
    }
