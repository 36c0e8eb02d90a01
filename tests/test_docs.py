"""The code blocks of README and docs run as printed, and the docstrings' examples hold."""

from __future__ import annotations

import contextlib
import doctest
import importlib
import io
import os
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import homevisit_eval
from homevisit_eval.sources import data_dictionary

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(page: Path) -> list[tuple[str, str]]:
    return [(match[1], match[2]) for match in BLOCK.finditer(page.read_text(encoding="utf-8"))]


def pages_with_code() -> list[Path]:
    return [page for page in PAGES if any(language == "python" for language, _ in blocks(page))]


@pytest.fixture
def at_the_root() -> Iterator[None]:
    before = Path.cwd()
    os.chdir(ROOT)
    yield
    os.chdir(before)


@pytest.mark.ci
@pytest.mark.usefixtures("at_the_root")
@pytest.mark.parametrize("page", pages_with_code(), ids=lambda page: page.stem)
def test_python_blocks_run_and_print_what_the_page_shows(page: Path) -> None:
    names: dict[str, object] = {}
    printed = ""
    for language, text in blocks(page):
        if language == "python":
            with contextlib.redirect_stdout(io.StringIO()) as stream:
                exec(compile(text, page.name, "exec"), names)
            printed = stream.getvalue()
        elif language == "output":
            assert printed.strip() == text.strip(), f"{page.name} shows other output"


def modules() -> list[str]:
    found = pkgutil.walk_packages(homevisit_eval.__path__, "homevisit_eval.")
    return [info.name for info in found]


@pytest.mark.parametrize("name", modules())
def test_examples_in_docstrings_hold(name: str) -> None:
    failed, _ = doctest.testmod(importlib.import_module(name))
    assert failed == 0


def test_the_data_dictionary_page_is_the_one_of_the_code() -> None:
    page = ROOT / "docs" / "reference" / "data-dictionary.md"
    assert page.read_text(encoding="utf-8") == data_dictionary()


def test_links_between_pages_lead_somewhere() -> None:
    link = re.compile(r"\]\((?!https?:|#|mailto:)([^)#]+)(?:#[^)]*)?\)")
    for page in [*PAGES, ROOT / "CONTRIBUTING.md", ROOT / "GLOSSARY.md", ROOT / "CHANGELOG.md"]:
        for target in link.findall(page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name} -> {target}"


def test_the_readme_names_the_commands_that_ci_runs() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    for command in (
        "python3 -m venv .venv && .venv/bin/pip install . && .venv/bin/homevisit-eval demo",
        '.venv/bin/pip install ".[test]" && .venv/bin/pytest',
    ):
        assert command in readme
        assert command in script
