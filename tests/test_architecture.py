"""The house rules that a machine can check."""

from __future__ import annotations

import ast
import dataclasses
import importlib
import inspect
import pkgutil
import subprocess
import sys
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

import pytest

import homevisit_eval as hv

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "src" / "homevisit_eval"
MODULES = sorted(SOURCE.rglob("*.py"))

HEAVY = {"matplotlib", "statsmodels", "linearmodels", "numba", "duckdb", "typer", "pandas"}
FORBIDDEN_MODULES = {
    "utils", "helpers", "common", "misc", "base", "core", "manager", "handler", "processor",
    "pipeline",
}  # fmt: skip
FORBIDDEN_FIELDS = {
    "treat", "hv_flag", "ps", "threshold_ps", "subclass", "wgt", "std_diff", "balanced", "es",
    "mdes", "se_cl", "fe", "dummies", "rho", "icc", "attrition_log", "sy", "lag1", "att", "z_math",
    "lb", "ub", "alpha", "level", "year",
}  # fmt: skip
LONGEST_MODULE = 450


def functions(tree: ast.Module) -> Iterator[ast.FunctionDef]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))


def test_imports_go_down_only() -> None:
    lint = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run(
        [str(lint), "--config", str(ROOT / "pyproject.toml"), "--no-cache"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_fresh_import_loads_nothing_heavy() -> None:
    code = "import sys, homevisit_eval; print(' '.join(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert not HEAVY & set(done.stdout.split())


def test_public_names_are_listed_once_and_resolve() -> None:
    homes = [name for names in hv._HOMES.values() for name in names]
    assert sorted(homes) == sorted(hv.__all__)
    for name in hv.__all__:
        assert getattr(hv, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        hv.nothing  # noqa: B018


def test_public_names_and_types_for_checkers_agree() -> None:
    tree = ast.parse((SOURCE / "__init__.py").read_text(encoding="utf-8"))
    block = next(node for node in tree.body if isinstance(node, ast.If))
    imported = {
        alias.name
        for node in block.body
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("homevisit_eval")
        for alias in node.names
    }
    assert imported == set(hv.__all__)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(SOURCE).as_posix())
def test_modules_keep_to_their_size_and_names(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    tree = ast.parse(text)
    assert path.stem not in FORBIDDEN_MODULES
    assert text.count("\n") <= LONGEST_MODULE
    if path != SOURCE / "__init__.py":
        assert "import homevisit_eval\n" not in text
        assert "from homevisit_eval import" not in text
    for function in functions(tree):
        if not function.name.startswith("_"):
            assert function.args.kwarg is None, f"{function.name} takes **kwargs"
            arguments = function.args.args + function.args.kwonlyargs
            assert not FORBIDDEN_FIELDS & {argument.arg for argument in arguments}, function.name


def dataclasses_of_the_package() -> list[type]:
    found = []
    for info in pkgutil.walk_packages([str(SOURCE)], "homevisit_eval."):
        module = importlib.import_module(info.name)
        for _, value in inspect.getmembers(module, inspect.isclass):
            private = value.__name__.startswith("_")
            if value.__module__ == info.name and dataclasses.is_dataclass(value) and not private:
                found.append(value)
    return found


@pytest.mark.parametrize("value", dataclasses_of_the_package(), ids=lambda value: value.__name__)
def test_values_are_frozen_and_do_not_print_rows(value: type) -> None:
    assert value.__dataclass_params__.frozen, "results do not change"
    cached = any(isinstance(member, cached_property) for member in vars(value).values())
    assert "__slots__" in vars(value) or cached
    fields = dataclasses.fields(value)
    assert not FORBIDDEN_FIELDS & {field.name for field in fields}
    holds_rows = any(
        word in str(field.type) for field in fields for word in ("DataFrame", "Series", "LazyFrame")
    )
    if holds_rows:
        assert not value.__dataclass_params__.eq, "frames have no single truth value"
        assert not value.__dataclass_params__.repr or any(
            "__repr__" in vars(parent) for parent in value.__mro__[:-1]
        )
        assert value.__repr__ is not object.__repr__


def test_printing_happens_in_the_shell_only() -> None:
    for path in MODULES:
        if "cli" in path.parts:
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            is_print = (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Name)
                and node.func.id == "print"
            )
            assert not is_print, path
