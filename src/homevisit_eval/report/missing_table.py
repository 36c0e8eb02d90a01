"""The table of missing covariates (A6): how many lacked each, and what was done."""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

import pandas as pd

from homevisit_eval.design import (
    CompleteCases,
    MissingCovariates,
    MissingIndicator,
    MultipleImputation,
)
from homevisit_eval.disclosure import suppress_small_counts
from homevisit_eval.report.words import question_words
from homevisit_eval.table import Table

if TYPE_CHECKING:
    from homevisit_eval.matching import MatchedSample

__all__ = ["missing_covariates", "missing_rule_aloud"]


def missing_rule_aloud(rule: MissingCovariates) -> str:
    """Return what becomes of missing covariates as a sentence.

    >>> missing_rule_aloud(CompleteCases())
    'Student-years that lack a covariate of their grade were left out, and are counted in F1.'
    """
    match rule:
        case CompleteCases():
            return (
                "Student-years that lack a covariate of their grade were left out, and are counted "
                "in F1."
            )
        case MissingIndicator():
            return (
                "A missing number was set to its mean over the candidates, a missing category to a "
                "category of its own, and 0/1 covariates say where. The What Works Clearinghouse "
                "does not accept this in a quasi-experimental design."
            )
        case MultipleImputation():
            return (
                f"Missing values were drawn {rule.imputations} times from the other covariates and "
                "from who was visited, by chained equations with observed values as donors; "
                "outcomes were not used. Each completed sample was matched and estimated, and the "
                "estimates were pooled by Rubin's rules."
            )
        case _:
            assert_never(rule)


def missing_covariates(matched: MatchedSample, name: str = "A6") -> Table | None:
    """Return how many student-years lacked each covariate before it was filled in or drawn.

    Parameters
    ----------
    matched
        Its sample counts what was missing.
    name
        The number of the table in a report.

    Returns
    -------
    Table or None
        None if nothing was missing, and for complete cases: the sample flow (F1) counts those
        who were left out, and other counts of the same students could give small ones away.
    """
    sample = matched.sample
    rule = sample.design.missing_covariates
    rows = [
        (one.label, one.visited, round(one.visited / one.of_visited, 2), one.comparison,
         round(one.comparison / one.of_comparison, 2), 0)
        for one in sample.missing
        if one.total and one.of_visited and one.of_comparison
    ]  # fmt: skip
    if not rows or isinstance(rule, CompleteCases):
        return None
    columns = ["covariate", "visited", "share_visited", "comparison", "share_comparison", "after"]
    return suppress_small_counts(
        Table(
            name=name,
            title="Missing covariates, before and after",
            frame=pd.DataFrame(rows, columns=columns),
            kinds={
                "covariate": "text", "visited": "count", "share_visited": "rate",
                "comparison": "count", "share_comparison": "rate", "after": "whole_number",
            },
            labels={
                "covariate": "Covariate", "visited": "Student-years", "share_visited": "Share",
                "comparison": "Student-years", "share_comparison": "Share",
                "after": "Missing after",
            },
            notes=(
                missing_rule_aloud(rule),
                "Counted are student-years of grades and years that have the covariate. Covariates "
                "that nobody lacks are not listed; shares are rounded to whole percents.",
            ),
            synthetic=sample.synthetic,
            population=question_words(sample.question),
            digits={"share_visited": 0, "share_comparison": 0},
            spanners=(
                ("Visited, missing", ("visited", "share_visited")),
                ("Comparison, missing", ("comparison", "share_comparison")),
            ),
            groups={"visited": ("share_visited",), "comparison": ("share_comparison",)},
        )
    )  # fmt: skip
