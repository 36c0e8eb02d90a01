"""Comparison of a sample with the row-by-row reading of the rules."""

from __future__ import annotations

from collections import Counter

import pandas as pd

from homevisit_eval.sample import AnalyticSample
from sample_oracle import Expected

__all__ = ["assert_agrees"]

GROUPS = ("visited", "comparison", "neither")


def assert_agrees(sample: AnalyticSample, expected: Expected) -> None:
    """Compare flow, baseline and outcomes exactly."""
    found = Counter({("", group): getattr(sample.flow[-1], group) for group in GROUPS})
    for step in sample.flow:
        if step.kind == "excluded":
            found.update({(step.name, group): getattr(step, group) for group in GROUPS})
    assert +found == +expected.reasons
    keys = list(zip(sample.baseline["unit_id"], sample.baseline["school_year"], strict=True))
    assert len(keys) == len(expected.baseline)
    assert set(keys) == set(expected.baseline)
    for frame, values in (
        (sample.baseline, expected.baseline),
        (sample.outcomes, expected.outcomes),
    ):
        wanted = pd.DataFrame([values[key] for key in keys])
        assert set(wanted) <= set(frame)
        for name in wanted:
            pairs = zip(frame[name].tolist(), wanted[name].tolist(), strict=True)
            assert all(one == other or (pd.isna(one) and pd.isna(other)) for one, other in pairs), (
                name
            )
