"""The audit of a matching as a table: labels, facts, and no small count that follows."""

from __future__ import annotations

import pandas as pd

from homevisit_eval.design import InverseProbability, NearestNeighbor
from homevisit_eval.matching import match_frame
from homevisit_eval.matching.matched_sample import shown_reasons
from homevisit_eval.report.audit_table import LABELS, match_audit
from matchit_specs import COVARIATES, SPECS, lalonde


def test_every_fact_of_an_audit_has_a_label():
    frame = lalonde()
    for method in (*SPECS.values(), InverseProbability()):
        matches = match_frame(frame, treated="treat", covariates=COVARIATES, method=method)
        assert set(matches.audit) <= set(LABELS)
        table = match_audit(matches)
        items = dict(zip(table.frame["item"], table.frame["finding"], strict=True))
        assert items["Estimand"] == str(matches.estimand)
        assert items["Treated units"] == "185"
        assert len(items["SHA-256 of the inputs"]) == 64


def test_the_same_inputs_have_the_same_checksum_and_others_another():
    frame = lalonde()
    one, two = (match_frame(frame, treated="treat", covariates=COVARIATES) for _ in range(2))
    other = match_frame(frame.assign(age=frame["age"] + 1), treated="treat", covariates=COVARIATES)
    assert one.audit["inputs_checksum"] == two.audit["inputs_checksum"]
    assert one.audit["inputs_checksum"] != other.audit["inputs_checksum"]


def test_small_counts_of_reasons_do_not_follow_from_the_others():
    reasons = ["a"] * 3 + ["b"] * 20 + ["c"] * 40
    shown = shown_reasons(pd.DataFrame({"row": range(63), "reason": reasons}))
    assert shown == {"a": "<10", "b": "10 or more", "c": "40"}
    assert shown_reasons(pd.DataFrame({"row": range(20), "reason": ["b"] * 20})) == {"b": "20"}


def test_total_distance_stands_beside_the_smallest_possible():
    frame = lalonde()
    method = NearestNeighbor(score="propensity_score", order="smallest", caliper="none")
    audit = match_frame(frame, treated="treat", covariates=COVARIATES, method=method).audit
    assert audit["optimal_total_distance"] < audit["total_distance"]
