"""In what a design differs from the registered one, and which questions that touches."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import tomli_w

from homevisit_eval.design import (
    Covariate,
    Deviation,
    NearestNeighbor,
    OptimalPairs,
    Question,
    StudyDesign,
    compare_designs,
    design_checksum,
    design_text,
    read_design,
)
from homevisit_eval.design.consistency import as_tables
from homevisit_eval.design.design_file import REGISTERED_FILE, parse_design
from homevisit_eval.design.deviations import contrast_role, variation_label, why_exploratory
from homevisit_eval.design.measures import TEST_SCORES
from homevisit_eval.errors import DesignError

ROOT = Path(__file__).resolve().parent.parent
TEXT = (ROOT / "study.toml").read_text(encoding="utf-8")
STUDY = parse_design(TEXT)


def used(**changes: Any) -> StudyDesign:
    """Return the study with changes, beside the registered one."""
    return replace(STUDY, registered=STUDY, **changes)


def with_question(name: str, **changes: Any) -> StudyDesign:
    return used(
        questions=tuple(
            replace(one, **changes) if one.name == name else one for one in STUDY.questions
        )
    )


def with_entry(kind: str, name: str, **changes: Any) -> StudyDesign:
    entries = getattr(STUDY, kind)
    return used(
        **{kind: tuple(replace(one, **changes) if one.name == name else one for one in entries)}
    )


def deviations(design: StudyDesign) -> tuple[Deviation, ...]:
    return compare_designs(STUDY, design)


def exploratory(design: StudyDesign) -> set[str]:
    return {one.name for one in design.questions if why_exploratory(design, one)}


# What is a deviation ------------------------------------------------------------------------------


def test_comments_layout_and_order_are_no_deviation() -> None:
    bare = parse_design(design_text(STUDY))
    assert deviations(bare) == ()
    turned = used(
        covariates=STUDY.covariates[::-1],
        questions=STUDY.questions[::-1],
        outcomes=STUDY.outcomes[::-1],
        school_years=STUDY.school_years[::-1],
        matching=replace(STUDY.matching, exact=("visited_prior", "grade", "school_year")),
    )
    assert design_checksum(turned) != design_checksum(STUDY)
    assert deviations(turned) == ()
    assert exploratory(turned) == set()


def test_a_place_is_said_as_in_the_file_with_both_values() -> None:
    (found,) = deviations(with_question("year_behavior", comparison_schools="any"))
    assert found == Deviation(
        place="questions.year_behavior.comparison_schools",
        registered="same_school",
        used="any",
        change="changed",
        editorial=False,
        touches=("questions.year_behavior", "timing_contrasts.summer_or_later"),
    )


@pytest.mark.parametrize(
    ("changes", "place", "registered", "used_words", "change"),
    [
        ({"covariates": STUDY.covariates[1:]}, "covariates.attendance_rate_prior",
         "Attendance rate, year before", "", "removed"),
        ({"covariates": (*STUDY.covariates, Covariate("chronic_absence_prior", "Chronic"))},
         "covariates.chronic_absence_prior", "", "Chronic", "added"),
        ({"grades": (1, 2, 3, 4)}, "grades", "1, 2, 3, 4, 5", "1, 2, 3, 4", "changed"),
        ({"sensitivity": STUDY.sensitivity[1:]}, "sensitivity.never_visited",
         STUDY.sensitivity[0].label, "", "removed"),
        ({"confidence_level": 0.9}, "confidence_level", "0.95", "0.9", "changed"),
    ],
)  # fmt: skip
def test_what_is_added_removed_and_changed(
    changes: dict[str, Any], place: str, registered: str, used_words: str, change: str
) -> None:
    (found,) = deviations(used(**changes))
    assert (found.place, found.registered, found.used, found.change) == (
        place, registered, used_words, change,
    )  # fmt: skip


def test_another_method_is_one_deviation_and_another_option_too() -> None:
    exact = ("school_year", "grade", "visited_prior")
    (method,) = deviations(used(matching=OptimalPairs(exact=exact)))
    assert method.place == "matching"
    assert method.registered.startswith("method = nearest_neighbor, ")
    assert method.used.startswith("method = optimal_pairs, ")
    (option,) = deviations(used(matching=replace(STUDY.matching, caliper=0.25)))
    assert (option.place, option.registered, option.used) == ("matching.caliper", "0.2", "0.25")


def test_words_are_editorial_and_touch_nothing() -> None:
    design = replace(
        with_question("summer_behavior", label="Something else"),
        title="Another title",
        version="2",
    )
    found = deviations(design)
    assert {one.place for one in found} == {"title", "version", "questions.summer_behavior.label"}
    assert all(one.editorial and one.touches == () for one in found)
    assert exploratory(design) == set()


def test_the_same_matching_given_by_the_question_itself_is_none() -> None:
    assert deviations(with_question("summer_behavior", matching=STUDY.matching)) == ()
    other = NearestNeighbor(exact=("school_year", "grade", "visited_prior"), caliper=0.1)
    (found,) = deviations(with_question("summer_behavior", matching=other))
    assert found.place == "questions.summer_behavior.matching.caliper"
    # the design's matching changes, and the question keeps the registered one by naming it
    kept = replace(with_question("summer_behavior", matching=STUDY.matching), matching=other)
    assert "summer_behavior" not in exploratory(kept)
    assert "summer_achievement" in exploratory(kept)


def leaves(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    if isinstance(value, dict):
        return [leaf for key, one in value.items() for leaf in leaves(one, (*path, key))]
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return [leaf for at in (0, 3) if at < len(value) for leaf in leaves(value[at], (*path, at))]
    return [path]


def other_value(value: Any) -> Any:
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value + 1 if isinstance(value, int) else value * 0.9
    if isinstance(value, list):
        return value[:-1]
    return f"{value} and more"


def test_every_single_change_of_the_file_is_found_at_its_place() -> None:
    """Change one value after another: whatever is still a design has that one deviation.

    Of each list two entries are changed, so four questions and variations are enough.
    """
    study = replace(STUDY, questions=STUDY.questions[:4], sensitivity=STUDY.sensitivity[:4])
    tables = as_tables(study)
    found = 0
    for path in leaves(tables):
        if path[-1] in ("name", "format"):
            continue
        changed = copy.deepcopy(tables)
        around = changed
        for part in path[:-1]:
            around = around[part]
        if around[path[-1]] == []:
            continue
        around[path[-1]] = other_value(around[path[-1]])
        try:
            design = parse_design(tomli_w.dumps(changed))
        except DesignError:
            continue
        named = [tables[path[0]][part]["name"] if isinstance(part, int) else part for part in path]
        assert [one.place for one in compare_designs(study, design)] == [".".join(named)]
        found += 1
    assert found > 40


# Which questions it touches -----------------------------------------------------------------------


def recipe(design: StudyDesign, question: Question) -> tuple[Any, ...]:
    """Return all that makes the answer to a question, names of entries and order left aside."""
    own = replace(
        question,
        label="x",
        outcomes=tuple(sorted(question.outcomes)),
        matching=question.matching or design.matching,
        model=question.model or design.model,
    )
    measured = {replace(design.outcome(name), label="x") for name in question.outcomes}
    shared = (design.measurement, design.confidence_level, set(design.school_years))
    if question.unit == "teacher":
        return own, measured, shared
    covariates = {replace(one, label="x") for one in design.asked(question)[0].covariates}
    students = (covariates, design.eligibility, design.missing_covariates, set(design.grades))
    clock = design.risk_sets if question.during else None
    scores = design.achievement if set(question.outcomes) & set(TEST_SCORES) else None
    return own, measured, shared, students, clock, scores


DESIGNS = {
    "nothing": used(),
    "caliper": used(matching=replace(STUDY.matching, caliper=0.25)),
    "model": used(model=replace(STUDY.model, covariance="CR1S")),
    "covariate": used(covariates=STUDY.covariates[1:]),
    "covariate to date": used(
        covariates=tuple(one for one in STUDY.covariates if one.name != "incidents_to_date")
    ),
    "square": with_entry("covariates", "attendance_rate_prior", squared=False),
    "domain": with_entry("outcomes", "attendance_rate", domain="attendance"),
    "label": with_entry("outcomes", "attendance_rate", label="Attendance"),
    "grades": used(grades=(1, 2, 3)),
    "years": used(school_years=(2015, 2016)),
    "eligibility": used(eligibility=replace(STUDY.eligibility, min_days_enrolled=30)),
    "measurement": used(measurement=replace(STUDY.measurement, chronic_truancy_days=9)),
    "risk sets": used(risk_sets=replace(STUDY.risk_sets, seed=2)),
    "achievement": used(achievement=replace(STUDY.achievement, grades_without_pretest="keep")),
    "interval": used(confidence_level=0.9),
    "programs": with_question("summer_behavior", programs=("FEP",)),
    "role": with_question("summer_achievement", role="primary"),
    "outcomes": with_question("summer_behavior_secondary", outcomes=("chronic_absence",)),
    "own matching": with_question("fall_behavior", matching=None),
    "new question": used(
        questions=(*STUDY.questions, replace(STUDY.questions[0], name="new", role="primary"))
    ),
    "dropped question": used(
        questions=tuple(one for one in STUDY.questions if one.name != "summer_engagement")
    ),
    "sensitivity": used(sensitivity=()),
    "contrast": used(timing_contrasts=()),
}


@pytest.mark.parametrize("name", DESIGNS)
def test_a_question_is_confirmatory_if_its_whole_recipe_is_the_registered_one(name: str) -> None:
    design = DESIGNS[name]
    registered = {one.name: recipe(STUDY, one) for one in STUDY.questions}
    expected = {
        one.name for one in design.questions if registered.get(one.name) != recipe(design, one)
    }
    assert exploratory(design) == expected
    touching = {place for one in deviations(design) for place in one.touches}
    assert {f"questions.{one}" for one in expected} == {
        place for place in touching if place.startswith("questions.")
    }


def test_the_examples_touch_some_all_and_none() -> None:
    every = {one.name for one in STUDY.questions}
    assert exploratory(DESIGNS["interval"]) == every
    assert exploratory(DESIGNS["achievement"]) == {"summer_achievement"}
    assert exploratory(DESIGNS["risk sets"]) == {
        "year_behavior",
        "fall_behavior",
        "spring_behavior",
    }
    assert exploratory(DESIGNS["role"]) == {"summer_achievement"}
    assert exploratory(DESIGNS["new question"]) == {"new"}
    assert exploratory(DESIGNS["sensitivity"]) == set()


def test_contrasts_and_variations_that_are_not_as_registered() -> None:
    contrast = STUDY.timing_contrasts[0]
    assert contrast_role(used(), contrast) == "primary"
    later = replace(contrast, landmark="03-01")
    assert contrast_role(used(timing_contrasts=(later,)), later) == "exploratory"
    assert contrast_role(used(), later) == "exploratory", "not in the design"
    touched = with_question("year_behavior", comparison_schools="any")
    assert contrast_role(touched, contrast) == "exploratory"
    assert contrast_role(DESIGNS["achievement"], contrast) == "primary"
    variation = next(one for one in STUDY.sensitivity if one.name == "min_days_90")
    assert variation_label(used(), variation) == variation.label
    other = replace(variation, min_days_enrolled=80)
    design = with_entry("sensitivity", "min_days_90", min_days_enrolled=80)
    assert variation_label(design, other) == f"{other.label} (exploratory: not as registered)"


def test_why_a_question_is_exploratory() -> None:
    design = DESIGNS["caliper"]
    why = why_exploratory(design, design.questions[0])
    assert "not answered as registered" in why
    assert f"version 1, checksum {design_checksum(STUDY)[:12]}" in why
    assert "matching.caliper" in why
    new = DESIGNS["new question"]
    assert "among those of the registered design" in why_exploratory(new, new.question("new"))
    assert "among those of the design" in why_exploratory(STUDY, new.question("new"))
    assert why_exploratory(STUDY, STUDY.questions[0]) == ""


# The file that names it ---------------------------------------------------------------------------


def written(folder: Path, registered: str = TEXT, named: str = REGISTERED_FILE) -> Path:
    """Write a study that names its registered design, and that one."""
    (folder / REGISTERED_FILE).write_text(registered, encoding="utf-8")
    path = folder / "study.toml"
    path.write_text(f'registered = "{named}"\n{TEXT}', encoding="utf-8")
    return path


def test_a_file_names_the_registered_one_beside_it(tmp_path: Path) -> None:
    design = read_design(written(tmp_path, TEXT.replace("caliper = 0.2 ", "caliper = 0.3 ")))
    assert design.registered is not None
    assert design.registered.matching != STUDY.matching
    assert replace(design, registered=None) == STUDY
    assert design_checksum(design) == design_checksum(STUDY), "it is no choice of the study"


def test_a_design_with_its_registered_one_goes_to_files_and_back(tmp_path: Path) -> None:
    design = DESIGNS["caliper"]
    assert design.registered is not None
    (tmp_path / "study.toml").write_text(design_text(design), encoding="utf-8")
    (tmp_path / REGISTERED_FILE).write_text(design_text(design.registered), encoding="utf-8")
    assert read_design(tmp_path / "study.toml") == design


def test_a_missing_registered_file_is_named_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(DesignError) as caught:
        read_design(written(tmp_path, named="registered.toml"))
    assert f"{tmp_path / 'registered.toml'}: there is no such file." in str(caught.value)
    assert "`registered` in" in str(caught.value)
    assert "correct the name, or take that line out" in str(caught.value)


def test_faults_of_the_registered_file_are_said_of_that_file(tmp_path: Path) -> None:
    with pytest.raises(DesignError, match=REGISTERED_FILE) as caught:
        read_design(written(tmp_path, TEXT.replace("caliper = 0.2 ", "caliper = -1 ")))
    assert "matching.caliper" in str(caught.value)


@pytest.mark.parametrize("named", ["study.toml", REGISTERED_FILE])
def test_a_registered_design_stands_alone(tmp_path: Path, named: str) -> None:
    path = written(tmp_path, f'registered = "older.toml"\n{TEXT}', named)
    with pytest.raises(DesignError, match="A registered design stands alone"):
        read_design(path)
    with pytest.raises(DesignError, match="stands alone"):
        replace(STUDY, registered=used())


@pytest.mark.parametrize("value", ["3", "true", '""', "[1]", "{ a = 1 }"])
def test_registered_is_the_name_of_a_file(value: str) -> None:
    with pytest.raises(DesignError, match=r"line 1: registered must be the name of a file") as one:
        parse_design(f"registered = {value}\n{TEXT.replace('caliper = 0.2 ', 'caliper = -1 ')}")
    assert "2 faults" in str(one.value), "other faults are said at once"
