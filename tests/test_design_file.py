"""A design as a file: every design round-trips, and every fault of a file is said at once."""

from __future__ import annotations

import copy
import re
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import pytest
import tomli_w
from hypothesis import given, settings
from hypothesis import strategies as st

from homevisit_eval.design import (
    Achievement,
    CardinalityMatching,
    CoarsenedExactMatching,
    CompleteCases,
    Covariate,
    DifferenceInMeans,
    Eligibility,
    EntropyBalancing,
    ExactMatching,
    FixedEffects,
    FullMatching,
    InverseProbability,
    Measurement,
    MissingIndicator,
    MultipleImputation,
    NearestNeighbor,
    NoMatching,
    OptimalPairs,
    Outcome,
    OverlapWeights,
    Question,
    StudyDesign,
    Subclassification,
    Variation,
    design_checksum,
    design_text,
    read_design,
)
from homevisit_eval.design.design_file import UPGRADES, parse_design, upgrade
from homevisit_eval.design.measures import (
    BASELINE_COLUMNS,
    CONTINUOUS_BASELINE_COLUMNS,
    OUTCOME_SCALES,
    STRATUM_COLUMNS,
    TEACHER_OUTCOMES,
)
from homevisit_eval.design.outcome_models import (
    Cluster,
    CountMargins,
    DoublyRobust,
    LogisticMargins,
    RandomIntercept,
)
from homevisit_eval.design.questions import ComparisonSchools, Mode, Pool, Program, Role
from homevisit_eval.design.study import Behavior, IncidentRole, PartialDay
from homevisit_eval.design.toml_lines import lines_of
from homevisit_eval.errors import DesignError

ROOT = Path(__file__).parents[1]
STUDY = (ROOT / "study.toml").read_text(encoding="utf-8")
DOCUMENT = tomllib.loads(STUDY)


def fault_of(text: str) -> str:
    """The message that a text gives."""
    with pytest.raises(DesignError) as caught:
        parse_design(text)
    return str(caught.value)


def changed(old: str, new: str) -> str:
    """The study's file with one text replaced, which must be in it."""
    assert old in STUDY
    return STUDY.replace(old, new, 1)


# ---------------------------------------------------------------- every design round-trips

names = st.from_regex(r"[a-z][a-z0-9_]{0,20}", fullmatch=True)
texts = st.text(
    st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp")), min_size=1, max_size=30
).filter(str.strip)
days = st.integers(1, 366)
fractions = st.floats(0, 1)


def some_of(choices: Any, least: int = 0) -> st.SearchStrategy[tuple[Any, ...]]:
    return st.lists(st.sampled_from(choices), min_size=least, unique=True).map(tuple)


STUDENT_OUTCOMES = tuple(name for name in OUTCOME_SCALES if name not in TEACHER_OUTCOMES)


SCHOOLS = [word for word in get_args(ComparisonSchools) if word != "same_school"]
"""Those that go with every matching method; the study file has the other."""


def matchings(exact: Any) -> st.SearchStrategy[Any]:
    estimands = st.sampled_from(["ATT", "ATC", "ATE"])
    focal = st.sampled_from(["ATT", "ATC"])
    calipers = st.just("none") | st.floats(1e-9, 1e6)
    links = st.sampled_from(["logit", "probit", "cloglog"])
    return st.one_of(
        st.builds(NoMatching),
        st.builds(OverlapWeights, link=links),
        st.builds(EntropyBalancing, estimand=estimands, moments=st.integers(1, 3)),
        st.builds(InverseProbability, estimand=estimands, truncate=st.sampled_from(["none", 0.99])),
        st.builds(Subclassification, estimand=estimands, subclasses=st.integers(2, 50)),
        st.builds(ExactMatching, estimand=estimands, exact=some_of(exact)),
        st.builds(CoarsenedExactMatching, estimand=estimands, exact=some_of(exact)),
        st.builds(CardinalityMatching, tolerance=st.floats(0, 1), exact=some_of(exact)),
        st.builds(FullMatching, max_ratio=st.sampled_from(["unlimited", 3, 1 / 3]), link=links),
        st.builds(OptimalPairs, estimand=focal, ratio=st.integers(1, 5), caliper=calipers),
        st.builds(
            NearestNeighbor,
            estimand=focal,
            score=st.sampled_from(["linear_propensity_score", "propensity_score"]),
            distance=st.sampled_from(["score", "mahalanobis"]),
            max_uses=st.sampled_from([1, 3, "unlimited"]),
            caliper=calipers,
            exact=some_of(exact),
            ties=st.sampled_from(["row", "matchit"]),
        ),
    )


