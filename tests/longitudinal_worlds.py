"""Made-up panels for the tests of effects over several periods."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class World:
    """Rows of a balanced panel, unit by unit, with true effects."""

    y: Floats
    unit: NDArray[np.intp]
    period: Floats
    first_treated: Floats
    x: Floats
    effect: Floats

    @property
    def panel(self) -> tuple[Floats, NDArray[np.intp], Floats, Floats]:
        return self.y, self.unit, self.period, self.first_treated

    @property
    def treated(self) -> NDArray[np.bool_]:
        return self.period >= self.first_treated


def true_effect(group: Floats, event: Floats) -> Floats:
    """Grows with time since treatment, and more in early groups."""
    slope = 0.5 * (6.0 - np.where(np.isfinite(group), group, 6.0))
    return np.where(event >= 0, 1.0 + slope * np.maximum(event, 0.0), 0.0)


def staggered(
    seed: int,
    n: int = 200,
    *,
    groups: tuple[float, ...] = (3.0, 4.0, 6.0, np.inf),
    periods: int = 7,
    noise: float = 1.0,
    confounding: float = 0.0,
) -> World:
    """Return units first treated in one of `groups`; with confounding, trends depend on x."""
    rng = np.random.default_rng(seed)
    first = np.array(groups)[np.arange(n) % len(groups)]
    x = rng.normal(size=n) + confounding * np.isfinite(first)
    time = np.arange(1.0, periods + 1.0)
    event = time - first[:, None]
    effect = true_effect(first[:, None], event)
    y = rng.normal(size=(n, 1)) + 0.3 * time + confounding * x[:, None] * time + effect
    y = y + noise * rng.normal(size=y.shape)
    unit = np.repeat(np.arange(n), periods)
    return World(
        y.ravel(), unit, np.tile(time, n), first[unit], x[unit, None], effect.ravel()
    )  # fmt: skip
