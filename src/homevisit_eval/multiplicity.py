"""Effects -> effects with p values adjusted for the number of outcomes tested."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from homevisit_eval.effects import Effect
from homevisit_eval.effects.resampling.families_of_tests import (
    AdjustmentMethod,
    adjusted_p_values,
    benjamini_hochberg,
)

__all__ = ["adjust_p_values", "benjamini_hochberg"]

DEFAULT: AdjustmentMethod = "benjamini_hochberg"
NOTE = "The adjusted p value is by "
NAMES = {
    "benjamini_yekutieli": "Benjamini and Yekutieli (false discovery rate, any dependence)",
    "holm": "Holm (familywise error rate)",
    "hochberg": "Hochberg (familywise error rate, positive dependence)",
    "bonferroni": "Bonferroni (familywise error rate)",
}


def adjust_p_values(
    effects: Sequence[Effect], *, method: AdjustmentMethod = DEFAULT
) -> list[Effect]:
    """Return the effects with adjusted p values, by default those of Benjamini and Hochberg.

    A family is all effects of one role (primary, secondary, exploratory) in one outcome domain,
    over all questions given. Sensitivity rows belong to no family and keep NaN; so does an
    effect without a p value, which is not counted in its family.

    Parameters
    ----------
    effects
        In any order; the given values are not changed.
    method
        As in `homevisit_eval.effects.adjusted_p_values.adjusted_p_values`; any but the default
        is named in the notes of every effect of a family.

    Returns
    -------
    list of Effect
        In the same order.

    Raises
    ------
    EstimationError
        If a p value lies outside 0..1, or the method is unknown.

    Notes
    -----
    Adjusting twice gives the same as once: the adjusted values are always found from
    `p_value`. They depend on which effects are given together, so give all of a study at once.

    References
    ----------
    Benjamini, Y., & Hochberg, Y. (1995). Controlling the false discovery rate: A practical and
    powerful approach to multiple testing. *Journal of the Royal Statistical Society B*, 57(1),
    289-300.
    """
    adjusted_p_values([], method=method)
    adjusted = np.full(len(effects), np.nan)
    families: dict[tuple[str, str], list[int]] = {}
    for position, effect in enumerate(effects):
        if not effect.sensitivity:
            families.setdefault((effect.role, effect.outcome.domain), []).append(position)
    for members in families.values():
        p_values = [effects[member].p_value for member in members]
        adjusted[members] = adjusted_p_values(p_values, method=method)
    return [
        replace(effect, p_value_adjusted=float(value), notes=_notes(effect, method))
        for effect, value in zip(effects, adjusted, strict=True)
    ]


def _notes(effect: Effect, method: AdjustmentMethod) -> tuple[str, ...]:
    kept = tuple(note for note in effect.notes if not note.startswith(NOTE))
    if method == DEFAULT or effect.sensitivity:
        return kept
    return (*kept, f"{NOTE}{NAMES[method]}.")
