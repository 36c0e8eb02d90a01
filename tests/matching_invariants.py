"""What every result of matching must satisfy, whatever the method: one checker for all tests."""

from __future__ import annotations

import numpy as np
import pandas as pd

from homevisit_eval.design import (
    CardinalityMatching,
    CoarsenedExactMatching,
    EntropyBalancing,
    ExactMatching,
    FullMatching,
    InverseProbability,
    MatchingMethod,
    NearestNeighbor,
    NoMatching,
    OptimalPairs,
    OverlapWeights,
    Subclassification,
)
from homevisit_eval.matching import Matches

SUM = 1e-9  # relative: sums of weights in another order
ROUNDED = 2e-12  # scores are rounded to 12 decimals under ties="row"

PAIRS = NearestNeighbor | OptimalPairs
WEIGHTS = InverseProbability | OverlapWeights | EntropyBalancing


def check_matches(
    frame: pd.DataFrame, matches: Matches, treated: str, *, unit_id: str = ""
) -> None:
    """Raise `AssertionError` unless a result of `match_frame` keeps every promise."""
    group = frame[treated].to_numpy().astype(int)
    target = matches.estimand.target
    about = {"ATT": group == 1, "ATC": group == 0}.get(target, np.ones(len(group), dtype=bool))
    weights = matches.weights.to_numpy(dtype=float)
    assert matches.weights.index.equals(frame.index)
    assert matches.matched_set.index.equals(frame.index)
    assert np.isfinite(weights).all()
    assert (weights >= 0).all()
    assert (weights[group == 1] > 0).any()
    assert (weights[group == 0] > 0).any()
    if matches.sampling_weights is None:
        assert set(matches.unmatched["row"]) == set(frame.index[about & (weights == 0)])
    assert (matches.unmatched["reason"] != "").all()
    if not isinstance(matches.method, NoMatching):
        assert bool(matches.estimand.restriction) == bool(len(matches.unmatched))
    assert matches.discarded is not None
    assert (weights[matches.discarded.to_numpy()] == 0).all()
    _check_weights(matches, group)
    method = matches.method
    if isinstance(method, PAIRS) or (
        isinstance(method, CoarsenedExactMatching) and method.one_to_one
    ):
        _check_pairs(frame, matches, group, unit_id)
    else:
        assert not len(matches.pairs)
    if isinstance(method, PAIRS | FullMatching):
        _check_constraints(frame, matches, group, unit_id)
    if isinstance(method, FullMatching):
        _check_stars(matches, group)
    if isinstance(method, CoarsenedExactMatching | ExactMatching | Subclassification):
        _check_strata(frame, matches, group)


def _base(matches: Matches) -> np.ndarray:
    """Return matching weights without sampling weights."""
    weights = matches.weights.to_numpy(dtype=float)
    if matches.sampling_weights is None:
        return weights
    sampling = matches.sampling_weights.to_numpy(dtype=float)
    return np.divide(weights, sampling, out=np.zeros_like(weights), where=sampling > 0)


def _check_weights(matches: Matches, group: np.ndarray) -> None:
    method: MatchingMethod = matches.method
    weights, target = _base(matches), matches.estimand.target
    if isinstance(method, NoMatching):
        assert (weights == 1).all()
        return
    if isinstance(method, CardinalityMatching):
        assert set(np.unique(weights)) <= {0.0, 1.0}
        return
    if isinstance(method, WEIGHTS):
        if target in ("ATT", "ATC"):
            focal = weights[group == (target == "ATT")]
            np.testing.assert_allclose(focal[focal > 0], 1.0, rtol=SUM)
        return
    for number in (0, 1):
        used = weights[(group == number) & (weights > 0)]
        if target == "ATE" or (target == "ATT") != (number == 1):
            np.testing.assert_allclose(used.mean(), 1.0, rtol=SUM)
        else:
            np.testing.assert_allclose(used, 1.0, rtol=SUM)


