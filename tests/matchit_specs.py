"""The 22 stored specifications of R MatchIt 4.7.2 as methods of this package, and their files."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from homevisit_eval.design import (
    CoarsenedExactMatching,
    ExactMatching,
    FullMatching,
    MatchingMethod,
    NearestNeighbor,
    OptimalPairs,
    Subclassification,
)
from homevisit_eval.matching import Matches, match_frame

REFERENCE = Path(__file__).parent / "reference" / "matchit"
COVARIATES = ("age", "educ", "race", "married", "nodegree", "re74", "re75")
EXACT_COVARIATES = ("race", "married", "nodegree")


def _nearest(**options: object) -> NearestNeighbor:
    plain: dict[str, object] = {
        "score": "propensity_score",
        "caliper": "none",
        "ties": "matchit",
    }
    return NearestNeighbor(**{**plain, **options})  # type: ignore[arg-type]


SPECS: dict[str, MatchingMethod] = {
    "s01_nn11": _nearest(),
    "s02_nn11_linear": _nearest(score="linear_propensity_score"),
    "s03_nn11_probit": _nearest(link="probit"),
    "s04_nn21": _nearest(ratio=2),
    "s05_nn31_replace": _nearest(ratio=3, max_uses="unlimited"),
    "s06_nn11_replace": _nearest(max_uses="unlimited"),
    "s07_nn11_cal02": _nearest(caliper=0.2),
    "s08_nn11_exact": _nearest(exact=("race", "married")),
    "s10_nn11_smallest": _nearest(order="smallest"),
    "s11_nn11_data": _nearest(order="data"),
    "s12_nn11_discard": _nearest(discard="both"),
    "s14_nn_varratio": _nearest(ratio=2, min_ratio=1, max_ratio=4),
    "s16_mah": _nearest(distance="mahalanobis"),
    "s18_rmah": _nearest(distance="robust_mahalanobis"),
    "s20_mahvars_cal": _nearest(
        distance="mahalanobis", distance_covariates=("age", "educ", "re74", "re75"), caliper=0.1
    ),
    "s22_subclass_att": Subclassification(score="propensity_score", ties="matchit"),
    "s24_cem": CoarsenedExactMatching(ties="matchit"),
    "s27_exact": ExactMatching(),
    "s29_nn11_closest": _nearest(order="closest"),
    "s31_optimal_pair": OptimalPairs(score="propensity_score", ties="matchit"),
    "s32_optimal_pair_mah": OptimalPairs(distance="mahalanobis", ties="matchit"),
    "s34_full_att": FullMatching(score="propensity_score", ties="matchit"),
}
NOT_UNIQUE = ("s31_optimal_pair", "s32_optimal_pair_mah", "s34_full_att")
"""The reference stops short of the optimum; totals are compared."""
TIED = "s05_nn31_replace"  # the order of equally near matches is not specified
SET_METHODS = ("s22_subclass_att", "s24_cem", "s27_exact")


def lalonde() -> pd.DataFrame:
    """Return the 614 units with their covariates and outcome, by id."""
    raw = pd.read_csv(REFERENCE / "lalonde_with_ps.csv").set_index("id")
    return raw.drop(columns=["ps", "linps"])


def covariates_of(name: str) -> tuple[str, ...]:
    """Return the covariates of a specification."""
    return EXACT_COVARIATES if name == "s27_exact" else COVARIATES


def run(name: str, frame: pd.DataFrame) -> Matches:
    """Match as a specification says."""
    return match_frame(frame, treated="treat", covariates=covariates_of(name), method=SPECS[name])


def stored(name: str, kind: str) -> pd.DataFrame:
    """Return a stored table: "units", "pairs", "balance", "nn" or "effect"."""
    return pd.read_csv(REFERENCE / f"{name}_{kind}.csv")
