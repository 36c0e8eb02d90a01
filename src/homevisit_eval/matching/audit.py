"""What a run of matching says of itself, as plain values."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from homevisit_eval.design import MatchingMethod, NearestNeighbor, NoMatching
from homevisit_eval.disclosure import shown_count
from homevisit_eval.matching.assemble import Placed
from homevisit_eval.matching.matched_sample import Matches, shown_reasons

__all__ = ["audit_of", "inputs_checksum"]

Integers = NDArray[np.int64]

ORDER_RULES = {
    "row": (
        "scores rounded to 12 decimals; equal scores and equal distances in the order of a "
        "hashed key, whatever the order of rows"
    ),
    "matchit": "ties in the order of rows, as in R MatchIt 4.7.2",
}
ORDER_WORDS = {
    "largest": "highest score first",
    "smallest": "lowest score first",
    "data": "by key",
    "random": "in a random order",
    "closest": "closest pair first",
    "farthest": "unit with the farthest nearest match first",
}
SUMS = (
    "tied_scores",
    "pairs_under_other_tie_rule",
    "with_fewer_matches",
    "exact_strata",
    "exact_strata_without_match",
    "exact_strata_with_both_groups",
    "subclasses",
    "chosen",
)
LARGEST = ("largest_distance", "largest_difference_left", "solver_gap", "iterations")
GROUP_WORDS = {
    "ATT": "treated units",
    "ATC": "comparison units",
    "ATE": "units",
    "ATO": "units",
}


def audit_of(
    matches: Matches, treated: Integers, placed: Sequence[Placed], checksum: str
) -> Mapping[str, int | float | str]:
    """Collect the facts of a run.

    Parameters
    ----------
    matches
        Put together, without its audit.
    treated : array of shape (n,)
        0 or 1.
    placed
        The bands.
    checksum
        Of the inputs.
    """
    facts = [one.result.facts for one in placed]
    audit: dict[str, int | float | str] = {
        "inputs_checksum": checksum,
        "order_rule": _order_rule(matches.method),
        "rows": len(treated),
        "treated": int(treated.sum()),
        "comparison": int(len(treated) - treated.sum()),
        "treated_used": int(((matches.weights > 0) & (treated == 1)).sum()),
        "comparison_used": int(((matches.weights > 0) & (treated == 0)).sum()),
    }
    if matches.score is not None:
        audit["scores_checksum"] = _digest([matches.score.to_numpy(dtype=np.float64)])
        audit |= _off_support(placed)
    audit |= {
        name: sum(int(f[name]) for f in facts if name in f) for name in SUMS if _has(facts, name)
    }
    audit |= {
        name: max(f[name] for f in facts if name in f) for name in LARGEST if _has(facts, name)
    }
    audit |= _distances(facts)
    audit["estimand"] = str(matches.estimand)
    audit["consequence"] = _consequence(matches)
    audit["notes"] = _notes(placed)
    return MappingProxyType(audit)


def _has(facts: Sequence[Mapping[str, object]], name: str) -> bool:
    return any(name in one for one in facts)


def _order_rule(method: MatchingMethod) -> str:
    ties = getattr(method, "ties", "row")
    if isinstance(method, NoMatching):
        return "nobody is matched"
    if isinstance(method, NearestNeighbor):
        order = method.order
        if order == "default":
            order = "largest" if method.estimand == "ATT" else "smallest"
            if method.max_uses == "unlimited" or not _by_score(method):
                order = "data"
        words = ORDER_WORDS[order]
        if order == "data" and ties == "matchit":
            words = "in the order of rows"
        return f"{words}; {ORDER_RULES[ties]}"
    return ORDER_RULES[ties]


def _by_score(method: NearestNeighbor) -> bool:
    return method.distance == "score" or method.caliper != "none" or method.discard != "none"


def _off_support(placed: Sequence[Placed]) -> dict[str, int]:
    counts = {"treated_off_support": 0, "comparison_off_support": 0, "discarded": 0}
    for one in placed:
        scores = one.result.scores
        if scores is None:
            continue
        without = (scores.outside != "") & ~scores.discarded
        counts["treated_off_support"] += int((without & (one.rows.treated == 1)).sum())
        counts["comparison_off_support"] += int((without & (one.rows.treated == 0)).sum())
        counts["discarded"] += int(scores.discarded.sum())
    return counts


def _distances(facts: Sequence[Mapping[str, int | float | str]]) -> dict[str, float]:
    found: dict[str, float] = {}
    matched = [one for one in facts if "total_distance" in one]
    if not matched:
        return found
    found["total_distance"] = sum(float(one["total_distance"]) for one in matched)
    pairs = sum(int(one.get("pairs", 0)) for one in matched)
    if pairs:
        found["mean_distance"] = found["total_distance"] / pairs
    if all("optimal_total_distance" in one for one in matched):
        found["optimal_total_distance"] = sum(
            float(one["optimal_total_distance"]) for one in matched
        )
    return found


def _consequence(matches: Matches) -> str:
    """Say what the lost units do to the estimand."""
    method, target = matches.method, matches.estimand.target
    if isinstance(method, NoMatching):
        return "nobody is left out; regression alone adjusts"
    who, lost = GROUP_WORDS[target], len(matches.unmatched)
    if not lost:
        return f"all {who} are used: the estimand is the {target}"
    reasons = shown_reasons(matches.unmatched)
    listed = "; ".join(f"{count} {text}" for text, count in reasons.items())
    return (
        f"{shown_count(lost)} {who} are not used ({listed}), so the effect is that on those who "
        f"are, not the {target} of all"
    )


def _notes(placed: Sequence[Placed]) -> str:
    return "; ".join(
        f"{one.rows.where}{note}"
        for one in placed
        if one.result.scores is not None
        for note in one.result.scores.notes
    )


def inputs_checksum(
    frame: pd.DataFrame, columns: Sequence[str], arrays: Sequence[NDArray[np.float64]]
) -> str:
    """Return the SHA-256 of the columns and arrays that matching reads, in the order of rows."""
    parts: list[NDArray[np.generic]] = [
        pd.util.hash_pandas_object(frame[name], index=False).to_numpy()
        for name in dict.fromkeys(columns)
    ]
    return _digest([*parts, *arrays])


def _digest(arrays: Sequence[NDArray[np.generic]]) -> str:
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
