"""A district's parameters as a file: round trips, what is left out, and every fault at once."""

from __future__ import annotations

import dataclasses
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest

from homevisit_eval.cli import main
from homevisit_eval.errors import DesignError
from homevisit_eval.synthetic import (
    PRESETS,
    Defects,
    District,
    district_text,
    preset,
    read_district,
    simulate,
    write_simulation,
)
from homevisit_eval.synthetic.district_file import parse_district
from synthetic_districts import tiny

FAULTY = """format = 1
preset = "smal"
nam = "x"
name = 3
school_years = [2014, "2015"]
survey_share = 1.5
[schools]
students = 3.5
size_sd = -1
program_share = [0.1, 0.2, 1.5, 0.4]
elemental = 3
[attendance]
trait = nan
[defects]
retests = 2
late = 0.1
[effects]
math = true
[[mobility]]
leave = 0.1
"""
FAULTS = {
    2: "preset must be one of 'small', ",
    3: "nam is not a parameter. Did you mean 'name'? Allowed: name, school_years, ",
    4: "name must be text in quotes; it is 3.",
    5: "school_years[1] must be a whole number; it is '2015'.",
    6: "survey_share must be between 0 and 1; it is 1.5.",
    8: "schools.students must be a whole number; it is 3.5.",
    9: "schools.size_sd must be at least 0; it is -1.",
    10: "schools.program_share[2] must be between 0 and 1; it is 1.5.",
    11: "schools.elemental is not a parameter. Did you mean 'elementary'? Allowed: early, ",
    13: "attendance.trait must be a finite number; it is nan.",
    15: "defects.retests must be between 0 and 1; it is 2",
    16: "defects.late is not a parameter.",
    18: "effects.math must be a number; it is true.",
    19: "mobility must be a table, with its name in brackets above it; it is a list of tables.",
}


def faults(text: str) -> dict[int, str]:
    """Return the sentences about a text by line, and check that they are counted."""
    with pytest.raises(DesignError) as caught:
        parse_district(text)
    title, *lines = str(caught.value).splitlines()
    count = "1 fault" if len(lines) == 1 else f"{len(lines)} faults"
    assert title == f"parameters.toml: {count} in the parameters of the district."
    found = {}
    for line in lines:
        place, sentence = line.removeprefix("  line ").split(": ", 1)
        found[int(place)] = sentence
    assert len(found) == len(lines)
    return found


# -- round trips ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", PRESETS)
def test_text_and_district_are_equal_for_every_preset(name: str) -> None:
    text = district_text(preset(name))
    assert parse_district(text) == preset(name)
    assert district_text(parse_district(text)) == text


def test_every_parameter_is_written() -> None:
    table = tomllib.loads(district_text(preset("messy")))
    names = [one.name for one in dataclasses.fields(District)]
    assert sorted(table) == sorted(["format", *names])
    assert list(table["defects"]) == [one.name for one in dataclasses.fields(Defects)]


def test_a_value_of_every_number_comes_back() -> None:
    odd = replace(preset("small"), survey_share=0.1 + 0.2, school_years=(2013, 2014, 2015))
    odd = replace(odd, mobility=replace(odd.mobility, leave=1e-9))
    assert parse_district(district_text(odd)) == odd


@pytest.mark.parametrize("name", PRESETS)
def test_only_the_preset_gives_the_preset(name: str) -> None:
    assert parse_district(f'format = 1\npreset = "{name}"\n') == preset(name)


def test_only_what_differs_need_be_written(tmp_path: Path) -> None:
    file = tmp_path / "district.toml"
    file.write_text('format = 1\npreset = "dcps"\n[effects]\nmath = 0\n', encoding="utf-8")
    dcps = preset("dcps")
    expected = replace(dcps, name="dcps, changed", effects=replace(dcps.effects, math=0.0))
    assert read_district(file) == expected
    assert isinstance(read_district(file).effects.math, float)


def test_without_a_preset_the_defaults_hold_and_a_name_is_needed() -> None:
    assert parse_district('format = 1\nname = "mine"\n') == District(name="mine")
    assert faults("format = 1\nsurvey_share = 0.1\n") == {1: "name is missing; add it."}


def test_none_takes_a_value_away_and_a_table_begins_with_its_defaults() -> None:
    clean = parse_district('format = 1\npreset = "messy"\nname = "m"\ndefects = "none"\n')
    assert clean == replace(preset("messy"), name="m", defects=None)
    some = parse_district('format = 1\npreset = "small"\nname = "m"\n[defects]\nretests = 0.5\n')
    assert some == replace(preset("small"), name="m", defects=Defects(retests=0.5))


# -- faults ---------------------------------------------------------------------------------


def test_every_fault_is_named_at_once_with_its_line() -> None:
    found = faults(FAULTY)
    assert list(found) == list(FAULTS)
    for line, begin in FAULTS.items():
        assert found[line].startswith(begin), found[line]