def models() -> st.SearchStrategy[Any]:
    clusters = st.sampled_from([word for word in get_args(Cluster) if "matched_set" not in word])
    covariances = st.sampled_from(["CR1S", "CR2", "CR3"])
    absorb, seeds = some_of(STRATUM_COLUMNS), st.integers(0, 2**53)
    folds = st.just("none") | st.integers(2, 20)
    return st.one_of(
        st.builds(DifferenceInMeans, cluster=clusters, covariance=covariances),
        st.builds(FixedEffects, absorb=absorb, cluster=clusters, covariance=covariances),
        st.builds(LogisticMargins, absorb=absorb, link=st.sampled_from(["logit", "probit"])),
        st.builds(CountMargins, absorb=absorb),
        st.builds(DoublyRobust, absorb=absorb, folds=folds, seed=seeds),
        st.builds(RandomIntercept, absorb=absorb, estimation=st.sampled_from(["REML", "ML"])),
    )


missing_rules = (
    st.builds(CompleteCases)
    | st.builds(MissingIndicator)
    | st.builds(
        MultipleImputation,
        imputations=st.integers(2, 200),
        seed=st.integers(0, 2**53),
        iterations=st.integers(1, 100),
    )
)
measurements = st.builds(
    Measurement,
    partial_day=st.sampled_from(get_args(PartialDay)),
    partial_day_by_year=st.lists(
        st.tuples(st.integers(1990, 2100), st.sampled_from(get_args(PartialDay))),
        unique_by=lambda rule: rule[0],
        max_size=3,
    ).map(tuple),
    partial_day_threshold=fractions,
    chronic_absence_threshold=fractions,
    chronic_absence_inclusive=st.booleans(),
    chronic_truancy_days=days,
    incident_roles=some_of(get_args(IncidentRole), 1),
    serious_behaviors=some_of(get_args(Behavior)),
)


@st.composite
def designs(draw: st.DrawFn) -> StudyDesign:
    covariates = tuple(
        Covariate(
            name,
            draw(texts),
            squared=name in CONTINUOUS_BASELINE_COLUMNS and draw(st.booleans()),
            where_measured=draw(st.booleans()),
        )
        for name in draw(some_of(BASELINE_COLUMNS))
    )
    strata = STRATUM_COLUMNS + tuple(part.name for part in covariates if not part.where_measured)
    outcomes = tuple(
        Outcome(
            name,
            label=draw(texts),
            domain=draw(texts),
            scale=draw(st.sampled_from(OUTCOME_SCALES[name])),
            unit=draw(texts),
            beneficial=draw(st.sampled_from(["higher", "lower"])),
            baseline=draw(st.sampled_from(BASELINE_COLUMNS)),
        )
        for name in draw(some_of(STUDENT_OUTCOMES, 1))
    )
    questions = tuple(
        Question(
            name,
            label=draw(texts),
            role=draw(st.sampled_from(get_args(Role))),
            outcomes=draw(some_of([outcome.name for outcome in outcomes], 1)),
            programs=draw(some_of(get_args(Program), 1)),
            modes=draw(some_of(get_args(Mode), 1)),
            pool=draw(st.sampled_from(get_args(Pool))),
            comparison_schools=draw(st.sampled_from(SCHOOLS)),
            matching=draw(st.none() | matchings(strata)),
            model=draw(st.none() | models()),
        )
        for name in draw(st.lists(names, min_size=1, max_size=3, unique=True))
    )
    sensitivity = tuple(
        Variation(
            name,
            draw(texts),
            pool=draw(st.none() | st.sampled_from(get_args(Pool))),
            min_days_enrolled=draw(days),
            missing_covariates=draw(st.none() | missing_rules),
            matching=draw(st.none() | matchings(strata)),
            model=draw(st.none() | models()),
        )
        for name in draw(st.lists(names, max_size=2, unique=True))
    )
    return StudyDesign(
        format=3,
        title=draw(texts),
        school_years=draw(st.lists(st.integers(1990, 2100), min_size=1, unique=True).map(tuple)),
        grades=draw(st.lists(st.integers(-1, 12), min_size=1, unique=True).map(tuple)),
        covariates=covariates,
        outcomes=outcomes,
        questions=questions,
        eligibility=Eligibility(draw(days), draw(days)),
        achievement=draw(st.builds(Achievement, *[st.sampled_from(["leave_out", "keep"])] * 2)),
        measurement=draw(measurements),
        missing_covariates=draw(missing_rules),
        matching=draw(matchings(strata)),
        model=draw(models()),
        sensitivity=sensitivity,
        confidence_level=draw(st.floats(0.5, 0.999)),
    )


