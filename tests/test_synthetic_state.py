"""A state of several districts: one file a table, identifiers apart, one calendar, its truth."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from pathlib import Path

import duckdb
import pandas as pd
import pytest

from homevisit_eval.cli import main
from homevisit_eval.errors import DesignError, OutputError
from homevisit_eval.panel import build_panel
from homevisit_eval.sources import read_sources
from homevisit_eval.sources.schema import schema_of
from homevisit_eval.synthetic import (
    TABLES,
    District,
    SchoolMix,
    Simulation,
    preset,
    read_district,
    simulate,
    write_state,
)
from homevisit_eval.synthetic.state import TRUTH_FILE, district_seed, own_calendar
from synthetic_districts import tiny

DISTRICTS = 3
SEED = 11


def piece() -> District:
    mix = SchoolMix(elementary=3, students=300, program_share=(0.5, 0.5))
    return replace(tiny(), name="piece", schools=mix)


@cache
def alone() -> tuple[Simulation, ...]:
    """Return the districts of the state, each simulated by itself."""
    numbers = range(1, DISTRICTS + 1)
    return tuple(simulate(piece(), district_seed(SEED, number)) for number in numbers)


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("state") / "it's [a] state"
    write_state(folder, SEED, districts=DISTRICTS, district=piece())
    return folder


@contextmanager
def opened(file: Path) -> Iterator[duckdb.DuckDBPyRelation]:
    with duckdb.connect() as connection:
        connection.execute("SET enable_progress_bar = false")
        path = str(file).replace("[", "[[]").replace("'", "''")
        yield connection.sql(f"SELECT * FROM read_parquet('{path}')")


def rows(folder: Path, name: str) -> pd.DataFrame:
    with opened(folder / f"{name}.parquet") as table:
        return table.df()


def plain(table: pd.DataFrame) -> list[tuple[str, ...]]:
    """Return rows as texts: days without times, whole numbers without a point."""
    texts = {
        name: table[name].dt.strftime("%Y-%m-%d").fillna("")
        if pd.api.types.is_datetime64_any_dtype(table[name])
        else pd.Series([short(value) for value in table[name]])
        for name in table.columns
    }
    return list(zip(*texts.values(), strict=True))


def short(value: object) -> str:
    return "" if pd.isna(value) else f"{value:g}" if isinstance(value, float | int) else str(value)


def without_number(texts: pd.Series, number: int) -> pd.Series:
    return texts.str.replace(rf"^([A-Z]+){number:02d}", r"\1", regex=True)


# -- the files ------------------------------------------------------------------------------


def test_the_loader_finds_no_problem_and_the_panel_has_every_student_year(state: Path) -> None:
    with read_sources(state) as sources:
        assert not sources.decisions
        assert sources.synthetic
        assert sources.seed == SEED
        assert {Path(file.name).stem for file in sources.files} == set(TABLES)  # not the truth
        students = build_panel(sources).to_pandas()
    assert len(students) == sum(len(made.student_years) for made in alone())


@pytest.mark.parametrize("name", TABLES)
def test_each_table_is_that_of_its_districts_one_after_the_other(state: Path, name: str) -> None:
    found = rows(state, name)
    identifiers = [c.name for c in schema_of(name).columns if c.kind == "identifier"]
    identifiers = [column for column in identifiers if column in found]
    mark = "school_id" if "school_id" in found else identifiers[0]
    shared = 0
    for number, made in enumerate(alone(), start=1):
        table = made.tables[name]
        if name == "calendar" and number > 1:
            table = table[table["school_id"].notna()]
        of_district = found[mark].str.match(rf"[A-Z]+{number:02d}", na=number == 1)
        part = found[of_district].reset_index(drop=True)
        for column in identifiers:
            part[column] = without_number(part[column].astype("string"), number)
        assert plain(part) == plain(table.reset_index(drop=True))
        assert of_district.to_numpy().nonzero()[0].tolist() == list(
            range(shared, shared + len(part))
        )
        shared += len(part)
    assert shared == len(found)


@pytest.mark.parametrize("name", ["students", "schools", "staff", "visits", "incidents"])
def test_no_identifier_occurs_in_two_districts(state: Path, name: str) -> None:
    column = schema_of(name).columns[0].name
    found = rows(state, name)[column]
    parts = [made.tables[name][column] for made in alone()]
    assert found.nunique() == sum(part.nunique() for part in parts)
    assert set(parts[0]) & set(parts[1])  # which the numbers keep apart


def test_districts_differ() -> None:
    seeds = {district_seed(seed, number) for seed in (1, 2) for number in range(1, 4)}
    assert len(seeds) == 6


def test_the_truth_is_that_of_the_districts(state: Path) -> None:
    with opened(state / TRUTH_FILE) as table:
        found = table.df()
    whole = pd.concat([made.truth for made in alone()], ignore_index=True)
    names = [name for name in whole.columns if name != "student_id"]
    pd.testing.assert_frame_equal(found[names], whole[names], check_dtype=False)
    assert found["student_id"].str.startswith("SYN").all()
    assert read_district(state / "truth" / "parameters.toml") == piece()


def test_the_files_of_a_state(state: Path) -> None:
    assert sorted(path.name for path in state.iterdir()) == sorted(
        ["SHA256SUMS", "district.toml", "truth", *(f"{name}.parquet" for name in TABLES)]
    )
    for line in (state / "SHA256SUMS").read_text().splitlines():
        digest, name = line.split("  ")
        assert hashlib.sha256((state / name).read_bytes()).hexdigest() == digest


# -- the same seed --------------------------------------------------------------------------


def test_few_districts_are_the_first_of_many_and_each_is_a_step(
    state: Path, tmp_path: Path
) -> None:
    steps: list[str] = []
    write_state(tmp_path, SEED, districts=2, district=piece(), step=steps.append)
    assert steps == ["Simulated 1 of 2 districts", "Simulated 2 of 2 districts", "Written"]
    few, many = (rows(folder, "students") for folder in (tmp_path, state))
    pd.testing.assert_frame_equal(few, many.iloc[: len(few)])


def test_another_seed_gives_another_state(state: Path, tmp_path: Path) -> None:
    write_state(tmp_path, SEED + 1, districts=1, district=piece())
    other, first = (rows(folder, "students") for folder in (tmp_path, state))
    count = min(len(other), len(alone()[0].tables["students"]))
    assert not other.head(count).equals(first.head(count))


# -- one calendar ---------------------------------------------------------------------------


def test_days_of_all_schools_stand_once(state: Path) -> None:
    calendar = rows(state, "calendar")
    assert not calendar.duplicated(["school_id", "date"]).any()
    assert calendar["school_id"].isna().sum() > 300


def test_a_district_with_other_days_gives_them_to_its_schools() -> None:
    days = [("2014-09-01", 1), ("2014-09-02", 1)]
    table = pd.DataFrame(
        [("S1", 2015, day, flag, 0) for day, flag in days]
        + [(None, 2015, day, flag, 0) for day, flag in days],
        columns=["school_id", "school_year", "date", "instructional", "count_date"],
    )
    schools = pd.DataFrame({"school_id": ["S1", "S2"], "school_year": 2015})
    common = table[table["school_id"].isna()]
    assert set(own_calendar(table, schools, common)["school_id"]) == {"S1"}
    other = common.assign(instructional=[1, 0])
    made = own_calendar(table, schools, other)
    assert made["school_id"].tolist() == ["S1", "S1", "S2", "S2"]
    assert made["instructional"].tolist() == [1, 1, 1, 1]


# -- what can go wrong ----------------------------------------------------------------------


@pytest.mark.parametrize("districts", [0, 100])
def test_the_number_of_districts_has_limits(districts: int, tmp_path: Path) -> None:
    with pytest.raises(DesignError, match="between 1 and 99"):
        write_state(tmp_path, 1, districts=districts)


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(OutputError, match="cannot be written"):
        write_state(tmp_path / "file", 1, districts=1, district=piece())


def test_the_preset_has_a_million_students_a_year_in_twenty_districts() -> None:
    assert 20 * preset("state").schools.students == 1_000_000
    assert len(preset("state").school_years) == 5


# -- the command ----------------------------------------------------------------------------


def test_simulate_writes_the_same_bytes_with_the_same_seed(
    state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("homevisit_eval.synthetic.state.preset", lambda _: piece())
    given = ["simulate", "--preset", "state", "--districts", "3", "--out", str(tmp_path / "s")]
    monkeypatch.setattr("sys.argv", ["homevisit-eval", *given, "--seed", str(SEED)])
    assert main() == 0
    assert "state of 3 districts, seed 11" in capsys.readouterr().out
    sums = [(folder / "SHA256SUMS").read_text() for folder in (tmp_path / "s", state)]
    assert sums[0] == sums[1]


def test_a_number_of_districts_is_for_a_state(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["simulate", "--districts", "2", "--out", str(tmp_path / "s")]
    monkeypatch.setattr("sys.argv", ["homevisit-eval", *given])
    assert main() == 2
    assert "--preset state" in capsys.readouterr().err
