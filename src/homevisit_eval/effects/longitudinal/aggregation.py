"""Group-time effects -> averages, with the estimation of the shares in their errors (arrays)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, assert_never, get_args

import numpy as np
from numpy.typing import NDArray

from homevisit_eval.effects.longitudinal.group_time import GroupTimeEffects
from homevisit_eval.effects.longitudinal.influence import (
    InfluenceDf,
    InfluenceEffects,
    InfluenceTest,
    InfluenceTestType,
    influence_effects,
    influence_test,
)
from homevisit_eval.errors import EstimationError

__all__ = ["AggregatedEffects", "Aggregation", "aggregate_effects", "aggregated_pretrend_test"]

Floats = NDArray[np.float64]
Codes = NDArray[np.intp]
Aggregation = Literal["simple", "event_time", "group", "calendar"]

FUNCTION = "aggregate_effects"


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class AggregatedEffects:
    """Averages of group-time effects, in units of the outcome.

    Attributes
    ----------
    aggregation
        ``"simple"``, ``"event_time"``, ``"group"`` or ``"calendar"``.
    at : array of shape (m,)
        The event time, group or period of each average; empty for ``"simple"``.
    effects
        The m averages, with influence.
    overall
        One effect: the average over all groups and periods after treatment, as `aggregation`
        weighs them.
    groups : array of shape (m,)
        How many groups each average rests on.
    reference : array of bool, shape (m,)
        Averages that are 0 by definition, as in the universal base period.
    anticipation
        Periods before treatment in which it may have effects.
    notes : tuple of sentences
        What a reader must know; those of the group-time effects too.
    """

    aggregation: Aggregation
    at: Floats
    effects: InfluenceEffects
    overall: InfluenceEffects
    groups: Codes
    reference: NDArray[np.bool_]
    anticipation: float
    notes: tuple[str, ...]

    @property
    def estimates(self) -> Floats:
        """Averages, shape (m,)."""
        return self.effects.estimates

    @property
    def std_errors(self) -> Floats:
        """Their standard errors, shape (m,)."""
        return self.effects.std_errors

    def __repr__(self) -> str:
        """Show the overall effect with its recipe, no units."""
        return (
            f"AggregatedEffects({self.aggregation}: overall {self.overall.estimates[0]:.6g}, "
            f"std_error {self.overall.std_errors[0]:.6g}, {len(self.at)} averages; "
            f"{self.overall.covariance_type}, G = {self.overall.G})"
        )


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Average:
    """A weighted average of effects, with the influence of units.

    Attributes
    ----------
    estimate
    influence : array of shape (n,)
    """

    estimate: float
    influence: Floats

    def __repr__(self) -> str:
        """Show the average."""
        return f"Average({self.estimate:.6g})"


def aggregate_effects(
    found: GroupTimeEffects,
    aggregation: Aggregation,
    *,
    followed_until: float = -float("inf"),
) -> AggregatedEffects:
    """Return averages of group-time effects, in units of the outcome.

    Parameters
    ----------
    found
        From `group_time_effects`.
    aggregation
        ``"simple"``: over all effects after treatment, each by the size of its group.
        ``"event_time"``: over the groups at the same time since treatment, those left out for
        which it is the base period while others have an effect there (calendars with gaps);
        overall, the plain mean of event times of 0 or more. ``"group"``: the plain mean of each
        group's effects after treatment; overall, by the size of groups. ``"calendar"``: over the
        groups treated in the same period; overall, the plain mean of periods.
    followed_until
        With ``"event_time"``: only groups that have an effect at this event time, and event
        times up to it, so that the same groups are averaged throughout.

    Returns
    -------
    AggregatedEffects
        With the covariance and degrees of freedom of `found`.

    Raises
    ------
    EstimationError
        If the aggregation is unknown or there is no effect to average.

    Notes
    -----
    With p_g the total weight of group g, an average over cells k is
    :math:`\\theta = \\sum_k p_{g(k)} ATT_k / \\sum_k p_{g(k)}`, and unit i's influence on it is the
    same average of its influence on the effects plus
    :math:`s_i \\sum_k 1(G_i = g(k)) (ATT_k - \\theta) / \\sum_k p_{g(k)}` for the
    estimated shares.

    References
    ----------
    Callaway, B., & Sant'Anna, P. H. C. (2021). Difference-in-differences with multiple time
    periods. *Journal of Econometrics*, 225(2), 200-230 (section 3).
    """
    if aggregation not in get_args(Aggregation):
        raise EstimationError(
            f"{FUNCTION}: aggregation must be one of {', '.join(get_args(Aggregation))}; it is "
            f"{aggregation!r}."
        )
    if aggregation != "event_time" and np.isfinite(followed_until):
        raise EstimationError(f"{FUNCTION}: followed_until is for aggregation='event_time' only.")
    after = found.event_times >= 0
    at, members = _members(found, aggregation, followed_until)
    if not after.any() or not (members or aggregation == "simple"):
        raise EstimationError(
            f"{FUNCTION}: there is no effect to average; see the notes of the group-time effects."
        )
    fixed = found.periods == found.base_periods
    if aggregation == "event_time":  # a period of reference is no effect; groups may have others
        members = [cells if fixed[cells].all() else cells[~fixed[cells]] for cells in members]
    averages = [weighted_average(found, cells) for cells in members]
    overall = _overall(found, aggregation, at, averages)
    reference = np.array([fixed[cells].all() for cells in members], dtype=bool)
    return AggregatedEffects(
        aggregation=aggregation,
        at=at,
        effects=_effects(found, averages, [f"{aggregation} {value:g}" for value in at]),
        overall=_effects(found, [overall], [f"overall, {aggregation}"]),
        groups=np.array([len(np.unique(found.groups[c])) for c in members], dtype=np.intp),
        reference=reference,
        anticipation=found.anticipation,
        notes=(*found.notes, *_changing_groups(found, aggregation, members)),
    )


def aggregated_pretrend_test(
    aggregated: AggregatedEffects, *, test: InfluenceTestType = "Hotelling"
) -> InfluenceTest:
    """Test that the averages of all event times before treatment and anticipation are 0 together.

    Parameters
    ----------
    aggregated
        By event time.
    test
        See `influence_test`.

    Raises
    ------
    EstimationError
        If effects are not by event time, or there is none before treatment to test.
    """
    if aggregated.aggregation != "event_time":
        raise EstimationError("aggregated_pretrend_test: give effects by event time.")
    before = (aggregated.at < -aggregated.anticipation) & ~aggregated.reference
    if not before.any():
        raise EstimationError(
            "aggregated_pretrend_test: there is no event time before treatment beside the base "
            "period; give more periods before treatment."
        )
    return influence_test(aggregated.effects, np.flatnonzero(before).tolist(), test=test)


def weighted_average(found: GroupTimeEffects, cells: Codes) -> Average:
    """Return the average of some effects by the sizes of their groups; see `aggregate_effects`."""
    groups, of_cell = np.unique(found.groups[cells], return_inverse=True)
    place = np.searchsorted(groups, found.first_treated).clip(max=len(groups) - 1)
    member = groups[place] == found.first_treated
    size = np.bincount(place, found.weights * member, len(groups))
    share = size[of_cell]
    total = float(share.sum())
    estimates = found.estimates[cells]
    mean = float(share @ estimates) / total
    by_group = np.bincount(of_cell, estimates - mean, len(groups)) / total
    influence = found.effects.influence[:, cells] @ (share / total)
    influence += found.weights * member * by_group[place]
    return Average(mean, influence)


def _members(
    found: GroupTimeEffects, aggregation: Aggregation, followed_until: float
) -> tuple[Floats, list[Codes]]:
    """Return what each average is at, and its cells."""
    event = found.event_times
    match aggregation:
        case "simple":
            return np.empty(0), []
        case "event_time":
            key, kept = event, np.ones(len(event), dtype=bool)
            if np.isfinite(followed_until):
                whole = np.unique(found.groups[event == followed_until])
                kept = np.isin(found.groups, whole) & (event <= followed_until)
        case "group":
            key, kept = found.groups, event >= 0
        case "calendar":
            key, kept = found.periods, event >= 0
        case _:
            assert_never(aggregation)
    at = np.unique(key[kept])
    return at, [np.flatnonzero(kept & (key == value)) for value in at]


def _overall(
    found: GroupTimeEffects, aggregation: Aggregation, at: Floats, averages: list[Average]
) -> Average:
    match aggregation:
        case "simple":
            return weighted_average(found, np.flatnonzero(found.event_times >= 0))
        case "group":
            return _over_groups(found, at, averages)
        case "event_time" | "calendar":
            last = [one for value, one in zip(at, averages, strict=True)
                    if aggregation == "calendar" or value >= 0]  # fmt: skip
            if not last:
                raise EstimationError(f"{FUNCTION}: no event time of 0 or more is left to average.")
            return Average(
                float(np.mean([one.estimate for one in last])),
                np.mean([one.influence for one in last], axis=0),
            )
        case _:
            assert_never(aggregation)


def _over_groups(found: GroupTimeEffects, groups: Floats, averages: list[Average]) -> Average:
    member = found.first_treated[:, None] == groups
    size = found.weights @ member
    estimates = np.array([one.estimate for one in averages])
    share = size / size.sum()
    mean = float(share @ estimates)
    influence = np.column_stack([one.influence for one in averages]) @ share
    influence += found.weights * (member @ (estimates - mean)) / size.sum()
    return Average(mean, influence)


def _effects(
    found: GroupTimeEffects, averages: list[Average], names: list[str]
) -> InfluenceEffects:
    df: InfluenceDf = "normal" if np.isinf(found.effects.df) else "G - 1"
    influence = np.zeros((len(found.units), len(averages)))
    for j, one in enumerate(averages):
        influence[:, j] = one.influence
    return influence_effects(
        FUNCTION,
        np.array([one.estimate for one in averages]),
        influence,
        found.effects.clusters,
        names=names,
        covariance=found.effects.covariance_type,
        df=df,
    )


def _changing_groups(
    found: GroupTimeEffects, aggregation: Aggregation, members: list[Codes]
) -> tuple[str, ...]:
    sets = {tuple(np.unique(found.groups[cells])) for cells in members}
    if aggregation != "event_time" or len(sets) < 2:
        return ()
    return (
        "Event times rest on different groups: differences between them may be differences between "
        "groups. Give followed_until for the same groups throughout.",
    )
