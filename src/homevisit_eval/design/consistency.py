"""What the tables of a design must agree on: names, columns, and methods that fit together.

These checks read plain tables, so that they also run over the readable part of a file of which
another part is at fault. `None` stands for what is absent or unreadable, and is never a fault.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from homevisit_eval.design.measures import (
    BASELINE_COLUMNS,
    CONTINUOUS_BASELINE_COLUMNS,
    COUNTED_BY_DAY,
    OUTCOME_SCALES,
    STRATUM_COLUMNS,
    TEACHER_BASELINE_COLUMNS,
    TEST_SCORES,
    measured_name,
)
from homevisit_eval.design.wording import Fault, Path, nearest, shown

__all__ = ["APART", "as_tables", "inconsistencies"]

FOLLOWING_WINDOWS = (
    ("before_year", "fall"),
    ("before_year", "spring"),
    ("before_year", "during_year"),
    ("fall", "spring"),
)
"""Windows of which the first ends before the second begins."""

Tables = Mapping[str, Any]

APART: Mapping[str, bool] = {"apart": True}
"""Of a field whose value is a design of its own, and stands in another file."""

WITHOUT_SETS = (
    "cardinality",
    "inverse_probability",
    "overlap_weights",
    "entropy_balancing",
    "no_matching",
)
"""Methods that make no matched sets, whatever their options."""

WITHOUT_EXACT = (
    "subclassification",
    "inverse_probability",
    "overlap_weights",
    "entropy_balancing",
    "no_matching",
)
"""Methods without exact columns."""


def as_tables(value: Any) -> Any:
    """Return a design value as plain tables, lists and values, defaults included.

    What is not given (`None`) is left out, and what stands apart; the order is that of the fields.
    """
    if dataclasses.is_dataclass(value):
        fields = [one for one in dataclasses.fields(value) if not one.metadata.get("apart")]
        pairs = ((field.name, getattr(value, field.name)) for field in fields)
        return {name: as_tables(part) for name, part in pairs if part is not None}
    return [as_tables(part) for part in value] if isinstance(value, tuple) else value


def inconsistencies(tables: Tables) -> list[Fault]:
    """Return every place where the tables of a design disagree.

    Parameters
    ----------
    tables
        A design as plain tables, whose values have the right types or are `None`.
    """
    checks: tuple[Callable[[Tables], Iterator[Fault]], ...] = (
        _repeated_names,
        _unknown_covariates,
        _unknown_outcomes,
        _unlisted_outcomes,
        _unlisted_contrasts,
        _unlisted_variations,
        _unknown_strata,
        _models_without_their_matching,
        _schools_without_pairs,
    )
    return [fault for check in checks for fault in check(tables)]


def _entries(tables: Tables, kind: str) -> Iterator[tuple[int, Tables]]:
    for position, entry in enumerate(tables.get(kind) or ()):
        if entry is not None:
            yield position, entry


def _not_allowed(path: Path, name: Any, choices: tuple[str, ...], what: str) -> Iterator[Fault]:
    if name is not None and name not in choices:
        close = nearest(name, choices)
        yield Fault(path, f"{shown(name)} is not {what}.{close} Allowed: {', '.join(choices)}.")


def _repeated_names(tables: Tables) -> Iterator[Fault]:
    for kind in ("covariates", "outcomes", "questions", "sensitivity", "timing_contrasts"):
        first: dict[str, int] = {}
        for position, entry in _entries(tables, kind):
            name = entry.get("name")
            if name is None:
                continue
            if name in first:
                what = f"{shown(name)} is already the name of {kind}[{first[name]}]; keep one."
                yield Fault((kind, position, "name"), what)
            first.setdefault(name, position)


def _unknown_covariates(tables: Tables) -> Iterator[Fault]:
    for position, covariate in _entries(tables, "covariates"):
        name = covariate.get("name")
        path: Path = ("covariates", position, "name")
        yield from _not_allowed(path, name, BASELINE_COLUMNS, "a baseline column")
        squarable = name in (*CONTINUOUS_BASELINE_COLUMNS, *TEACHER_BASELINE_COLUMNS)
        if covariate.get("squared") and name in BASELINE_COLUMNS and not squarable:
            what = f"must be false: {name} is not a quantity, so its square adds nothing."
            yield Fault(("covariates", position, "squared"), what)


def _unknown_outcomes(tables: Tables) -> Iterator[Fault]:
    for position, outcome in _entries(tables, "outcomes"):
        name, scale = outcome.get("name"), outcome.get("scale")
        path: Path = ("outcomes", position)
        known = tuple(OUTCOME_SCALES)
        name = measured_name(name)[0] if name else name
        yield from _not_allowed((*path, "name"), name, known, "a measure of a student-year")
        baseline = outcome.get("baseline")
        what = "a baseline column"
        yield from _not_allowed((*path, "baseline"), baseline, BASELINE_COLUMNS, what)
        scales = OUTCOME_SCALES.get(name) if name is not None else None
        if scales and scale is not None and scale not in scales:
            fitting = " or ".join(map(shown, scales))
            yield Fault((*path, "scale"), f"must be {fitting} for {name}; it is {shown(scale)}.")


def _unlisted_outcomes(tables: Tables) -> Iterator[Fault]:
    outcomes = tables.get("outcomes")
    if outcomes is None or any(outcome is None for outcome in outcomes):
        return
    listed = tuple(outcome.get("name") for outcome in outcomes)
    if None in listed:
        return
    for position, question in _entries(tables, "questions"):
        for place, name in enumerate(question.get("outcomes") or ()):
            path: Path = ("questions", position, "outcomes", place)
            yield from _not_allowed(path, name, listed, "the name of one of [[outcomes]]")


def _unlisted_variations(tables: Tables) -> Iterator[Fault]:
    questions = {one.get("name"): one for _, one in _entries(tables, "questions")}
    known = tuple(name for name in questions if name)
    for position, variation in _entries(tables, "sensitivity"):
        named = variation.get("questions") or ()
        for place, name in enumerate(named):
            path: Path = ("sensitivity", position, "questions", place)
            yield from _not_allowed(path, name, known, "the name of one of [[questions]]")
        windows = [(questions.get(name) or {}).get("window", "before_year") for name in named]
        timed = ("fall", "spring", "during_year")
        if variation.get("lag_days") and not (named and set(windows) <= set(timed)):
            what = (
                "needs `questions` with windows during the year: before the year there is no lag. "
                "Name them."
            )
            yield Fault(("sensitivity", position, "lag_days"), what)
        varied = [one for one in questions.values() if one and _varies(variation, one)]
        names = {name for one in varied for name in one.get("outcomes") or ()}
        measures = {measured_name(name)[0] for name in names if name}
        if variation.get("later_visits") == "none" and not measures <= set(COUNTED_BY_DAY):
            what = (
                "is 'none', which needs questions whose outcomes are all counted by the day "
                f"({', '.join(COUNTED_BY_DAY)}); name such in `questions`, or take "
                "later_visits = 'natural_course'."
            )
            yield Fault(("sensitivity", position, "later_visits"), what)
        unscored = varied and None not in names and not measures & set(TEST_SCORES)
        if variation.get("grades_without_pretest") and unscored:
            what = (
                f"needs a question about test scores ({', '.join(TEST_SCORES)}), and it varies "
                "none; name such in `questions`."
            )
            yield Fault(("sensitivity", position, "grades_without_pretest"), what)


def _unlisted_contrasts(tables: Tables) -> Iterator[Fault]:
    questions = {one.get("name"): one for _, one in _entries(tables, "questions")}
    outcomes = tuple(one["name"] for _, one in _entries(tables, "outcomes") if one.get("name"))
    for position, contrast in _entries(tables, "timing_contrasts"):
        path: Path = ("timing_contrasts", position)
        for side in ("earlier", "later"):
            name = contrast.get(side)
            known = tuple(name for name in questions if name)
            yield from _not_allowed((*path, side), name, known, "the name of one of [[questions]]")
        for place, name in enumerate(contrast.get("outcomes") or ()):
            at: Path = (*path, "outcomes", place)
            yield from _not_allowed(at, name, outcomes, "the name of one of [[outcomes]]")
            if name in outcomes and name not in COUNTED_BY_DAY:
                what = f"{shown(name)} is not counted by the day; allowed: "
                yield Fault(at, f"{what}{', '.join(COUNTED_BY_DAY)}.")
        sides = [questions.get(contrast.get(side)) for side in ("earlier", "later")]
        windows = [(one or {}).get("window", "before_year") for one in sides]
        if None not in sides and tuple(windows) not in FOLLOWING_WINDOWS:
            what = (
                f"({shown(contrast.get('name'))}) compares the windows {windows[0]!r} and "
                f"{windows[1]!r}, of which the first must end before the second begins: "
                "before_year, fall, spring, in this order."
            )
            yield Fault(path, what)


def _unknown_strata(tables: Tables) -> Iterator[Fault]:
    named = [entry for _, entry in _entries(tables, "covariates")]
    everywhere = [entry.get("name") for entry in named if not entry.get("where_measured")]
    covariates = tuple(name for name in everywhere if name is not None)
    both = STRATUM_COLUMNS + covariates
    for path, owner in _owners(tables):
        for table, key, choices, what in (
            ("matching", "exact", both, "a column to match exactly on"),
            ("matching", "anti_exact", both, "a column in which pairs may have to differ"),
            ("matching", "factors", both, "a column to enter as categories"),
            ("matching", "distance_covariates", covariates, "a covariate measured in every grade"),
            ("model", "absorb", STRATUM_COLUMNS, "a column to absorb"),
        ):
            for place, name in enumerate((owner.get(table) or {}).get(key) or ()):
                yield from _not_allowed((*path, table, key, place), name, choices, what)
        for key in ("covariate_calipers", "coarsening"):
            for place, entry in enumerate((owner.get("matching") or {}).get(key) or ()):
                name = (entry or {}).get("covariate")
                what = "a covariate measured in every grade"
                at: Path = (*path, "matching", key, place, "covariate")
                yield from _not_allowed(at, name, covariates, what)
        column = (owner.get("matching") or {}).get("score_column")
        if column:
            what = "a covariate measured in every grade"
            yield from _not_allowed((*path, "matching", "score_column"), column, covariates, what)


def _owners(tables: Tables) -> Iterator[tuple[Path, Tables]]:
    """Yield every table that may hold a `matching` and a `model`."""
    yield (), tables
    for kind in ("questions", "sensitivity"):
        for position, entry in _entries(tables, kind):
            yield (kind, position), entry


def _models_without_their_matching(tables: Tables) -> Iterator[Fault]:
    questions = [question for _, question in _entries(tables, "questions")]
    for path, owner in _owners(tables):
        varied = [question for question in questions if _varies(owner, question)]
        if not path:
            recipes: list[tuple[Tables, ...]] = [(tables,)]
        elif owner.get("matching") is None and owner.get("model") is None:
            continue
        elif path[0] == "questions":
            recipes = [(owner, tables)]
        else:
            recipes = [(owner, question, tables) for question in varied]
        without = [words for recipe in recipes if (words := _method_without_sets(recipe))]
        if without:
            what = (
                f"clusters errors by 'matched_set', which {without[0]} does not make; choose "
                "cluster 'school_id', or a method that makes sets, such as 'nearest_neighbor' "
                "with max_uses = 1, 'optimal_pairs' or 'full_matching'."
            )
            yield Fault((*path, "model"), what)
        unfit = [words for recipe in recipes if (words := _method_without_reuse(recipe))]
        if unfit:
            what = (
                "'abadie_imbens' is for matching with replacement: method 'nearest_neighbor' with "
                f"max_uses = 'unlimited', not {unfit[0]}. Choose that, or model 'fixed_effects'."
            )
            yield Fault((*path, "model"), what)


def _schools_without_pairs(tables: Tables) -> Iterator[Fault]:
    questions = list(_entries(tables, "questions"))
    asked: list[tuple[Path, tuple[Tables, ...]]] = [
        (("questions", position), (entry, tables)) for position, entry in questions
    ]
    asked += [
        (("sensitivity", position), (entry, question, tables))
        for position, entry in _entries(tables, "sensitivity")
        if entry.get("matching") is not None or entry.get("comparison_schools") is not None
        for _, question in questions
        if _varies(entry, question)
    ]
    refused: set[Path] = set()
    for path, recipe in asked:
        schools = next((one for table in recipe if (one := table.get("comparison_schools"))), None)
        words = _method_without_exact(_first(recipe, "matching"))
        if schools == "same_school" and words and path not in refused:
            refused.add(path)
            what = (
                f"is 'same_school', which needs pairs or strata within a school, but {words} "
                "makes none; choose another pool of schools, or a method with exact columns, such "
                "as 'nearest_neighbor'."
            )
            yield Fault((*path, "comparison_schools"), what)


def _varies(variation: Tables, question: Tables) -> bool:
    """Return whether an entry of [[sensitivity]] varies a question."""
    named = variation.get("questions")
    return question.get("name") in named if named else question.get("role") == "primary"


def _first(recipe: tuple[Tables, ...], key: str) -> Tables:
    """Return the table of that name in the first part of a recipe that has one."""
    return next((table[key] for table in recipe if table.get(key)), {})


def _method_without_sets(recipe: tuple[Tables, ...]) -> str:
    """Return the words for the method of a recipe that clusters by sets and makes none, or ""."""
    matching, model = _first(recipe, "matching"), _first(recipe, "model")
    method, max_uses = matching.get("method"), matching.get("max_uses", 1)
    cluster = model.get("cluster") or ""
    if "matched_set" not in cluster or method is None:
        return ""
    if method == "nearest_neighbor" and max_uses not in (1, None):
        if cluster == "student_id+matched_set":
            return ""
        return f"method 'nearest_neighbor' with max_uses = {shown(max_uses)}"
    return f"method {shown(method)}" if method in WITHOUT_SETS else ""


def _method_without_reuse(recipe: tuple[Tables, ...]) -> str:
    """Return the words for the method of a recipe whose model needs replacement, or ""."""
    matching, model = _first(recipe, "matching"), _first(recipe, "model")
    method, max_uses = matching.get("method"), matching.get("max_uses", 1)
    if model.get("model") != "abadie_imbens" or method is None:
        return ""
    if method == "nearest_neighbor":
        return f"max_uses = {shown(max_uses)}" if max_uses == 1 else ""
    return f"method {shown(method)}"


def _method_without_exact(matching: Tables) -> str:
    """Return the words for a method that has no exact columns, or ""."""
    method = matching.get("method")
    if method == "cardinality" and matching.get("ratio") == 0:
        return "method 'cardinality' with ratio = 0"
    return f"method {shown(method)}" if method in WITHOUT_EXACT else ""