@given(designs())
@settings(max_examples=20, deadline=None)
def test_every_design_round_trips_through_its_text(design: StudyDesign) -> None:
    round_trips(design)


@pytest.mark.slow
@given(designs())
@settings(max_examples=60, deadline=None)
def test_many_designs_round_trip_through_their_text(design: StudyDesign) -> None:
    round_trips(design)


def round_trips(design: StudyDesign) -> None:
    again = parse_design(design_text(design))
    assert again == design
    assert design_checksum(again) == design_checksum(design)


def test_the_study_round_trips_through_a_file(tmp_path: Path) -> None:
    design = read_design(ROOT / "study.toml")
    path = tmp_path / "again.toml"
    path.write_text(design_text(design), encoding="utf-8", newline="\n")
    assert read_design(path) == design
    assert read_design(str(path)) == design


# ------------------------------------------------------------------------------- checksum


def test_the_checksum_ignores_comments_layout_and_spelled_out_defaults() -> None:
    design = parse_design(STUDY)
    without_comments = "\n".join(line.split("  #")[0] for line in STUDY.split("\n"))
    shorter = without_comments.replace('ties = "row"', "").replace("= 0.2\n", "= 0.20\n")
    assert shorter != STUDY
    assert design_checksum(parse_design(shorter)) == design_checksum(design)
    assert re.fullmatch(r"[0-9a-f]{64}", design_checksum(design))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("caliper = 0.2 ", "caliper = 0.25 "),
        ("min_days_enrolled = 20", "min_days_enrolled = 19"),
        ('label = "Female"', 'label = "Girls"'),
        ("school_years = [2015, 2016, 2017]", "school_years = [2015, 2016]"),
        ("squared = true\n", "squared = false\n"),
    ],
)
def test_the_checksum_changes_with_any_option(old: str, new: str) -> None:
    assert design_checksum(parse_design(changed(old, new))) != design_checksum(parse_design(STUDY))


def test_the_checksum_of_a_design_is_the_same_on_every_machine() -> None:
    """Where a new option changes it, stored checksums no longer compare: the CHANGELOG says so."""
    design = parse_design(
        'format = 1\ntitle = "é"\nschool_years = [2015]\ngrades = [1]\ncovariates = []\n'
        '[[outcomes]]\nname = "incidents"\nlabel = "I"\ndomain = "d"\nscale = "count"\n'
        'unit = "u"\nbeneficial = "lower"\nbaseline = "incidents_prior"\n'
        '[[questions]]\nname = "q"\nlabel = "Q"\nrole = "primary"\noutcomes = ["incidents"]\n'
    )
    known = "3fd55e39a5671a9ae7559b89e480e51f53d79e2c085a2b1c217694a8e320af05"
    assert design_checksum(design) == known


