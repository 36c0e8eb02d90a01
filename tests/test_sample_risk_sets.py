"""Risk sets of any data frame: who is at risk when, by plain loops."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from homevisit_eval.design import NearestNeighbor
from homevisit_eval.errors import MatchingError
from homevisit_eval.matching import match_frame
from homevisit_eval.sample import expand_risk_sets
from matching_invariants import check_matches

COLUMNS = {"unit_id": "unit", "entered": "first", "left": "last", "treated_at": "visit"}


def units(n: int, seed: int = 3) -> pd.DataFrame:
    random = np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, n])))
    first = random.integers(0, 10, n)
    last = first + random.integers(1, 30, n)
    visit = first + random.integers(0, 30, n)
    x = random.normal(size=n)
    never = (visit > last) | (random.random(n) < 0.4 - 0.1 * x)
    return pd.DataFrame(
        {
            "unit": [f"u{number}" for number in random.permutation(n)],
            "first": first,
            "last": last,
            "visit": np.where(never, np.nan, visit.astype(float)),
            "grade": random.integers(1, 3, n),
            "x": x,
        }
    )


@pytest.mark.parametrize("within", [(), ("grade",)])
def test_rows_are_those_at_risk_one_by_one(within):
    frame = units(60)
    expected = []
    for time in sorted(frame["visit"].dropna().unique()):
        for _, unit in frame.iterrows():
            treated_now = frame[frame["visit"] == time]
            cell = not within or (treated_now["grade"] == unit["grade"]).any()
            not_before = np.isnan(unit["visit"]) or unit["visit"] >= time
            if unit["first"] <= time <= unit["last"] and not_before and cell:
                expected.append((time, unit["unit"], int(unit["visit"] == time)))
    found = expand_risk_sets(frame, **COLUMNS, within=within)
    rows = found[["index_time", "unit", "treated"]].itertuples(index=False, name=None)
    assert list(rows) == expected


def test_dates_are_times_too():
    frame = units(40)
    day = pd.Timestamp("2014-08-25")
    dated = frame.assign(
        **{
            name: day + pd.to_timedelta(frame[name], unit="D")
            for name in ("first", "last", "visit")
        }
    )
    plain, found = (expand_risk_sets(one, **COLUMNS) for one in (frame, dated))
    assert found["unit"].tolist() == plain["unit"].tolist()
    assert found["treated"].tolist() == plain["treated"].tolist()


def test_matching_in_risk_sets_uses_only_those_not_yet_treated():
    frame = units(600)
    rows = expand_risk_sets(frame, **COLUMNS, within=("grade",))
    method = NearestNeighbor(
        exact=("index_time", "grade"), caliper=0.5, max_uses_per_unit_id=2, max_uses=1
    )
    matches = match_frame(rows, treated="treated", covariates=["x"], unit_id="unit", method=method)
    check_matches(rows, matches, "treated", unit_id="unit")
    pairs = matches.pairs
    assert len(pairs) > 100
    when = rows["index_time"]
    assert (when[pairs["treated"]].to_numpy() == when[pairs["comparison"]].to_numpy()).all()
    later = rows.loc[pairs["comparison"], "visit"].to_numpy()
    assert (np.isnan(later) | (later > when[pairs["comparison"]].to_numpy())).all()
    assert np.isfinite(later).any()  # some are treated later, and served until then


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: f.drop(columns="first"), "no column 'first'"),
        (lambda f: f.assign(treated=0), "already has a column 'treated'"),
        (lambda f: pd.concat([f, f.head(2)]), "2 rows repeat a unit"),
        (lambda f: f.assign(last=f["last"].where(f.index != 3)), "1 rows lack a time"),
        (lambda f: f.assign(visit=f["last"] + 1.0), "are treated before they enter or after"),
        (lambda f: f.assign(visit=np.nan), "nobody is treated"),
    ],
)
def test_what_is_refused(change, message):
    with pytest.raises(MatchingError, match=message):
        expand_risk_sets(change(units(40)), **COLUMNS)
