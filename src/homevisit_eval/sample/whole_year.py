"""The comparison that must not be made: visited during the year against never visited in it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from homevisit_eval.sample.analytic_sample import AnalyticSample
from homevisit_eval.sample.before_year import select_before_year
from homevisit_eval.sample.day_records import BEYOND
from homevisit_eval.sample.first_visits import next_visits

if TYPE_CHECKING:
    from homevisit_eval.panel import Panel

__all__ = ["select_whole_year"]


def select_whole_year(sample: AnalyticSample, panel: Panel) -> AnalyticSample:
    """Return the visited of a window during the year, and students never visited that year.

    Outcomes are those of the whole year, also of the days before the visit, and who may be a
    comparison is decided by what happened after: immortal-time and reverse-causation bias. It is
    offered to show how much that is.

    Parameters
    ----------
    sample
        Of a question about visits during the year.
    panel
        That it is from.
    """
    asked = sample.question
    question = replace(asked, window="before_year", lag_days=0, later_visits="natural_course")
    design, question = sample.design.asked(question)
    whole = select_before_year(panel, design, question)
    rows = whole.baseline
    key = ["unit_id", "school_year"]
    visited = sample.baseline.loc[sample.baseline["visited"] == 1, key]
    is_visited = pd.MultiIndex.from_frame(rows[key]).isin(pd.MultiIndex.from_frame(visited))
    ever = next_visits(panel, rows, np.zeros(len(rows), dtype=np.int64)) < BEYOND
    kept = is_visited | ~ever
    baseline = rows.assign(visited=is_visited.astype("int8"))[kept].reset_index(drop=True)
    return replace(
        whole,
        baseline=baseline,
        outcomes=whole.outcomes[kept].reset_index(drop=True),
        question=replace(question, role=asked.role),
        notes=(
            "Whole-year outcomes of students visited during the year are compared with those of "
            "students never visited in it: days before the visit are counted, and the comparison "
            "is chosen by what happened later. It is biased, and shown only to say how much.",
            *whole.notes,
        ),
    )
