"""Whose data these are, and whether they are made up: ``district.toml``."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

from homevisit_eval.sources.engine import Engine
from homevisit_eval.sources.problems import Problem, make_problem

__all__ = ["SYNTHETIC_PREFIX", "District", "all_synthetic_students", "read_district"]

DISTRICT_FILE = "district.toml"
SYNTHETIC_PREFIX = "SYN"
FORMAT = 1


@dataclass(frozen=True, slots=True)
class District:
    """What ``district.toml`` says, or the defaults without one."""

    name: str = "District"
    synthetic: bool = False
    seed: int | None = None


def read_district(folder: Path) -> tuple[District, list[Problem]]:
    """Read ``district.toml`` if it is there; a byte-order mark does not matter."""
    path = folder / DISTRICT_FILE
    if not path.is_file():
        return District(), []
    try:
        content = tomllib.loads(path.read_bytes().decode("utf-8-sig"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError):
        return District(), [make_problem(DISTRICT_FILE, "district_file")]
    name = content.get("name", District().name)
    synthetic = content.get("synthetic", False)
    seed = content.get("seed")
    valid = content.get("format") == FORMAT and isinstance(name, str) and bool(name.strip())
    if not valid or not isinstance(synthetic, bool) or not isinstance(seed, int | None):
        return District(), [make_problem(DISTRICT_FILE, "district_file")]
    return District(name.strip(), synthetic, seed), []


def all_synthetic_students(engine: Engine) -> bool:
    """Whether every student identifier shows that the student is made up."""
    ((others, count),) = engine.rows(
        "SELECT count(*) FILTER (WHERE NOT starts_with(student_id, $prefix)), count(*) "
        "FROM typed_students",
        {"prefix": SYNTHETIC_PREFIX},
    )
    return others == 0 and count != 0
