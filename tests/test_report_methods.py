"""Every method and every estimand in the words of the report."""

from __future__ import annotations

import re
from dataclasses import replace

import pandas as pd
import pytest

import fabricated
from homevisit_eval.design import (
    CardinalityMatching,
    CoarsenedExactMatching,
    Coarsening,
    CovariateCaliper,
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
    Variation,
)
from homevisit_eval.matching import Estimand, MatchedSample
from homevisit_eval.matching.band import pairs
from homevisit_eval.report import tables
from homevisit_eval.report.certificate_method import _other_targets
from homevisit_eval.report.effect_notes import effect_notes
from homevisit_eval.report.estimand_words import WHOSE_EFFECT
from homevisit_eval.report.findings import _lead
from homevisit_eval.report.method_words import read_aloud
from homevisit_eval.report.sections import AnswerParts, _marks
from homevisit_eval.report.wording import limitations
from homevisit_eval.report.words import cluster_words, impact_sentence, reader_words

CHANCE = "the chance of being visited given what was known before the visit"
TARGETS = ["ATT", "ATC", "ATE", "ATO"]

READ: list[tuple[MatchingMethod, list[str]]] = [
    (
        NearestNeighbor(exact=("grade",)),
        [
            "Each visited student was matched to one comparison student with the same grade: the "
            f"one whose propensity score, {CHANCE}, was nearest. Each comparison student was used "
            "once at most. Students further apart than 0.2 standard deviations of the logit of the "
            "propensity score were not matched."
        ],
    ),
    (
        NearestNeighbor(estimand="ATC", ratio=3, max_uses="unlimited", order="random",
                        link="probit"),
        [
            "Each comparison student was matched to up to 3 visited students: those whose",
            "A visited student may be the match of several.",
            "Comparison students chose in a random order.",
            "standard deviations of the probit of the propensity score",
        ],
    ),
    (
        NearestNeighbor(ratio=2, min_ratio=1, max_ratio=4, max_uses_per_unit_id=1),
        [
            "to 1 to 4 comparison students, 2 on average and more where the score is low: those",
            "All school years of one student together were used once at most.",
        ],
    ),
    (
        NearestNeighbor(score="column", score_column="attendance_rate_prior", max_uses=2,
                        caliper=0.1, caliper_units="raw"),
        [
            "the one whose attendance rate prior was nearest. Each comparison student was used "
            "twice at most. Students further apart than 0.1 in attendance rate prior were not",
        ],
    ),
    (
        NearestNeighbor(distance="mahalanobis", caliper="none", anti_exact=("school_id",),
                        covariate_calipers=(CovariateCaliper("age_for_grade", 1.0, "raw"),),
                        max_uses=3),
        [
            "the one at the smallest Mahalanobis distance in all covariates.",
            "used 3 times at most. Matched students are no further apart than 1 in age for grade. "
            "Matched students differ in school.",
        ],
    ),
    (
        OptimalPairs(),
        [
            "As many visited students as possible were matched, each to one comparison student, so "
            f"that the sum of distances in the propensity score, {CHANCE}, is the smallest "
            "possible.",
            "There was no limit on how far apart two matched students may be.",
        ],
    ),
    (
        OptimalPairs(estimand="ATC", ratio=2, distance="scaled_euclidean",
                     distance_covariates=("female", "age_for_grade"), discard="both"),
        [
            "As many comparison students as possible were matched, each to 2 visited students, so "
            "that the sum of Euclidean distances of standardized values in female and age for "
            "grade is the smallest possible.",
            "Students outside the range of scores that both groups have were left out first.",
        ],
    ),
    (
        FullMatching(estimand="ATE", min_ratio=1 / 3, max_ratio=4.0),
        [
            "All students were put into sets of one visited and one or more comparison students, "
            "or one comparison and several visited students",
            "A set has at most 3 visited for each comparison student. A set has at most 4 "
            "comparison for each visited student. Both groups are weighted so that each set counts "
            "as it does among all students.",
        ],
    ),
    (
        CoarsenedExactMatching(coarsening=(Coarsening("attendance_rate_prior", bins=3),),
                               exact=("grade",), rule="scott"),
        [
            "bins are of equal width by the rule of Scott, except for attendance rate prior, whose "
            "bins were chosen; grade must be equal. Strata without students of both groups are "
            "left out; comparison students are weighted so that each stratum counts as it does "
            "among the visited.",
        ],
    ),
    (
        CoarsenedExactMatching(one_to_one=True, estimand="ATC"),
        ["Within strata each comparison student was matched to one visited student, the nearest"],
    ),
    (ExactMatching(), ["Students with the same values of all covariates form a stratum."]),
    (
        ExactMatching(exact=("grade", "school_id"), estimand="ATC"),
        ["Students with the same grade and school form a stratum.", "visited students are"],
    ),
    (
        Subclassification(subclasses=8, min_units=3, estimand="ATE"),
        [
            "put into 8 subclasses at the quantiles of all students of the logit of the propensity "
            "score; both groups are weighted so that each subclass counts as it does among all",
            "A subclass with fewer than 3 students of a group got the nearest ones",
        ],
    ),
    (
        CardinalityMatching(ratio=2, tolerance=0.1, exact=("grade",)),
        [
            "The largest sample was chosen that has 2 comparison students for each visited "
            "student, within each grade too, and in which no covariate's mean differs by more "
            "than 0.1 standard deviations between the groups.",
        ],
    ),
    (
        CardinalityMatching(ratio=0),
        [
            "All visited students were kept, and as many comparison students as possible were "
            "chosen such that no covariate's mean differs by more than 0.05 standard deviations "
            "from that of the visited students.",
        ],
    ),
    (
        CardinalityMatching(ratio=0, estimand="ATE"),
        ["Of each group as many students as possible", "from that of all students."],
    ),
    (
        InverseProbability(truncate=0.99, factors=("school_id",), discard="treated"),
        [
            "Comparison students were weighted by the odds of being visited, judged from what was "
            "known before the visit and from school, so that they stand for the visited. Weights "
            "above the 0.99 quantile of those of a group were set to it. Visited students outside "
            "the range of the comparison students' scores were left out first.",
        ],
    ),
    (InverseProbability(estimand="ATC"), ["Visited students were weighted by the odds of not"]),
    (InverseProbability(estimand="ATE"), ["weighted by one over the chance of being in the own"]),
    (OverlapWeights(), ["Each student was weighted by the chance of being in the other group"]),
    (
        EntropyBalancing(moments=3, factors=("grade",)),
        [
            "Comparison students got those weights nearest to equal ones that make the means, mean "
            "squares and mean cubes of all covariates and the shares of grade equal to those of "
            "the visited.",
        ],
    ),
    (NoMatching(), ["All candidates were kept"]),
]  # fmt: skip