# --------------------------------------------------------------- files that cannot be read


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the file is empty"),
        (b"\xef\xbb\xbf  \n# only a comment\n", "the file is empty"),
        (STUDY.encode("utf-16"), "looks like UTF-16. Save it as UTF-8"),
        (STUDY.encode("utf-16-le"), "looks like UTF-16"),
        ('format = 1\ntitle = "É"\n'.encode("cp1252"), "line 2 has a letter that is not UTF-8"),
        (b"#" * 1_000_001, "larger than 1,000,000 bytes"),
        (b"format = 1\ntitle = no quotes\n", "near line 2, column 9, the text is not TOML"),
        (b"format = 1\ngrades = [1, 2\n", "the text is not TOML"),
        (b'format = 1\ntitle = "open\n', "near line 2, column 14, the text is not TOML"),
        (b"format = 1\nformat = 1\n", "near line 2, column 11, a table or key is given a second"),
        (b"[matching]\n[matching]\n", "near line 2, column 10, a table or key is given a second"),
        (b"format = 1\nx = " + b"[" * 5_000, "(nested too deeply|not TOML)"),
        (b"format = 1\n" + b"a." * 400 + b"b = 1", "nested too deeply"),
        (b"format = " + b"9" * 5_000, "not TOML"),
        (b"school_id,name\nS01,North\n", "near line 1, column 10, the text is not TOML"),
        (b"title = 1\n", "format is missing. Make `format = 3` the first line"),
        (b'format = "1"\n', "format must be a whole number, now 3"),
        (b"format = true\n", "format must be a whole number, now 3"),
        (b"format = 1.0\n", "format must be a whole number, now 3"),
        (b"format = 0\n", r"format = 0 is unknown. homevisit-eval .* reads format 3\.$"),
        (b"format = 4\n", "format = 4 is unknown. .* reads format 3; install a version that"),
    ],
)
def test_a_file_that_cannot_be_read(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "design.toml"
    path.write_bytes(content)
    with pytest.raises(DesignError, match=message) as caught:
        read_design(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_a_missing_file_and_a_folder(tmp_path: Path) -> None:
    with pytest.raises(DesignError, match=r"there is no such file\. `homevisit-eval init DIR`"):
        read_design(tmp_path / "nowhere.toml")
    with pytest.raises(DesignError, match=r"this is a folder. Name the design file in it, .*study"):
        read_design(tmp_path)
    with pytest.raises(DesignError, match="cannot be read"):
        read_design("a\x00b")
    with pytest.raises(DesignError, match="cannot be read"):
        read_design("x" * 5_000)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_marks_and_line_ends_of_other_programs(tmp_path: Path, encoding: str, newline: str) -> None:
    path = tmp_path / "study.toml"
    path.write_text(STUDY, encoding=encoding, newline=newline)
    assert read_design(path) == parse_design(STUDY)


# --------------------------------------------------------------------- faults in our words


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("confidence_level =", "confidence =", "confidence is not a key of the top of the"),
        ("caliper =", "calliper =", "matching.calliper is not a key of this table. Did you mean"),
        ('role = "primary"', "", r"questions\[0\].role is missing; one of 'primary', 'secondary'"),
        ('label = "Female"', "", r"covariates\[5\].label is missing; add it"),
        ('"secondary"', '"secundary"', r"questions\[1\].role must be .* Did you mean 'secondary'"),
        ('"nearest_neighbor"', '"nearest"', r"matching.method must be one of .* it is 'nearest'"),
        ('method = "nearest_neighbor"', "", "matching must be a table with method .* it has no"),
        ('model = "fixed_effects"', "", "model must be a table with model = .*; it has no model"),
        ("caliper = 0.2 ", "caliper = -1 ", 'caliper must be a number above 0, or "none"'),
        ("caliper = 0.2 ", 'caliper = "0.2" ', "it is '0.2'"),
        ("caliper = 0.2 ", "caliper = inf ", 'caliper must be a number above 0, or "none"'),
        ("= 0.95", "= 95", "confidence_level must be between 0.5 and 0.999; it is 95"),
        ("= 0.95", "= nan", "confidence_level must be between 0.5 and 0.999; it is nan"),
        ("= 0.95", "= 1979-05-27", "confidence_level must be a number"),
        ("[2015, 2016, 2017]", '["2014-15"]', r"school_years\[0\] must be a whole number"),
        ("[2015, 2016, 2017]", "2015", "school_years must be a list of values"),
        ("squared = true\n", 'squared = "yes"\n', r"covariates\[0\].squared must be true or false"),
        ("[eligibility]", "[[eligibility]]", "eligibility must be one table, with single brackets"),
        ('"race_ethnicity"', '"race"', r"covariates\[6\].name 'race' is not a baseline column"),
        ('name = "cr1"', 'name = "same_school"', r"is already the name of sensitivity\[1\]"),
        ('pool = "never_visited_that_year"', "", r"sensitivity\[0\] must vary something"),
        ('["FEP", "FEC"]', '["FEP", "FCE"]', r"questions\[0\].programs\[1\] must be one of"),
        (
            "partial_day_by_year = []",
            'partial_day_by_year = [[2015, "fractoin"]]',
            r"partial_day_by_year\[0\]\[1\] must be .*Did you mean 'fraction'",
        ),
        (
            'covariance = "CR1S"',
            'covariance = "CR1S"\ntitle = "too late"',
            "It belongs at the top of the file, before the first table",
        ),
        (
            "[[questions]]\nname",
            '[[questions]]\n"a\\nb" = 1\nname',
            r"questions\[0\].'a\\nb' is not a key",
        ),
    ],
)
def test_one_fault_is_said_once_with_its_line(old: str, new: str, message: str) -> None:
    text = changed(old, new)
    said = fault_of(text)
    assert re.search(message, said)
    assert said.startswith("study.toml: 1 fault in the design"), said
    line = STUDY[: STUDY.index(old)].count("\n") + 1
    reported = int(re.findall(r"^  line (\d+):", said, re.MULTILINE)[0])
    header = "is missing" in said or "has no" in said or "must vary" in said
    assert (reported <= line <= reported + 3) if header else (line <= reported <= line + 1)


