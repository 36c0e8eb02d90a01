"""The rules of the verdicts, at their borders."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest

from homevisit_eval.certificate import Estimated, Performance, judge
from homevisit_eval.certificate.monte_carlo import UNKNOWN, wilson_interval
from homevisit_eval.certificate.verdicts import FEWEST_REPLICATIONS, LARGEST_SHARE_FAILED

STD_ERROR = 0.010


def around(value: float, reach: float) -> Estimated:
    """Return a figure whose 95 % interval reaches so far on both sides."""
    return Estimated(value, reach / 1.959964, value - reach, value + reach)


def share(value: float, n: int) -> Estimated:
    return Estimated(value, math.sqrt(value * (1 - value) / n), *wilson_interval(value, n))


EXACT = around(0.0, 0.0)


def performance(**changes: Any) -> Performance:
    """Return 2,000 replications of a design that passes everything: mean SE .01, naive bias .1."""
    n = changes.get("replications", 2000)
    values: dict[str, Any] = {
        name: UNKNOWN for name, kind in Performance.__annotations__.items() if kind == "Estimated"
    }
    values |= {
        "mode": "redrawn",
        "study_question": "summer",
        "design": "main",
        "label": "main",
        "outcome": "attendance_rate",
        "outcome_label": "Attendance rate",
        "confidence_level": 0.95,
        "replications": n,
        "failed": 0,
        "districts": n,
        "null": False,
        "bias": around(0.0, 0.0005),
        "mean_std_error": around(STD_ERROR, 0.0001),
        "naive_bias": around(0.1, 0.001),
        "drift": around(0.001, 0.0001),
        "share_matched": around(0.95, 0.01),
        "coverage_expected": share(0.95, n),
        "coverage_kept": share(0.95, n),
        "rejection": share(0.05, n),
        "bias_spread": None,
        "coverage_spread": None,
    }
    return Performance(**(values | changes))


def verdict(one: Performance, question: str) -> Any:
    (found,) = [found for found in judge([one]) if found.question == question]
    return found


@pytest.mark.parametrize(
    ("bias", "reach", "naive", "expected"),
    [
        # within .25 mean SE (.0025); the naive bias of .1 allows .010
        (0.0000, 0.0024, 0.100, "pass"),
        (0.0000, 0.0025, 0.100, "pass"),
        (0.0000, 0.0026, 0.100, "undecided"),
        (0.0020, 0.0004, 0.100, "pass"),
        (-0.0020, 0.0004, 0.100, "pass"),
        (-0.0020, 0.0006, 0.100, "undecided"),
        (0.0030, 0.0004, 0.100, "fail"),
        (-0.0030, 0.0004, 0.100, "fail"),
        (0.0030, 0.0006, 0.100, "undecided"),
        # a naive bias of .015, more than a standard error, allows .0015 only
        (0.0010, 0.0004, 0.015, "pass"),
        (0.0010, 0.0006, 0.015, "undecided"),
        (0.0020, 0.0004, 0.015, "fail"),
        (0.0020, 0.0004, -0.015, "fail"),
        # of at most a standard error it does not count
        (0.0020, 0.0004, 0.010, "pass"),
        (0.0020, 0.0004, 0.000, "pass"),
        # an interval across zero is never wholly outside
        (0.0010, 0.9000, 0.100, "undecided"),
    ],
)
def test_bias(bias: float, reach: float, naive: float, expected: str) -> None:
    one = performance(bias=around(bias, reach), naive_bias=around(naive, 0.001))
    assert verdict(one, "bias").verdict == expected


@pytest.mark.parametrize(
    ("mode", "holds", "n", "expected"),
    [
        ("redrawn", 0.950, 2000, "pass"),
        ("redrawn", 0.950, 200, "undecided"),
        ("redrawn", 0.937, 2000, "pass"),
        ("redrawn", 0.935, 2000, "undecided"),
        ("redrawn", 0.925, 2000, "undecided"),
        ("redrawn", 0.911, 2000, "fail"),
        ("redrawn", 0.914, 2000, "undecided"),
        ("redrawn", 0.985, 2000, "fail"),
        ("redrawn", 1.000, 2000, "fail"),
        ("redrawn", 1.000, 20, "undecided"),
        ("fixed", 0.950, 2000, "pass"),
        ("fixed", 0.937, 2000, "pass"),
        ("fixed", 0.935, 2000, "undecided"),
        ("fixed", 0.974, 2000, "pass"),
        ("fixed", 0.976, 2000, "conservative"),
        ("fixed", 1.000, 2000, "conservative"),
        ("fixed", 0.911, 2000, "fail"),
    ],
)
def test_coverage(mode: str, holds: float, n: int, expected: str) -> None:
    other = share(0.5, n)
    own, its_other = "coverage_expected", "coverage_kept"
    if mode == "fixed":
        own, its_other = its_other, own
    one = performance(mode=mode, replications=n, **{own: share(holds, n), its_other: other})
    assert verdict(one, "coverage").verdict == expected


@pytest.mark.parametrize(
    ("mode", "found", "expected"),
    [
        ("redrawn", 0.050, "pass"),
        ("redrawn", 0.063, "pass"),
        ("redrawn", 0.065, "undecided"),
        ("redrawn", 0.090, "fail"),
        ("redrawn", 0.015, "fail"),
        ("redrawn", 0.000, "fail"),
        ("fixed", 0.020, "conservative"),
        ("fixed", 0.026, "pass"),
        ("fixed", 0.090, "fail"),
    ],
)
def test_false_positives(mode: str, found: float, expected: str) -> None:
    one = performance(mode=mode, null=True, rejection=share(found, 2000))
    assert verdict(one, "false positives").verdict == expected


def test_false_positives_are_judged_only_without_an_effect() -> None:
    asked = {found.question for found in judge([performance(null=False)])}
    assert asked == {"bias", "estimand drift", "coverage"}


def test_drift_states_and_never_claims_the_effect_on_all() -> None:
    dropping = verdict(performance(), "estimand drift")
    assert dropping.verdict == "statement"
    assert "does not claim" in dropping.reason
    assert "95.0 %" in dropping.reason
    keeping = performance(drift=EXACT, share_matched=around(1.0, 0.0))
    assert "does not claim" not in verdict(keeping, "estimand drift").reason


@pytest.mark.parametrize("holds", [0.935, 0.968, 0.92, 0.98])
def test_that_many_replications_decide_coverage_and_one_less_does_not(holds: float) -> None:
    n = 150
    found = verdict(performance(replications=n, coverage_expected=share(holds, n)), "coverage")
    assert found.verdict == "undecided"
    needed = found.replications_needed

    def judged(replications: int) -> str:
        one = performance(replications=replications, coverage_expected=share(holds, replications))
        return str(verdict(one, "coverage").verdict)

    assert judged(needed) == ("pass" if 0.925 < holds < 0.975 else "fail")
    assert judged(needed - 1) == "undecided"


@pytest.mark.parametrize("bias", [0.001, 0.0024, 0.00273, -0.00411])
def test_that_many_replications_decide_bias_and_one_less_does_not(bias: float) -> None:
    n, reach = 100, 0.006
    found = verdict(performance(replications=n, bias=around(bias, reach)), "bias")
    assert found.verdict == "undecided"

    def judged(replications: int) -> str:
        narrower = around(bias, reach * math.sqrt(n / replications))
        return str(verdict(performance(replications=replications, bias=narrower), "bias").verdict)

    assert judged(found.replications_needed) == ("pass" if abs(bias) < 0.0025 else "fail")
    assert judged(found.replications_needed - 1) == "undecided"


def test_what_lies_on_a_bound_is_never_decided() -> None:
    on_it = performance(bias=around(0.0025, 0.001), coverage_expected=share(0.925, 2000))
    assert verdict(on_it, "bias").replications_needed is None
    assert verdict(on_it, "coverage").replications_needed is None


def test_a_decided_verdict_needs_no_more_replications() -> None:
    assert all(found.replications_needed is None for found in judge([performance()]))


def test_shared_districts_need_more_replications() -> None:
    n, holds = 400, 0.95
    independent = share(holds, n)
    alike = Estimated(holds, 2 * independent.std_error, *wilson_interval(holds, n / 4))
    one = performance(mode="fixed", replications=n, districts=20, coverage_kept=alike)
    needed = verdict(one, "coverage").replications_needed
    fewer = performance(
        mode="fixed", replications=100, districts=20, coverage_kept=share(holds, 100)
    )
    alone = verdict(fewer, "coverage").replications_needed
    assert needed == pytest.approx(4 * alone, rel=0.1)
    assert needed % 20 == 0


@pytest.mark.parametrize("question", ["bias", "coverage"])
def test_nothing_is_decided_without_an_estimate(question: str) -> None:
    nothing = performance(
        failed=2000,
        bias=UNKNOWN,
        mean_std_error=UNKNOWN,
        naive_bias=UNKNOWN,
        coverage_expected=UNKNOWN,
        drift=UNKNOWN,
        share_matched=UNKNOWN,
    )
    found = verdict(nothing, question)
    assert found.verdict == "undecided"
    assert "No replication gave an estimate" in found.reason


def test_one_replication_decides_nothing() -> None:
    nan = math.nan
    one = performance(
        replications=1,
        districts=1,
        bias=Estimated(0.0, nan, nan, nan),
        mean_std_error=Estimated(STD_ERROR, nan, nan, nan),
        coverage_expected=share(1.0, 1),
    )
    assert verdict(one, "bias").verdict == "undecided"
    assert verdict(one, "coverage").verdict == "undecided"


@pytest.mark.parametrize("n", [1, 2, FEWEST_REPLICATIONS - 1])
def test_few_replications_decide_nothing(n: int) -> None:
    """Without a floor one miss in two, likely in 10 of 100 runs of a right design, is a fail."""
    found = {
        answer.question: answer
        for answer in judge(
            [
                performance(
                    replications=n,
                    null=True,
                    bias=around(0.1, 0.001),
                    coverage_expected=share((n - 1) / 2 / n, n),
                    rejection=share(1.0, n),
                )
            ]
        )
    }
    assert found["estimand drift"].verdict == "statement"
    for question in ("bias", "coverage", "false positives"):
        assert found[question].verdict == "undecided", question
        assert found[question].replications_needed == FEWEST_REPLICATIONS
        assert "Fewer than 20 replications" in found[question].reason
    enough = performance(
        replications=FEWEST_REPLICATIONS, coverage_expected=share(0.0, FEWEST_REPLICATIONS)
    )
    assert verdict(enough, "coverage").verdict == "fail"


def test_failures_are_counted_and_many_leave_a_pass_undecided() -> None:
    few = performance(failed=int(2000 * LARGEST_SHARE_FAILED))
    many = replace(few, failed=few.failed + 1)
    assert {verdict(few, name).verdict for name in ("bias", "coverage")} == {"pass"}
    assert {verdict(many, name).verdict for name in ("bias", "coverage")} == {"undecided"}
    assert "101 of 2000 replications gave no estimate" in verdict(many, "bias").reason
    biased = replace(many, bias=around(0.1, 0.001))
    assert verdict(biased, "bias").verdict == "fail"


def test_another_confidence_level_is_not_held_to_the_rule_for_95_percent() -> None:
    assert verdict(performance(confidence_level=0.9), "coverage").verdict == "undecided"