@pytest.mark.parametrize(("method", "parts"), READ, ids=lambda value: repr(value)[:60])
def test_a_method_is_read_aloud(method, parts):
    said = read_aloud(method)
    for part in parts:
        assert part in said
    assert said.endswith(".")
    assert "  " not in said
    assert not re.search(r"\b(treated|units?|none|ATT|ATC|ATE)\b|_|\{", said)


def test_every_method_is_read_here():
    assert {type(method) for method, _ in READ} == set(MatchingMethod.__args__)


def matched_by(method: MatchingMethod, target: str, **changes: object) -> MatchedSample:
    matched = fabricated.matched_sample()
    matches = replace(matched.matches, method=method, estimand=Estimand(target), **changes)
    return MatchedSample(matched.sample, matches)


def specification(matched: MatchedSample) -> dict[str, str]:
    frame = tables.matching_specification(matched).frame
    return dict(zip(frame["item"], frame["specification"], strict=True))


@pytest.mark.parametrize("target", TARGETS)
def test_whose_effect_is_told(target):
    items = specification(matched_by(OverlapWeights(), target))
    assert items["Whose effect"] == f"{target} ({target}: {WHOSE_EFFECT[target]})"
    assert ("on the visited" in items["Whose effect"]) == (target == "ATT")


@pytest.mark.parametrize(
    ("method", "audit", "expected"),
    [
        (
            OptimalPairs(),
            {"order_rule": "none", "mean_distance": 0.1, "largest_distance": 0.2,
             "total_distance": 4.0, "optimal_total_distance": 4.0},
            {"Distance of matched pairs": "mean 0.1000, largest 0.2000",
             "Sum of distances": "4.0000", "Smallest sum of distances possible": "4.0000"},
        ),
        (
            CoarsenedExactMatching(),
            {"exact_strata": 40, "exact_strata_with_both_groups": 31},
            {"Cells of what must be equal": "40, of which 31 with both groups"},
        ),
        (
            NearestNeighbor(estimand="ATC", exact=("grade",)),
            {"exact_strata": 5, "exact_strata_without_match": 1},
            {"Cells of what must be equal": "5, of which 1 without visited students"},
        ),
        (
            CardinalityMatching(),
            {"chosen": 200, "solver_gap": 0.0},
            {"That the sample is the largest": "proved"},
        ),
        (
            CardinalityMatching(),
            {"chosen": 200, "solver_gap": 0.0123},
            {"That the sample is the largest":
             "a sample larger by up to 1.2% was not ruled out"},
        ),
        (
            EntropyBalancing(),
            {"largest_difference_left": 0.00004, "iterations": 7},
            {"Largest difference of means left, in standard deviations": "0.0000"},
        ),
        (NoMatching(), {"rows": 9}, {}),
    ],
)  # fmt: skip
def test_what_a_run_says_of_itself_stands_with_its_method(method, audit, expected):
    target = getattr(method, "estimand", "ATT")
    items = specification(matched_by(method, target, audit=audit, propensity=()))
    told = {
        "Order of matching", "Distance of matched pairs", "Sum of distances",
        "Smallest sum of distances possible", "Student-years with an equal score",
        "Cells of what must be equal", "That the sample is the largest",
        "Largest difference of means left, in standard deviations",
        "Student-years without a counterpart",
    }  # fmt: skip
    assert {name: items[name] for name in told & set(items) - {"Order of matching"}} == expected
    assert ("Order of matching" in items) == ("mean_distance" in audit)