def test_all_faults_of_all_tables_are_reported_at_once_in_the_order_of_lines() -> None:
    text = STUDY
    for old, new in (
        ("[1, 2, 3, 4, 5]", '[1, "2", 99]'),
        ("caliper = 0.2 ", "calliper = 0.2 "),
        ('name = "female"\nlabel = "Female"', 'name = "femal"'),
        ('outcomes = ["attendance_rate", "any_incident"]', 'outcomes = ["atendance_rate"]'),
        ('"secondary"', '"secundary"'),
        ('name = "cr1"', 'name = "same_school"'),
        ('absorb = ["school_year", "grade"]', 'absorb = ["school_year", "grades"]'),
    ):
        assert old in text
        text = text.replace(old, new, 1)
    said = fault_of(text)
    paths = re.findall(r"^  line \d+: (\S+)", said, re.MULTILINE)
    assert paths == [
        "grades[1]",
        "grades[2]",
        "matching.calliper",
        "model.absorb[1]",
        "covariates[5].label",
        "covariates[5].name",
        "questions[0].outcomes[0]",
        "questions[1].role",
        "sensitivity[6].name",
    ]
    numbers = [int(number) for number in re.findall(r"^  line (\d+):", said, re.MULTILINE)]
    assert numbers == sorted(numbers)
    assert said.startswith("study.toml: 9 faults")


def test_an_entry_at_fault_is_named_once() -> None:
    old = '[[questions]]\nname = "summer_achievement"\n'
    said = fault_of(changed(old, f'{old}later_visits = "none"\ndose = "two_or_more_against_one"\n'))
    (line,) = [part for part in said.splitlines() if "] (" in part]
    assert "] ('summer_achievement') later_visits 'none'" in line
    assert line.count("summer_achievement") == 1
    assert line.endswith('or with later_visits = "natural_course".')


def test_a_list_of_single_brackets_is_explained() -> None:
    text = 'format = 1\n[questions]\nname = "x"\n'
    assert "questions must be a list of tables, each with double brackets" in fault_of(text)
    for missing in ("title", "school_years", "grades", "covariates", "outcomes"):
        assert f"{missing} is missing" in fault_of(text)


