"""The truth of a timing contrast: visits of two windows, over the same days."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from homevisit_eval.certificate.known import NONE, Known, largest_differences, pooled_sd
from homevisit_eval.design import TimingContrast
from homevisit_eval.errors import DesignError
from homevisit_eval.matching import MatchedSample
from homevisit_eval.synthetic import Simulation, landmark_truth
from homevisit_eval.timing import TimingPairs
from homevisit_eval.truth import true_effect

__all__ = ["known_of_pairs", "timing_truth"]


def timing_truth(
    simulation: Simulation, contrast: TimingContrast, *, drawing: int = 0
) -> pd.DataFrame:
    """Return what visits before a contrast's landmark change from that day on, per student-year.

    Parameters
    ----------
    simulation
        A synthetic district.
    contrast
        Its landmark and outcomes are read.
    drawing
        The ``replication`` that the simulation was made with.

    Returns
    -------
    DataFrame
        See `landmark_truth`: ``_m1`` with the visit, ``_m0`` without any visit that year.

    Raises
    ------
    DesignError
        If the effect on an outcome of the contrast is not known.
    """
    truth = landmark_truth(
        simulation.district, simulation.seed, landmark=contrast.landmark, replication=drawing
    )
    for name in contrast.outcomes:
        if f"{name}_m1" not in truth.columns:
            raise DesignError(
                f"timing contrast {contrast.name!r}: the truth of the outcome {name} is not known "
                "in synthetic districts; certify the contrast without it."
            )
    return truth


def known_of_pairs(truth: pd.DataFrame, pairs: TimingPairs, outcome: str) -> Known:
    """Return the true difference between the effects on the earlier- and later-visited kept.

    The later-visited count with their weights. The effect on all candidates is not known, as
    only pairs have weights: it is given as that on those kept, so that nothing drifts. No naive
    comparison is known.

    Parameters
    ----------
    truth
        From `timing_truth`.
    pairs
        From `timing_pairs`.
    outcome
        Of the contrast.
    """
    sides = (pairs.earlier, pairs.later)
    earlier, later = (true_effect(truth, outcome, side) for side in sides)
    differences = [largest_differences(side) for side in sides]
    kept = [_values(side, outcome) for side in sides]
    candidates = [int((side.sample.baseline["visited"] == 1).sum()) for side in sides]
    return Known(
        truth_all=earlier - later,
        truth_kept=earlier - later,
        naive=NONE,
        outcome_sd=pooled_sd(*kept),
        visited=sum(candidates),
        kept=sum(map(len, kept)),
        largest_smd_before=max(before for before, _ in differences),
        largest_smd=max(after for _, after in differences),
    )


def _values(matched: MatchedSample, outcome: str) -> NDArray[np.float64]:
    """Return the outcomes of the visited students who are kept."""
    used = matched.matches.weights.to_numpy(dtype=np.float64) > 0
    visited = matched.sample.baseline["visited"].to_numpy() == 1
    values = matched.sample.outcomes[outcome].to_numpy(dtype=np.float64)[used & visited]
    return np.asarray(values[np.isfinite(values)])
