"""Fixed paragraphs of the report: what it can and cannot say, and how to read it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, assert_never

from homevisit_eval.design import (
    CompleteCases,
    MissingIndicator,
    MultipleImputation,
    StudyDesign,
)
from homevisit_eval.design.method_facts import Comparison
from homevisit_eval.effects.estimate import FEW_DF
from homevisit_eval.effects.whose import Target
from homevisit_eval.report.estimand_words import WHOSE, groups_made_alike
from homevisit_eval.report.words import cluster_words

if TYPE_CHECKING:
    from homevisit_eval.effects import Effect

__all__ = ["GLOSSARY", "SYNTHETIC_BANNER", "limitations", "of_sample"]

SYNTHETIC_BANNER = (
    "These students do not exist. The numbers show how the study works; they say nothing about "
    "any real child, school or district, and nothing about what home visits do."
)

Item = tuple[str, str]

NOT_RANDOMIZED = (
    "This is not a randomized trial.",
    "Teachers and families chose who was visited. What was recorded before the visit is adjusted "
    "for. A family's situation or wishes are not in any file; if they led both to a visit and to "
    "better (or worse) outcomes, the difference is not the effect of the visit.",
)
OF_THE_MATCHED = (
    "It speaks of the students who were matched.",
    "{whom} was found are left out. For them, and for students of other districts or years, the "
    "difference may be another one.",
)
LEFT_OUT: Mapping[Target, str] = {
    "ATT": "Visited students for whom no similar student",
    "ATC": "Comparison students for whom no similar visited student",
    "ATE": "Students for whom no similar student of the other group",
    "ATO": "Students for whom no similar student of the other group",
}
BY_WEIGHTS = (
    "It rests on weights.",
    "No student was matched. Where few students of a group are like those of the other, these "
    "few count for many. It speaks of {whom}; for students of other districts or years the "
    "difference may be another one.",
)
BY_REGRESSION = (
    "It rests on the regression alone.",
    "No student was matched. Where few comparison students are like the visited, the result "
    "depends on the form of the regression. It speaks of {whom}; for students of other districts "
    "or years the difference may be another one.",
)
FILLED_IN = (
    "Missing covariates were replaced by a constant.",
    "An indicator says where. What the covariate itself would explain is not adjusted for there, "
    "and the What Works Clearinghouse does not accept this in a quasi-experimental design.",
)
DRAWN = (
    "Missing covariates were drawn, and not from outcomes.",
    "Where a value was drawn, the results are not adjusted for what that covariate alone explains "
    "of an outcome. The more is missing, the more remains of such a difference between the groups.",
)
UNCLEAR = (
    "No clear difference is not proof of no difference.",
    "The interval says which differences the data leave possible.",
)


def of_sample(design: StudyDesign, target: Target = "ATT") -> str:
    """Return whom the result of a sample is about that nobody was matched in."""
    if isinstance(design.missing_covariates, CompleteCases):
        return f"{WHOSE[target]} with a complete baseline"
    return f"{WHOSE[target]} who could be compared"


def limitations(effects: Sequence[Effect], design: StudyDesign) -> list[Item]:
    """Return how far the results go, each as a heading and a text.

    Parameters
    ----------
    effects
        The main estimates: their matching and their clusters decide what is said.
    design
        Its eligibility says which outcomes are missing.
    """
    ways = dict.fromkeys((groups_made_alike(one), one.estimand.target) for one in effects)
    return [
        NOT_RANDOMIZED,
        *(_of_whom(made, target, design) for made, target in sorted(ways)),
        *_of_missing(design),
        *(
            _independence(cluster, several)
            for cluster, several in dict.fromkeys(
                (one.cluster, cluster_words(one)[1]) for one in effects
            )
        ),
        UNCLEAR,
        (
            "Some students were there for a part of the year.",
            "Outcomes of attendance and discipline are missing for students who were enrolled "
            f"fewer than {design.eligibility.min_days_enrolled} days in the outcome year, and test "
            f"scores for those who were not tested. {_nothing_imputed(design)}; the flow of "
            "students shows how many these are in each group. Students who left later are in with "
            "the days that they were there, so the time in which something could be recorded may "
            "differ between the groups (table F1: mean days enrolled).",
        ),
    ]


def _of_whom(made: Comparison, target: Target, design: StudyDesign) -> Item:
    """Return whom the results are about, and what they rest on."""
    match made:
        case "matched":
            head, text = OF_THE_MATCHED
            return head, text.format(whom=LEFT_OUT[target])
        case "weighted":
            head, text = BY_WEIGHTS
            return head, text.format(whom=of_sample(design, target))
        case "unmatched":
            head, text = BY_REGRESSION
            return head, text.format(whom=of_sample(design).removeprefix("the "))
        case _:
            assert_never(made)


def _of_missing(design: StudyDesign) -> list[Item]:
    match design.missing_covariates:
        case CompleteCases():
            return []
        case MissingIndicator():
            return [FILLED_IN]
        case MultipleImputation():
            return [DRAWN]
        case _:
            assert_never(design.missing_covariates)


def _nothing_imputed(design: StudyDesign) -> str:
    complete = isinstance(design.missing_covariates, CompleteCases)
    return "Nothing is imputed" if complete else "No outcome is imputed"


def _independence(cluster: str, several: str) -> Item:
    few = (
        f"With few {several} they rest on few degrees of freedom (table B1: df), and below "
        f"{FEW_DF:g} they are not to be relied on."
    )
    if cluster == "school_id":
        allows = f"The intervals allow for that by treating {several} as the independent units."
    else:
        allows = (
            f"The intervals treat {several} as the independent units and do not allow for that, so "
            "they may be too narrow."
        )
    return "Students of one school share their circumstances.", f"{allows} {few}"


GLOSSARY = (
    (
        "Visited, comparison",
        "Visited students had a completed home visit before the school year, or in the window that "
        "a table names. Comparison students are eligible students without such a visit.",
    ),
    (
        "Adjusted mean",
        "The mean of the visited students, and what the model expects of the same students had "
        "they not been visited.",
    ),
    (
        "Percentage point (pp)",
        "The unit of a difference of two percents: from 12% to 9% is 3 percentage points less.",
    ),
    (
        "Interval",
        "A range of differences that are compatible with the data. In repeated studies of this "
        "kind, about 95 of 100 such 95% intervals would contain the true difference.",
    ),
    (
        "p, p adjusted",
        "How surprising the difference would be if there were none in truth. The adjusted value "
        "takes into account that several outcomes were tested.",
    ),
    (
        "Effect size",
        "The difference in standard deviations, so that outcomes in different units "
        "can be compared.",
    ),
    (
        "Student-year",
        "One student in one school year. A student studied in two years counts twice.",
    ),
    (
        "Matched, propensity score",
        "The propensity score is the chance of being visited, judged from what was known before. "
        "A visited student is matched to a student with a similar chance who was not visited. "
        "Where students are weighted instead, some count for more than one and others for less, "
        "so that the groups are alike.",
    ),
    (
        "Baseline equivalence",
        "Whether the two groups were alike before the visit.",
    ),
    (
        "<10 and *",
        "Numbers that rest on fewer than 10 students are not shown, nor others that would give "
        "them away.",
    ),
)
