"""What of a survival curve may be shown: points with ten students or more between them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from homevisit_eval.disclosure import SMALLEST_COUNT_SHOWN
from homevisit_eval.effects.survival_curves.kaplan_meier import SurvivalCurve

__all__ = ["last_shown", "shown_days", "shown_places"]


def last_shown(curve: SurvivalCurve) -> int:
    """Return the place of the last time at which ten are at risk; -1 if there is none."""
    return int(np.flatnonzero(curve.at_risk >= SMALLEST_COUNT_SHOWN).max(initial=-1))


def shown_places(curve: SurvivalCurve) -> NDArray[np.intp]:
    """Return the places of the curve that may be shown.

    Between two of them, and up to the first, at least ten students of the group have the event;
    the last one moves on to the end of the curve, with what is left, since the day of the last
    event may be that of one student. The curve ends where fewer than ten are at risk. There is
    no place if fewer than ten have the event.
    """
    end = last_shown(curve) + 1
    events = np.cumsum(curve.events[:end])
    places: list[int] = []
    taken = 0
    for place in np.flatnonzero(curve.events[:end]):
        if events[place] - taken >= SMALLEST_COUNT_SHOWN:
            places.append(int(place))
            taken = int(events[place])
    if places:
        places[-1] = end - 1
    return np.array(places, dtype=np.intp)


def shown_days(curves: Sequence[SurvivalCurve], days: Sequence[float]) -> list[bool]:
    """Return for each of increasing days whether incidence by it may be shown for all curves.

    A day is shown if ten or more of each group are at risk then, and if up to it, and from it to
    the next day shown, ten or more of each group, or nobody, had the event. Later days go first.
    """
    shown: list[bool] = []
    later: list[int] = []
    for day in reversed(days):
        places = [int(np.searchsorted(one.times, day, side="right")) for one in curves]
        events = [int(one.events[:place].sum()) for one, place in zip(curves, places, strict=True)]
        at_risk = [int(_leaving(one)[one.times >= day].sum()) for one in curves]
        counts = [*events, *(then - now for then, now in zip(later, events, strict=bool(later)))]
        safe = min(at_risk) >= SMALLEST_COUNT_SHOWN and not any(
            0 < count < SMALLEST_COUNT_SHOWN for count in counts
        )
        shown.append(safe)
        if safe:
            later = events
    return shown[::-1]


def _leaving(curve: SurvivalCurve) -> NDArray[np.int64]:
    """Return how many have the event or are censored at each time."""
    return np.asarray(curve.at_risk - np.append(curve.at_risk[1:], 0))