def _check_pairs(frame: pd.DataFrame, matches: Matches, group: np.ndarray, unit_id: str) -> None:
    method, pairs = matches.method, matches.pairs
    groups = pd.Series(group, index=frame.index)
    assert (groups[pairs["treated"]] == 1).all()
    assert (groups[pairs["comparison"]] == 0).all()
    focal, match = ("treated", "comparison")
    if matches.estimand.target == "ATC":
        focal, match = match, focal
    ranks = pairs.groupby(focal, observed=True)["rank"].agg(["min", "max", "count"])
    assert (ranks["min"] == 1).all()
    assert (ranks["max"] == ranks["count"]).all()
    assert not pairs.duplicated([focal, match]).any()
    most = 1
    if isinstance(method, PAIRS):
        most = method.ratio
    if isinstance(method, NearestNeighbor) and method.max_ratio:
        most = method.max_ratio
    assert (ranks["count"] <= most).all()
    uses = pairs[match].value_counts()
    limit: int | str = method.max_uses if isinstance(method, NearestNeighbor) else 1
    if limit != "unlimited":
        assert (uses <= int(limit)).all()
    if unit_id:
        units = frame[unit_id]
        assert (units[pairs["treated"]].to_numpy() != units[pairs["comparison"]].to_numpy()).all()
        if isinstance(method, NearestNeighbor) and method.max_uses_per_unit_id != "unlimited":
            used = units[pairs[match]].value_counts()
            assert (used <= int(method.max_uses_per_unit_id)).all()
    sets = matches.matched_set
    if limit == 1:
        for rank_focal, part in pairs.groupby(focal, observed=True):
            members = {rank_focal, *part[match]}
            number = sets[rank_focal]
            assert number > 0
            assert set(sets.index[sets == number]) == members
        assert int((sets > 0).sum()) == len(ranks) + len(pairs)
    else:
        assert (sets == -1).all()
    used_rows = set(pairs["treated"]) | set(pairs["comparison"])
    base = pd.Series(_base(matches), index=frame.index)
    if matches.sampling_weights is None:
        assert set(base.index[base > 0]) == used_rows
    raw = pairs.assign(share=1.0 / ranks["count"].reindex(pairs[focal]).to_numpy())
    shares = raw.groupby(match, observed=True)["share"].sum()
    expected = shares / shares.mean()
    if matches.sampling_weights is None:
        np.testing.assert_allclose(base[expected.index], expected, rtol=SUM)


def _joined(frame: pd.DataFrame, matches: Matches, group: np.ndarray) -> tuple[np.ndarray, ...]:
    """Return positions of every treated-comparison pair that shares a pair or a set."""
    place = pd.Series(np.arange(len(frame)), index=frame.index)
    if len(matches.pairs):
        return (
            place[matches.pairs["treated"]].to_numpy(),
            place[matches.pairs["comparison"]].to_numpy(),
        )
    sets = matches.matched_set.to_numpy()
    rows = pd.DataFrame({"at": np.arange(len(frame)), "set": sets, "group": group})
    rows = rows[rows["set"] > 0]
    both = rows[rows["group"] == 1].merge(rows[rows["group"] == 0], on="set")
    return both["at_x"].to_numpy(), both["at_y"].to_numpy()


def _check_constraints(
    frame: pd.DataFrame, matches: Matches, group: np.ndarray, unit_id: str
) -> None:
    method = matches.method
    assert isinstance(method, NearestNeighbor | OptimalPairs | FullMatching)
    one, other = _joined(frame, matches, group)
    for name in method.exact:
        values = frame[name].to_numpy()
        assert (values[one] == values[other]).all()
    for name in method.anti_exact:
        values = frame[name].to_numpy()
        assert (values[one] != values[other]).all()
    if unit_id:
        values = frame[unit_id].to_numpy()
        assert (values[one] != values[other]).all()
    assert matches.discarded is not None
    kept = ~matches.discarded.to_numpy()
    if matches.score is not None:
        kept &= matches.score.notna().to_numpy()
    if method.caliper != "none":
        assert matches.score is not None
        score = matches.score.to_numpy()
        spread = 1.0 if method.caliper_units == "raw" else score[kept].std(ddof=1)
        slack = ROUNDED * max(1.0, np.abs(score[kept]).max())
        assert (np.abs(score[one] - score[other]) <= method.caliper * spread + slack).all()
    for caliper in method.covariate_calipers:
        values = frame[caliper.covariate].to_numpy(dtype=float)
        spread = 1.0 if caliper.units == "raw" else values[kept].std(ddof=1)
        width = caliper.width * spread * (1 + 1e-12)
        assert (np.abs(values[one] - values[other]) <= width).all()


def _check_stars(matches: Matches, group: np.ndarray) -> None:
    sets = matches.matched_set.to_numpy()
    counts = pd.crosstab(sets[sets > 0], group[sets > 0])
    assert (counts > 0).all(axis=None)
    assert (counts.min(axis=1) == 1).all()
    method = matches.method
    assert isinstance(method, FullMatching)
    ratio = counts[0] / counts[1]
    assert (ratio >= method.min_ratio - 1e-9).all()
    if method.max_ratio != "unlimited":
        assert (ratio <= method.max_ratio + 1e-9).all()


def _check_strata(frame: pd.DataFrame, matches: Matches, group: np.ndarray) -> None:
    sets, method = matches.matched_set.to_numpy(), matches.method
    counts = pd.crosstab(sets[sets > 0], group[sets > 0])
    assert (counts > 0).all(axis=None)
    if isinstance(method, Subclassification):
        assert len(counts) <= method.subclasses
        assert (counts >= method.min_units).all(axis=None)
        return
    for name in method.exact:
        values = pd.factorize(frame[name])[0][sets > 0]
        grouped = pd.Series(values).groupby(sets[sets > 0])
        assert (grouped.min() == grouped.max()).all()