def test_the_link_of_the_propensity_model_is_told():
    model = replace(fabricated.matched_sample().matches.propensity[0], link="cloglog")
    items = specification(matched_by(NearestNeighbor(), "ATT", propensity=(model,)))
    assert items["Propensity model, grades 1 to 2"].startswith("complementary log-log, ")


def effect_of(method: MatchingMethod, target: str):
    return fabricated.effect(method=method, estimand=Estimand(target))


@pytest.mark.parametrize(
    ("method", "group"),
    [
        (FullMatching(), "matched comparison students"),
        (CardinalityMatching(), "matched comparison students"),
        (OverlapWeights(), "weighted comparison students"),
        (EntropyBalancing(), "weighted comparison students"),
    ],
)
def test_comparison_students_are_matched_or_weighted(method, group):
    effect = effect_of(method, "ATT")
    assert group in impact_sentence(effect)
    assert tables.impacts([effect]).title == f"Visited students and {group}"


def test_of_mixed_ways_the_title_names_none():
    both = [effect_of(OverlapWeights(), "ATO"), effect_of(FullMatching(), "ATT")]
    assert tables.impacts(both).title == "Visited students and comparison students"


def test_the_lead_says_what_was_done_and_for_whom():
    def lead(method: MatchingMethod, target: str) -> str:
        return _lead([effect_of(method, target)], [False])

    matched = lead(FullMatching(), "ATT")
    assert matched.startswith("Visited students are compared with similar students who were not")
    assert "What is estimated" not in matched
    weighted = lead(InverseProbability(estimand="ATE"), "ATE")
    assert "with students who were not visited before that school year, weighted so" in weighted
    assert "the difference that a visit makes for all students." in weighted
    assert "a visit makes for the comparison students." in lead(FullMatching(), "ATC")


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("method", [FullMatching(), OverlapWeights()], ids=["matched", "weighted"])
def test_limits_speak_of_those_whom_the_estimand_is_about(method, target):
    items = dict(limitations([effect_of(method, target)], fabricated.DESIGN))
    if isinstance(method, FullMatching):
        text = items["It speaks of the students who were matched."]
        who = {"ATT": "Visited students for", "ATC": "Comparison students for"}
        assert text.startswith(who.get(target, "Students for"))
    else:
        text = items["It rests on weights."]
        who = {"ATT": "the visited students", "ATC": "the comparison students"}
        if target in who:
            assert f"It speaks of {who[target]} with a complete baseline;" in text
        assert ("visited" in text) == (target == "ATT")


def test_tables_say_whom_the_visited_stand_for():
    def notes(table) -> str:
        return " ".join(table.notes)

    usual, other = effect_of(FullMatching(), "ATT"), effect_of(FullMatching(), "ATE")
    assert "Visited: mean of the visited students. Comparison: that mean" in notes(
        tables.impacts([usual])
    )
    assert "mean of the visited students, weighted to stand for all students." in notes(
        tables.impacts([other])
    )
    grid = tables.sensitivity_grid([usual], [replace(other, sensitivity="Everybody")])
    assert f"ATT: {WHOSE_EFFECT['ATT']}; ATE: {WHOSE_EFFECT['ATE']}." in notes(grid)
    assert grid.labels["estimate_interacted"] == "Average effect by interacted regression"
    full = tables.full_estimates([other])
    assert full.labels["estimate_interacted"] == "ATE by interacted regression"