def test_a_list_by_grade_has_a_value_for_each_grade() -> None:
    text = 'format = 1\npreset = "small"\n[attendance]\nby_grade = [0.1, 0.2]\n'
    count = len(preset("small").attendance.by_grade)
    assert faults(text) == {4: f"attendance.by_grade must hold {count} values; it holds 2."}


@pytest.mark.parametrize(
    "line",
    [
        "[attendance]\nprecision = 0.0",
        "[attendance]\ntrait = -1.0",
        "[attendance]\nby_weekday = [1.0, 1.0, 1.0]",
        "[attendance]\nby_month = [1.0, 1.0]",
        "[attendance]\npartial = 1.5",
        "[discipline]\nshape = -1.0",
        "[discipline]\njoint = 7.0",
        "[achievement]\nmissing = 3.0",
        "[selection]\nhighest = 1.7",
        "[selection]\nearly_childhood = 9.0",
        "[effects]\nlasting = 2.0",
        "[effects]\nclassmates = -1.0",
        "[hidden]\nlasting = 2.0",
        "[families]\nboys = 4.0",
        "[mobility]\nleave = 3.0",
        "[mobility]\nleave_during = 0.6\ntransfer_during = 0.6",
        "[schools]\nstudents = -5",
        "[schools]\nelementary_lowest = [9]",
        "truth_years = []",
        "truth_years = [2017, 2015]",
        "truth_years = [2001]",
        "truth_grades = [40]",
        'name = ""',
    ],
)
def test_what_no_district_can_be_is_refused(line: str) -> None:
    with pytest.raises(DesignError):
        parse_district(f'format = 1\npreset = "small"\n{line}\n')


def test_a_value_made_in_python_has_the_limits_of_one_from_a_file() -> None:
    small = preset("small")
    with pytest.raises(DesignError, match=r"Discipline\.shape must be above 0"):
        replace(small.discipline, shape=0.0)
    with pytest.raises(DesignError, match="in their order"):
        replace(small, truth_years=(2017, 2015))


def test_what_does_not_fit_together_is_said() -> None:
    text = 'format = 1\npreset = "small"\nname = "m"\nschool_years = [2014, 2016]\n'
    (sentence,) = faults(text).values()
    assert "school_years must be consecutive" in sentence


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "the file is empty"),
        ('preset = "small"\n', "format is missing"),
        ('format = 2\npreset = "small"\n', "format = 2 is unknown"),
        ("format = 1\nname = small\n", "near line 2, column 8, the text is not TOML"),
        ("format = 1\n[effects]\nmath = 0\n[effects]\n", "given a second time"),
    ],
)
def test_a_text_that_cannot_be_read_is_refused(text: str, says: str) -> None:
    with pytest.raises(DesignError, match=says):
        parse_district(text)


def test_a_missing_file_is_said_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(DesignError, match=r'no such file.*preset = "small"'):
        read_district(tmp_path / "district.toml")


# -- a district that was written can be made again ------------------------------------------


def test_the_parameters_beside_the_truth_make_the_same_bytes(tmp_path: Path) -> None:
    district = replace(tiny(), defects=Defects(retests=0.3))
    write_simulation(simulate(district, 7), tmp_path / "one")
    again = read_district(tmp_path / "one" / "truth" / "parameters.toml")
    assert again == district
    write_simulation(simulate(again, 7), tmp_path / "two")
    sums = [(tmp_path / name / "SHA256SUMS").read_text() for name in ("one", "two")]
    assert sums[0] == sums[1]
    assert "truth/parameters.toml" in sums[0]


# -- the command ----------------------------------------------------------------------------


def command(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr("sys.argv", ["homevisit-eval", "simulate", *map(str, arguments)])
    return main()


def test_simulate_takes_parameters_from_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file, out = tmp_path / "mine.toml", tmp_path / "district"
    file.write_text(district_text(tiny("mine")), encoding="utf-8")
    assert command(monkeypatch, "--parameters", file, "--out", out, "--seed", 3) == 0
    assert "seed 3" in capsys.readouterr().out
    write_simulation(simulate(tiny("mine"), 3), tmp_path / "expected")
    sums = [(tmp_path / name / "SHA256SUMS").read_text() for name in ("district", "expected")]
    assert sums[0] == sums[1]


def test_a_preset_and_a_file_of_parameters_are_one_too_many(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ("--preset", "small", "--parameters", "mine.toml", "--out", tmp_path / "d")
    assert command(monkeypatch, *given) == 2
    assert "not both" in capsys.readouterr().err
    assert not (tmp_path / "d").exists()


def test_a_faulty_file_of_parameters_exits_3(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(FAULTY, encoding="utf-8")
    assert command(monkeypatch, "--parameters", file, "--out", tmp_path / "d") == 3
    shown = capsys.readouterr().err
    assert f"{file}: {len(FAULTS)} faults" in shown
    assert not (tmp_path / "d").exists()
