"""Balance and sample sizes of R MatchIt 4.7.2, from its own weights, pairs and sets."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from homevisit_eval.balance import assess_frame_balance, effective_sample_sizes
from homevisit_eval.balance.statistics import column_balance, compared_groups
from homevisit_eval.design import ExactMatching, NearestNeighbor
from homevisit_eval.matching import Estimand, Matches
from matchit_specs import REFERENCE

DIGITS = 1e-8  # absolute and relative; most agree to 1e-13
NAMES = sorted(path.name.removesuffix("_units.csv") for path in REFERENCE.glob("*_units.csv"))
COVARIATES = ("age", "educ", "race", "married", "nodegree", "re74", "re75")
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
def lalonde() -> pd.DataFrame:
    return pd.read_csv(REFERENCE / "lalonde_with_ps.csv").set_index("id")


def stored_matches(name: str, frame: pd.DataFrame) -> Matches:
    """Return MatchIt's result as a value of this package: nothing is matched here."""
    units = pd.read_csv(REFERENCE / f"{name}_units.csv").set_index("id")
    path = REFERENCE / f"{name}_pairs.csv"
    pairs = pd.DataFrame({"treated": [], "rank": [], "comparison": []})
    if path.exists():
        found = pd.read_csv(path).dropna()
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
    if row["covariate"] == "propensity_score":
        return "distance"
    return f"{row['covariate']}{row['level']}"


@pytest.mark.parametrize("name", NAMES)
def test_every_column_of_the_balance_is_equal(name: str, lalonde: pd.DataFrame) -> None:
    reference = pd.read_csv(REFERENCE / f"{name}_balance.csv").set_index(["sample", "term"])
    covariates = ("race", "married", "nodegree") if name == "s27_exact" else COVARIATES
    matches = stored_matches(name, lalonde)
    balance = assess_frame_balance(lalonde, matches, treated="treat", covariates=covariates)
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


@pytest.mark.parametrize("name", NAMES)
def test_sample_sizes_are_equal(name: str, lalonde: pd.DataFrame) -> None:
    theirs = pd.read_csv(REFERENCE / f"{name}_nn.csv").set_index("row")
    sizes = effective_sample_sizes(stored_matches(name, lalonde), lalonde["treat"])
    rows = {
        "All (ESS)": ("all", "ess"), "All": ("all", "n"),
        "Matched (ESS)": ("matched", "ess"), "Matched": ("matched", "n"),
        "Unmatched": ("unmatched", "n"), "Discarded": ("discarded", "n"),
    }  # fmt: skip
    assert list(theirs.index) == list(rows)
    for label, (row, what) in rows.items():
        ours = sizes.loc[row, [f"{what}_comparison", f"{what}_treated"]].to_numpy(dtype=float)
        np.testing.assert_allclose(ours, theirs.loc[label, ["Control", "Treated"]], rtol=DIGITS)


def test_pair_distances_are_in_standard_deviations_unless_matchit_is_asked_for(lalonde) -> None:
    """Where means are equal MatchIt leaves the pair distance in the variable's own units."""
    units = pd.read_csv(REFERENCE / "s06_nn11_replace_units.csv")
    pairs = pd.read_csv(REFERENCE / "s06_nn11_replace_pairs.csv")
    at = {label: place for place, label in enumerate(lalonde.index)}
    groups = compared_groups(
        lalonde["treat"],
        np.ones(614),
        units["weights"],
        pairs=(
            np.array([at[label] for label in pairs["focal"]]),
            np.array([at[label] for label in pairs["match"]]),
        ),
    )
    white = (lalonde["race"] == "white").to_numpy(dtype=float)
    ours = column_balance(white, groups)
    theirs = column_balance(white, groups, pair_scale="matchit")
    assert ours.smd_after == pytest.approx(0.0, abs=1e-12)
    assert theirs.pair_distance_after == pytest.approx(
        ours.pair_distance_after * ours.before.sd_treated
    )
    assert theirs.pair_distance_after == pytest.approx(10 / 185)
