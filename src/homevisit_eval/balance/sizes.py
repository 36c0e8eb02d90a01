"""How many units are compared, and how many equally weighted ones that is worth."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from homevisit_eval.balance.density import effective_sample_size
from homevisit_eval.errors import EstimationError
from homevisit_eval.matching.matched_sample import Matches

__all__ = ["effective_sample_sizes", "weights_after", "weights_before"]


def effective_sample_sizes(matches: Matches, treated: ArrayLike) -> pd.DataFrame:
    """Return how many units there are before and after matching, by group.

    Parameters
    ----------
    matches
        What `match_frame` returned, or the `matches` of a `MatchedSample`.
    treated : array of shape (n,)
        0 or 1 for each row of the frame that was matched, in its order; the column ``visited``
        of a sample's baseline.

    Returns
    -------
    DataFrame with the rows ``all``, ``matched``, ``unmatched`` and ``discarded``
        ``n_treated``, ``n_comparison``: units; ``ess_treated``, ``ess_comparison``: effective
        sample sizes, :math:`(\\sum w)^2 / \\sum w^2` (missing for units that are not used).
        ``all`` has sampling weights, ``matched`` all weights. Units that are not matched are
        ``discarded`` if they are off the common support, else ``unmatched``.

    Raises
    ------
    EstimationError
        If `treated` does not fit the frame that was matched.

    References
    ----------
    Kish, L. (1965). *Survey Sampling*. Wiley.
    """
    group = np.asarray(treated, dtype=np.float64)
    if group.shape != matches.weights.shape or not np.isin(group, (0.0, 1.0)).all():
        raise EstimationError(
            f"treated must hold 0 or 1 for each of the {len(matches.weights):,} rows that were "
            f"matched, in their order; its shape is {group.shape}. Give the frame's own column."
        )
    before, after = weights_before(matches), weights_after(matches)
    discarded = _discarded(matches)
    everybody = np.ones(len(group), dtype=bool)
    rows = {
        "all": (everybody, before),
        "matched": (after > 0, after),
        "unmatched": ((after <= 0) & ~discarded, None),
        "discarded": (discarded, None),
    }
    table = {
        name: {
            f"{what}_{label}": _size(what, selected & (group == number), weights)
            for what in ("n", "ess")
            for number, label in ((1, "treated"), (0, "comparison"))
        }
        for name, (selected, weights) in rows.items()
    }
    return pd.DataFrame.from_dict(table, orient="index").astype(
        {"n_treated": np.int64, "n_comparison": np.int64}
    )


def weights_after(matches: Matches) -> NDArray[np.float64]:
    """Return the weights after matching, shape (n,); sampling weights are in them."""
    return matches.weights.to_numpy(dtype=np.float64)


def weights_before(matches: Matches) -> NDArray[np.float64]:
    """Return the sampling weights, shape (n,); 1 for everybody if there are none."""
    if matches.sampling_weights is None:
        return np.ones(len(matches.weights))
    return matches.sampling_weights.to_numpy(dtype=np.float64)


def _discarded(matches: Matches) -> NDArray[np.bool_]:
    if matches.discarded is None:
        return np.zeros(len(matches.weights), dtype=bool)
    return matches.discarded.to_numpy(dtype=bool)


def _size(what: str, rows: NDArray[np.bool_], weights: NDArray[np.float64] | None) -> float:
    if what == "n":
        return float(rows.sum())
    return float("nan") if weights is None else effective_sample_size(weights[rows])
