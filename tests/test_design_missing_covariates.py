"""What becomes of missing covariates, as a choice of the design: values, faults, file."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from homevisit_eval.design import (
    CompleteCases,
    MissingIndicator,
    MultipleImputation,
    Variation,
    design_checksum,
    design_text,
)
from homevisit_eval.design.design_file import parse_design
from homevisit_eval.errors import DesignError

STUDY = (Path(__file__).parents[1] / "study.toml").read_text(encoding="utf-8")
RULE = 'rule = "complete_cases"'


def changed(new: str) -> str:
    assert STUDY.count(RULE) == 1
    return STUDY.replace(RULE, new)


def test_complete_cases_are_the_default_and_stand_in_the_study_file() -> None:
    assert parse_design(STUDY).missing_covariates == CompleteCases()
    without = changed("").replace("[missing_covariates]\n", "")
    assert design_checksum(parse_design(without)) == design_checksum(parse_design(STUDY))


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ('rule = "indicator"', MissingIndicator()),
        ('rule = "multiple_imputation"', MultipleImputation(imputations=10, seed=1, iterations=10)),
        (
            'rule = "multiple_imputation"\nimputations = 20\nseed = 7\niterations = 5',
            MultipleImputation(imputations=20, seed=7, iterations=5),
        ),
    ],
)
def test_each_rule_is_read_printed_and_part_of_the_checksum(text: str, rule: object) -> None:
    design = parse_design(changed(text))
    assert design.missing_covariates == rule
    assert parse_design(design_text(design)) == design
    assert design_checksum(design) != design_checksum(parse_design(STUDY))


def test_every_option_changes_the_checksum() -> None:
    texts = ("", "\nimputations = 11", "\nseed = 2", "\niterations = 9")
    designs = [parse_design(changed(f'rule = "multiple_imputation"{more}')) for more in texts]
    assert len({design_checksum(design) for design in designs}) == len(texts)


@pytest.mark.parametrize(
    ("text", "message", "below"),
    [
        ('rule = "complete_case"', r"missing_covariates.rule must be one of 'complete_cases', "
         "'indicator', 'multiple_imputation'; it is 'complete_case'. Did you mean", 0),
        ("", "missing_covariates must be a table with rule = one of .*; it has no rule", -1),
        (f"{RULE}\nimputations = 5", r"imputations is not a key of this table", 1),
        ('rule = "indicator"\nseed = 5', r"missing_covariates.seed is not a key of this table", 1),
        ('rule = "multiple_imputation"\nimputation = 5', "Did you mean 'imputations'", 1),
        ('rule = "multiple_imputation"\nimputations = 1',
         "missing_covariates.imputations must be between 2 and 200; it is 1", 1),
        ('rule = "multiple_imputation"\nimputations = 5.5', "must be a whole number", 1),
        ('rule = "multiple_imputation"\nseed = -1', "seed must be between 0 and", 1),
        ('rule = "multiple_imputation"\n\niterations = 0', "must be between 1 and 100", 2),
    ],
)  # fmt: skip
def test_a_fault_is_said_once_with_its_line(text: str, message: str, below: int) -> None:
    with pytest.raises(DesignError) as caught:
        parse_design(changed(text))
    said = str(caught.value)
    assert said.startswith("study.toml: 1 fault in the design"), said
    assert re.search(message, said)
    line = STUDY[: STUDY.index(RULE)].count("\n") + 1 + below
    assert re.findall(r"^  line (\d+):", said, re.MULTILINE) == [str(line)]


def test_a_list_of_tables_is_refused() -> None:
    with pytest.raises(DesignError, match="missing_covariates must be a table with rule"):
        parse_design(STUDY.replace("[missing_covariates]", "[[missing_covariates]]"))


def test_a_variation_may_change_the_rule() -> None:
    text = STUDY + (
        '\n[[sensitivity]]\nname = "imputed"\nlabel = "Missing covariates imputed"\n'
        '[sensitivity.missing_covariates]\nrule = "multiple_imputation"\nimputations = 20\n'
    )
    design = parse_design(text)
    assert design.sensitivity[-1].missing_covariates == MultipleImputation(imputations=20)
    assert parse_design(design_text(design)) == design
    wrong = text.replace("imputations = 20", "imputations = 0")
    with pytest.raises(DesignError) as caught:
        parse_design(wrong)
    line = wrong[: wrong.index("imputations = 0")].count("\n") + 1
    last = len(design.sensitivity) - 1
    what = f"line {line}: sensitivity[{last}].missing_covariates.imputations must"
    assert what in str(caught.value)


def test_values_made_in_python_are_checked() -> None:
    with pytest.raises(DesignError, match="imputations must be between 2 and 200"):
        MultipleImputation(imputations=1)
    with pytest.raises(DesignError, match="with rule = one of 'complete_cases'"):
        Variation("x", "X", missing_covariates="indicator")  # type: ignore[arg-type]
    with pytest.raises(
        DesignError, match="lag_days, later_visits, grades_without_pretest, missing_covariates"
    ):
        Variation("x", "X")