def test_sets_are_called_pairs_only_where_they_are():
    def words(method: MatchingMethod) -> str:
        return cluster_words(replace(effect_of(method, "ATT"), cluster="matched_set"))[1]

    assert words(NearestNeighbor()) == words(OptimalPairs()) == "matched pairs"
    assert words(CoarsenedExactMatching(one_to_one=True)) == "matched pairs"
    for method in (NearestNeighbor(ratio=2), FullMatching(), Subclassification()):
        assert words(method) == "matched sets"
    assert cluster_words(effect_of(FullMatching(), "ATT")) == ("school", "schools")


def test_notes_of_weighted_students_do_not_call_them_matched():
    note = "Attendance rate is not observed for 20 of 400 (5.0 %) matched visited and <10 of 700"
    for method, words in ((FullMatching(), "matched visited"), (OverlapWeights(), ") visited")):
        effect = replace(effect_of(method, "ATE"), notes=(note,))
        assert words in effect_notes(effect)[0]


def test_the_flow_shows_who_is_lost_by_group():
    matched = fabricated.matched_sample(per_cell=40)
    baseline = matched.sample.baseline
    rows = [
        *baseline.index[baseline["visited"] == 1][:30],
        *baseline.index[baseline["visited"] == 0][:20],
    ]
    weights = matched.matches.weights.where(~matched.matches.weights.index.isin(rows), 0.0)
    reasons = ["no comparison unit in the band"] * 30 + ["no treated unit in the band"] * 20
    lost = pd.DataFrame({"row": rows, "reason": reasons})
    changes = {"weights": weights, "unmatched": lost}
    weighted = matched_by(InverseProbability(estimand="ATE"), "ATE", **changes)
    weighted = MatchedSample(matched.sample, replace(weighted.matches, **changes))
    frame = tables.sample_flow(weighted).frame
    without = frame[frame["name"] == "without_match"].set_index("label")
    assert without.index.tolist() == [
        "– Without a weight: no comparison student in these grades",
        "– Without a weight: no visited student in these grades",
    ]
    assert without["visited"].tolist() == [30, 0]
    assert without["comparison"].tolist() == [0, 20]
    kept = frame[frame["name"] == "matched"].iloc[0]
    assert kept["label"] == "Weighted"
    assert (kept["visited"], kept["comparison"]) == (weighted.n_visited, weighted.n_comparison)


def test_reasons_are_in_words_for_readers():
    reasons = [
        "no comparison unit in the band",
        "no comparison unit in the stratum",
        "comparison units of the stratum used up",
        "no treated unit in the subclass",
        "no comparison unit that it may be matched with",
        "not in the largest balanced sample",
        "discarded: score outside the range of the treated units",
        "no comparison unit is like it: its covariates predict treatment with certainty",
    ]
    for estimand in ("ATT", "ATC"):
        for options in (
            {}, {"exact": ("grade",), "caliper": "none"}, {"anti_exact": ("grade",)},
            {"covariate_calipers": (CovariateCaliper("female", 0.5),)},
        ):  # fmt: skip
            method = NearestNeighbor(estimand=estimand, **options)
            reasons += pairs._reason_texts(method).values()
    words = {reason: reader_words(reason, fabricated.DESIGN) for reason in reasons}
    assert words["comparison units within the caliper used up"] == (
        "all comparison students within the caliper already matched"
    )
    assert words["treated units within the caliper used up"] == (
        "all visited students within the caliper already matched"
    )
    assert words["no comparison unit in the exact stratum"] == (
        "no comparison student among those who share what must be equal"
    )
    for text in words.values():
        for jargon in ("unit", "treat", "stratum", "used up", "in the band", " its "):
            assert jargon not in text, text
    same = reader_words("no comparison unit has the same race_ethnicity", fabricated.DESIGN)
    assert same == "no comparison student has the same race or ethnicity"


@pytest.mark.parametrize(
    ("method", "words"),
    [
        (FullMatching(), "after matching."),
        (OverlapWeights(), "after weighting."),
    ],
)
def test_figures_are_explained_by_what_was_done(method, words):
    class Answer:
        matched = matched_by(method, "ATE")

    parts = AnswerParts.__new__(AnswerParts)
    object.__setattr__(parts, "answer", Answer)
    assert _marks(parts).endswith(words)


def test_a_certificate_says_which_truth_other_estimands_have():
    class Certificate:
        design = fabricated.DESIGN

    assert _other_targets(Certificate) == ""
    weighted = Variation("overlap", "Overlap weights", matching=OverlapWeights())
    Certificate.design = replace(fabricated.DESIGN, sensitivity=(weighted,))
    said = _other_targets(Certificate)
    assert f"For a design that is for {WHOSE_EFFECT['ATO']}, (b) is that effect;" in said
