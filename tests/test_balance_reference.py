"""Balance and sample sizes of R MatchIt 4.7.2, from its own weights, pairs and sets."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from homevisit_eval.balance import (
    SCORES,
    Balance,
    assess_frame_balance,
    effective_sample_sizes,
)
from homevisit_eval.balance.statistics import column_balance, compared_groups
from homevisit_eval.design import ExactMatching, NearestNeighbor
from homevisit_eval.matching import Estimand, Matches
from matchit_specs import NOT_UNIQUE, REFERENCE, SPECS, covariates_of, lalonde, run, stored

DIGITS = 1e-8  # absolute and relative; most agree to 1e-13
SIZES = {
    "All (ESS)": ("all", "ess"), "All": ("all", "n"),
    "Matched (ESS)": ("matched", "ess"), "Matched": ("matched", "n"),
    "Unmatched": ("unmatched", "n"), "Discarded": ("discarded", "n"),
}  # fmt: skip
COLUMNS = {
    "Means Treated": "mean_treated",
    "Means Control": "mean_comparison",
    "Std. Mean Diff.": "smd",
    "Var. Ratio": "variance_ratio",
    "eCDF Mean": "ecdf_mean",
    "eCDF Max": "ecdf_max",
    "Std. Pair Dist.": "pair_distance",
}


@pytest.fixture(scope="module")
def data() -> pd.DataFrame:
    return lalonde()


def stored_matches(name: str, frame: pd.DataFrame) -> Matches:
    """Return MatchIt's result as a value of this package: nothing is matched here."""
    units = stored(name, "units").set_index("id")
    pairs = pd.DataFrame({"treated": [], "rank": [], "comparison": []})
    if (REFERENCE / f"{name}_pairs.csv").exists():
        found = stored(name, "pairs").dropna()
        pairs = found.rename(columns={"focal": "treated", "k": "rank", "match": "comparison"})
    score = None if units["distance"].isna().all() else units["distance"]
    ties = NearestNeighbor(score="propensity_score", ties="matchit")
    return Matches(
        method=ExactMatching() if name == "s27_exact" else ties,
        pairs=pairs,
        weights=units["weights"].rename("weight"),
        matched_set=pd.Series(pd.factorize(units["subclass"])[0], index=frame.index),
        propensity_score=score,
        linear_propensity_score=None,
        estimand=Estimand("ATT"),
        propensity=(),
        unmatched=pd.DataFrame({"row": [], "reason": []}),
        audit={},
        discarded=units["discarded"],
    )


def term(row: pd.Series) -> str:
    """Return MatchIt's name of a row."""
    if row["covariate"] in SCORES:
        return "distance"
    return f"{row['covariate']}{row['level']}"


def check_balance(name: str, balance: Balance) -> None:
    """Compare every column, before and after, of every term that MatchIt lists."""
    reference = stored(name, "balance").set_index(["sample", "term"])
    ours = balance.table.assign(term=balance.table.apply(term, axis=1)).set_index("term")
    assert set(ours.index) == set(reference.index.get_level_values("term"))
    for when, sample in (("before", "all"), ("after", "matched")):
        if sample not in reference.index:
            assert (name, sample) == ("s22_subclass_att", "matched")
            continue
        theirs = reference.loc[sample]
        for column, of_ours in COLUMNS.items():
            if (column, when) == ("Std. Pair Dist.", "before"):
                assert theirs[column].isna().all()
                continue
            np.testing.assert_allclose(
                ours.loc[theirs.index, f"{of_ours}_{when}"],
                theirs[column],
                rtol=DIGITS,
                atol=DIGITS,
                err_msg=f"{column} {when}",
            )


def check_sizes(name: str, sizes: pd.DataFrame) -> None:
    theirs = stored(name, "nn").set_index("row")
    assert list(theirs.index) == list(SIZES)
    for label, (row, what) in SIZES.items():
        ours = sizes.loc[row, [f"{what}_comparison", f"{what}_treated"]].to_numpy(dtype=float)
        np.testing.assert_allclose(ours, theirs.loc[label, ["Control", "Treated"]], rtol=DIGITS)


@pytest.mark.parametrize("name", SPECS)
def test_balance_and_sizes_of_the_stored_matches_are_equal(name: str, data: pd.DataFrame) -> None:
    matches = stored_matches(name, data)
    covariates = covariates_of(name)
    check_balance(name, assess_frame_balance(data, matches, treated="treat", covariates=covariates))
    check_sizes(name, effective_sample_sizes(matches, data["treat"]))


@pytest.mark.parametrize("name", [name for name in SPECS if name not in NOT_UNIQUE])
def test_balance_and_sizes_of_our_own_matches_are_equal(name: str, data: pd.DataFrame) -> None:
    matches = run(name, data)
    covariates = covariates_of(name)
    check_balance(name, assess_frame_balance(data, matches, treated="treat", covariates=covariates))
    check_sizes(name, effective_sample_sizes(matches, data["treat"]))


def test_pair_distances_are_in_standard_deviations_unless_matchit_is_asked_for(data) -> None:
    """Where means are equal MatchIt leaves the pair distance in the variable's own units."""
    units, pairs = (stored("s06_nn11_replace", kind) for kind in ("units", "pairs"))
    at = {label: place for place, label in enumerate(data.index)}
    groups = compared_groups(
        data["treat"],
        np.ones(614),
        units["weights"],
        pairs=(
            np.array([at[label] for label in pairs["focal"]]),
            np.array([at[label] for label in pairs["match"]]),
        ),
    )
    white = (data["race"] == "white").to_numpy(dtype=float)
    ours = column_balance(white, groups)
    theirs = column_balance(white, groups, pair_scale="matchit")
    assert ours.smd_after == pytest.approx(0.0, abs=1e-12)
    assert theirs.pair_distance_after == pytest.approx(
        ours.pair_distance_after * ours.before.sd_treated
    )
    assert theirs.pair_distance_after == pytest.approx(10 / 185)