def paths_of(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in a document."""
    inner = value.items() if isinstance(value, dict) else enumerate(value)
    places = []
    for key, part in inner:
        places.append((*path, key))
        if isinstance(part, dict | list):
            places += paths_of(part, (*path, key))
    return places


anything = st.recursive(
    st.none()  # stands for: take it away
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(codec="utf-8"), max_size=5)
    | st.dates()
    | st.sampled_from(["nearest_neighbor", "no_matching", "matched_set", "female", "none", {}]),
    lambda part: (
        st.lists(part.filter(lambda value: value is not None), max_size=3)
        | st.dictionaries(
            st.sampled_from(["name", "method", "model", "nearest_neighbor", "outcomes", "x y"]),
            part.filter(lambda value: value is not None),
            max_size=3,
        )
    ),
    max_leaves=6,
)


Changes = list[tuple[tuple[Any, ...], Any]]

some_changes = st.lists(
    st.tuples(st.sampled_from(paths_of(DOCUMENT)), anything), min_size=1, max_size=4
)


@given(some_changes)
@settings(max_examples=100, deadline=None)
def test_whatever_stands_in_a_file_it_is_a_design_or_a_design_error(changes: Changes) -> None:
    is_a_design_or_a_design_error(changes)


@pytest.mark.slow
@given(some_changes)
@settings(max_examples=300, deadline=None)
def test_many_files_are_a_design_or_a_design_error(changes: Changes) -> None:
    is_a_design_or_a_design_error(changes)


def is_a_design_or_a_design_error(changes: Changes) -> None:
    document = copy.deepcopy(DOCUMENT)
    for path, value in changes:
        inner: Any = document
        try:
            for part in path[:-1]:
                inner = inner[part]
            if isinstance(inner, dict) != isinstance(path[-1], str):
                continue
            if value is None:
                del inner[path[-1]]
            else:
                inner[path[-1]] = value
        except (KeyError, IndexError, TypeError):
            continue  # an earlier change took this place away
    text = tomli_w.dumps(document)
    try:
        design = parse_design(text)
    except DesignError as error:
        said = str(error)
        assert "pydantic" not in said.lower()
        assert not re.search(r"errors?\.pydantic|validation error|Input should", said)
        assert "study.toml: 0 faults" not in said
    else:
        assert parse_design(design_text(design)) == design


# ---------------------------------------------------------------------------- older formats


def test_upgrading_goes_step_by_step_and_leaves_its_input_alone() -> None:
    document = {"format": 1, "years": [2015]}
    steps = {
        1: lambda old: {"school_years": old["years"]},
        2: lambda old: {**old, "grades": [1]},
    }
    assert upgrade(document, steps, to=3) == {"format": 3, "school_years": [2015], "grades": [1]}
    assert document == {"format": 1, "years": [2015]}


def test_the_present_format_needs_no_upgrade() -> None:
    assert upgrade(DOCUMENT) == DOCUMENT


def test_format_1_named_the_score_as_distance() -> None:
    older = STUDY.replace("format = 3", "format = 1").replace(
        'score = "linear', 'distance = "linear'
    )
    assert older != STUDY
    assert parse_design(older) == parse_design(STUDY)
    assert list(UPGRADES) == [1, 2]
    document = {
        "format": 1,
        "matching": {"method": "nearest_neighbor", "distance": "propensity_score"},
        "questions": [{"matching": {"distance": "linear_propensity_score", "caliper": 0.1}}, 3],
        "sensitivity": "not a list",
    }
    before = copy.deepcopy(document)
    after = upgrade(document, to=2)
    assert document == before
    assert after["format"] == 2
    assert after["matching"] == {"method": "nearest_neighbor", "score": "propensity_score"}
    assert after["questions"][0]["matching"] == {"score": "linear_propensity_score", "caliper": 0.1}


def test_formats_1_and_2_named_cr1s_as_cr1() -> None:
    older = STUDY.replace("format = 3", "format = 2").replace("CR1S", "CR1")
    assert older.count('covariance = "CR1"') == 2
    older = older.replace('"Standard errors CR1,', '"Standard errors CR1S,')
    assert parse_design(older) == parse_design(STUDY)
    document = {
        "format": 2,
        "model": {"covariance": "CR1"},
        "questions": [{"model": {"covariance": "CR2"}}, {"model": "CR1"}],
        "sensitivity": [{"model": {"covariance": "CR1", "cluster": "matched_set"}}],
    }
    after = upgrade(document)
    assert after["model"] == {"covariance": "CR1S"}
    assert after["questions"] == document["questions"]
    assert after["sensitivity"][0]["model"] == {"covariance": "CR1S", "cluster": "matched_set"}


def test_format_1_files_with_faults_get_messages_with_lines() -> None:
    older = STUDY.replace("format = 3", "format = 1").replace(
        'score = "linear_propensity_score"', 'distance = "nearest"'
    )
    with pytest.raises(DesignError, match="must be one of"):
        parse_design(older)


# -------------------------------------------------------------------------- lines of a text


def test_lines_of_tables_and_keys() -> None:
    text = (
        "a = 1 # [not] = a header\n"
        "b = [\n"
        '  "x = 1",\n'
        "  [2015],\n"
        "  [3]\n"
        "]\n"
        "[t]\n"
        'c."d e" = """\n'
        "[fake]\n"
        "g = 1\n"
        '"""\n'
        "[[q]] # one\n"
        "n = '['\n"
        "[q.m]\n"
        "k = {x = 1}\n"
        "[[q]]\n"
        "n = 2\n"
        "[q.m]\n"
        "k = 3\n"
    )
    assert lines_of(text) == {
        ("a",): 1,
        ("b",): 2,
        ("t",): 7,
        ("t", "c", "d e"): 8,
        ("q",): 12,
        ("q", 0): 12,
        ("q", 0, "n"): 13,
        ("q", 0, "m"): 14,
        ("q", 0, "m", "k"): 15,
        ("q", 1): 16,
        ("q", 1, "n"): 17,
        ("q", 1, "m"): 18,
        ("q", 1, "m", "k"): 19,
    }
    assert lines_of(text.replace("\n", "\r\n")) == lines_of(text)


def test_a_changed_default_is_seen_in_the_text() -> None:
    design = parse_design(STUDY)
    text = design_text(replace(design, model=DifferenceInMeans()))
    assert tomllib.loads(text)["model"] == {
        "model": "difference_in_means",
        "cluster": "school_id",
        "covariance": "CR2",
    }
