"""Matching methods read aloud, in words for readers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import assert_never

from homevisit_eval.design import (
    CardinalityMatching,
    CoarsenedExactMatching,
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
)
from homevisit_eval.design.matching_options import Score
from homevisit_eval.sample.labels import listed

__all__ = ["LINK_WORDS", "read_aloud"]

COLUMN_WORDS: Mapping[str, str] = {
    "school_year": "school year",
    "grade": "grade",
    "school_id": "school",
    "visited_prior": "record of a visit in the year before (yes / no / unknown)",
    "index_date": "day of the visit",
    "subgroup": "subgroup",
}
CHANCE = "the chance of being visited given what was known before the visit"
FOCAL: Mapping[str, tuple[str, str]] = {
    "ATT": ("visited", "comparison"),
    "ATC": ("comparison", "visited"),
}
"""Who looks for matches, and who is matched."""

LINK_WORDS: Mapping[str, str] = {
    "logit": "logit",
    "probit": "probit",
    "cloglog": "complementary log-log",
}
DISTANCE_WORDS: Mapping[str, str] = {
    "mahalanobis": "Mahalanobis distance{s}",
    "robust_mahalanobis": "Mahalanobis distance{s} of ranks",
    "scaled_euclidean": "Euclidean distance{s} of standardized values",
}
ORDER_WORDS: Mapping[str, str] = {
    "largest": "by falling score",
    "smallest": "by rising score",
    "data": "in the order of their keys",
    "random": "in a random order",
    "closest": "the closest pair first",
    "farthest": "the one with the farthest nearest match first",
}
BIN_WORDS: Mapping[str, str] = {
    "sturges": "Sturges",
    "scott": "Scott",
    "freedman_diaconis": "Freedman and Diaconis",
}
ALIKE: Mapping[str, str] = {
    "ATT": "comparison students are weighted so that each {part} counts as it does among the "
    "visited",
    "ATC": "visited students are weighted so that each {part} counts as it does among the "
    "comparison students",
    "ATE": "both groups are weighted so that each {part} counts as it does among all students",
}
PairMethod = NearestNeighbor | OptimalPairs | FullMatching


def read_aloud(method: MatchingMethod) -> str:
    """Return a matching method as one sentence, or a few, with every option that matters.

    >>> from homevisit_eval.design import NoMatching
    >>> read_aloud(NoMatching())
    'All candidates were kept; the regression alone adjusts for differences before the visit.'
    """
    match method:
        case NearestNeighbor():
            sentences = _nearest(method)
        case OptimalPairs():
            sentences = _optimal(method)
        case FullMatching():
            sentences = _full(method)
        case CoarsenedExactMatching():
            sentences = _coarsened(method)
        case ExactMatching():
            columns = listed(_columns(method.exact)) if method.exact else "values of all covariates"
            sentences = [f"Students with the same {columns} form a stratum.", *_strata(method)]
        case Subclassification():
            sentences = _subclasses(method)
        case CardinalityMatching():
            sentences = _cardinality(method)
        case InverseProbability():
            sentences = _inverse_probability(method)
        case OverlapWeights():
            sentences = [
                "Each student was weighted by the chance of being in the other group, judged from "
                f"{_model(method.factors)}, so that those with a fair chance of either count most."
            ]
        case EntropyBalancing():
            sentences = _entropy_balancing(method)
        case NoMatching():
            sentences = [
                "All candidates were kept; the regression alone adjusts for differences before "
                "the visit."
            ]
        case _:
            assert_never(method)
    return " ".join(sentences)


def _nearest(method: NearestNeighbor) -> list[str]:
    focal, other = FOCAL[method.estimand]
    number, those = f"one {other} student", "the one"
    if method.ratio > 1:
        number, those = f"up to {method.ratio} {other} students", "those"
    if method.max_ratio:
        number = (
            f"{method.min_ratio} to {method.max_ratio} {other} students, {method.ratio} on "
            "average and more where the score is low"
        )
    again = f"A {other} student may be the match of several."
    if method.max_uses != "unlimited":
        again = f"Each {other} student was used {_times(method.max_uses)} at most."
    sentences = [
        f"Each {focal} student was matched to {number}{_within(method.exact)}: {those} "
        f"{_nearness(method)}.",
        again,
    ]
    if method.max_uses_per_unit_id != "unlimited":
        times = _times(method.max_uses_per_unit_id)
        sentences.append(f"All school years of one student together were used {times} at most.")
    if method.order != "default":
        sentences.append(f"{focal.capitalize()} students chose {ORDER_WORDS[method.order]}.")
    return [*sentences, *_limits(method)]


def _times(number: int) -> str:
    return {1: "once", 2: "twice"}.get(number, f"{number} times")


def _optimal(method: OptimalPairs) -> list[str]:
    focal, other = FOCAL[method.estimand]
    number = f"one {other} student" if method.ratio == 1 else f"{method.ratio} {other} students"
    return [
        f"As many {focal} students as possible were matched, each to {number}"
        f"{_within(method.exact)}, so that the sum of {_distances(method)} is the smallest "
        "possible.",
        f"Each {other} student was used once at most.",
        *_limits(method),
    ]


def _full(method: FullMatching) -> list[str]:
    sentences = [
        f"All students{_within(method.exact)} were put into sets of one visited and one or more "
        "comparison students, or one comparison and several visited students, so that the sum "
        f"of {_distances(method)} within sets is the smallest possible."
    ]
    if method.min_ratio:
        sentences.append(f"A set has {_ratio(method.min_ratio, 'at least')}.")
    if method.max_ratio != "unlimited":
        sentences.append(f"A set has {_ratio(method.max_ratio, 'at most')}.")
    alike = ALIKE[method.estimand].format(part="set")
    return [*sentences, f"{alike[:1].upper()}{alike[1:]}.", *_limits(method)]


def _ratio(ratio: float, bound: str) -> str:
    """Return how many comparison students a set has for a visited one, or the reverse."""
    if ratio >= 1:
        return f"{bound} {round(ratio)} comparison for each visited student"
    turned = {"at least": "at most", "at most": "at least"}[bound]
    return f"{turned} {round(1 / ratio)} visited for each comparison student"


def _coarsened(method: CoarsenedExactMatching) -> list[str]:
    first = (
        "Students who fall into the same bins of all covariates form a stratum; bins are of equal "
        f"width by the rule of {BIN_WORDS[method.rule]}"
    )
    if method.coarsening:
        chosen = _columns([one.covariate for one in method.coarsening])
        first += f", except for {listed(chosen)}, whose bins were chosen"
    if method.exact:
        first += f"; {listed(_columns(method.exact))} must be equal"
    if not method.one_to_one:
        return [f"{first}.", *_strata(method)]
    focal, other = FOCAL.get(method.estimand, FOCAL["ATT"])
    return [
        f"{first}.",
        f"Within strata each {focal} student was matched to one {other} student, the nearest by "
        "Mahalanobis distance; each was used once at most, and others are left out.",
    ]


def _strata(method: CoarsenedExactMatching | ExactMatching) -> list[str]:
    alike = ALIKE[method.estimand].format(part="stratum")
    return [f"Strata without students of both groups are left out; {alike}."]


def _subclasses(method: Subclassification) -> list[str]:
    of = {
        "ATT": "of the visited",
        "ATC": "of the comparison students",
        "ATE": "of all students",
    }[method.estimand]
    by = _score_words(method)
    sentences = [
        f"Students were put into {method.subclasses} subclasses at the quantiles {of} of {by}; "
        f"{ALIKE[method.estimand].format(part='subclass')}."
    ]
    if method.min_units:
        few = f"with fewer than {method.min_units} students of a group"
        few = "without students of a group" if method.min_units == 1 else few
        sentences.append(f"A subclass {few} got the nearest ones of its neighbors.")
    return [*sentences, *_discarded(method.discard)]


def _cardinality(method: CardinalityMatching) -> list[str]:
    close = f"differs by more than {method.tolerance:g} standard deviations"
    if method.ratio:
        number = (
            "one comparison student" if method.ratio == 1 else f"{method.ratio} comparison students"
        )
        within = f", within each {listed(_columns(method.exact))} too," if method.exact else ""
        return [
            f"The largest sample was chosen that has {number} for each visited student"
            f"{within} and in which no covariate's mean {close} between the groups."
        ]
    if method.estimand == "ATE":
        return [
            "Of each group as many students as possible were chosen such that no covariate's mean "
            f"{close} from that of all students."
        ]
    focal, other = FOCAL[method.estimand]
    return [
        f"All {focal} students were kept, and as many {other} students as possible were chosen "
        f"such that no covariate's mean {close} from that of the {focal} students."
    ]


def _inverse_probability(method: InverseProbability) -> list[str]:
    words = {
        "ATT": "Comparison students were weighted by the odds of being visited, judged from {}, so "
        "that they stand for the visited.",
        "ATC": "Visited students were weighted by the odds of not being visited, judged from {}, "
        "so that they stand for the comparison students.",
        "ATE": "Each student was weighted by one over the chance of being in the own group, judged "
        "from {}, so that each group stands for all students.",
    }
    sentences = [words[method.estimand].format(_model(method.factors))]
    if method.truncate != "none":
        sentences.append(
            f"Weights above the {method.truncate:g} quantile of those of a group were set to it."
        )
    return [*sentences, *_discarded(method.discard)]


def _entropy_balancing(method: EntropyBalancing) -> list[str]:
    moments = listed(["the means", "mean squares", "mean cubes"][: method.moments])
    also = f" and the shares of {listed(_columns(method.factors))}" if method.factors else ""
    words = {
        "ATT": "Comparison students got those weights nearest to equal ones that make {} of all "
        "covariates{} equal to those of the visited.",
        "ATC": "Visited students got those weights nearest to equal ones that make {} of all "
        "covariates{} equal to those of the comparison students.",
        "ATE": "Both groups got those weights nearest to equal ones that make {} of all covariates"
        "{} equal to those of all students.",
    }
    return [words[method.estimand].format(moments, also)]


def _model(factors: Sequence[str]) -> str:
    also = f" and from {listed(_columns(factors))}" if factors else ""
    return f"what was known before the visit{also}"


def _nearness(method: PairMethod) -> str:
    """Return which students are near, as what follows "those"."""
    if method.distance == "score":
        return f"whose {_score_with_meaning(method)} was nearest"
    distance = DISTANCE_WORDS[method.distance].format(s="")
    return f"at the smallest {distance} in {_of_distance(method)}"


def _distances(method: PairMethod) -> str:
    if method.distance == "score":
        return f"distances in the {_score_with_meaning(method)}"
    return f"{DISTANCE_WORDS[method.distance].format(s='s')} in {_of_distance(method)}"


def _score_with_meaning(method: PairMethod) -> str:
    if method.score == "column":
        return _columns([method.score_column])[0]
    return f"propensity score, {CHANCE},"


def _of_distance(method: PairMethod) -> str:
    named = method.distance_covariates
    return listed(_columns(named)) if named else "all covariates"


def _score_words(method: PairMethod | Subclassification) -> str:
    score: Score = method.score
    if score == "column":
        return _columns([method.score_column])[0]
    if score == "propensity_score":
        return "the propensity score"
    return f"the {LINK_WORDS[method.link]} of the propensity score"


def _limits(method: PairMethod) -> list[str]:
    sentences = []
    if method.caliper == "none" and not method.covariate_calipers:
        sentences.append("There was no limit on how far apart two matched students may be.")
    if method.caliper != "none":
        by = _score_words(method)
        width = (
            f"{method.caliper:g} standard deviations of {by}"
            if method.caliper_units == "sd"
            else f"{method.caliper:g} in {by}"
        )
        sentences.append(f"Students further apart than {width} were not matched.")
    if method.covariate_calipers:
        widths = [
            f"{one.width:g} {'standard deviations of' if one.units == 'sd' else 'in'} "
            f"{_columns([one.covariate])[0]}"
            for one in method.covariate_calipers
        ]
        sentences.append(f"Matched students are no further apart than {listed(widths)}.")
    if method.anti_exact:
        sentences.append(f"Matched students differ in {listed(_columns(method.anti_exact))}.")
    return [*sentences, *_discarded(method.discard)]


def _discarded(discard: str) -> list[str]:
    words = {
        "treated": "Visited students outside the range of the comparison students' scores",
        "comparison": "Comparison students outside the range of the visited students' scores",
        "both": "Students outside the range of scores that both groups have",
    }
    return [f"{words[discard]} were left out first."] if discard in words else []


def _within(exact: Sequence[str]) -> str:
    return f" with the same {listed(_columns(exact))}" if exact else ""


def _columns(names: Sequence[str]) -> list[str]:
    return [COLUMN_WORDS.get(name, name.replace("_", " ")) for name in names]
