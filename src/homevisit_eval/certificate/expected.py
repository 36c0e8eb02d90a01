"""What the main design is expected to show in each preset, as verdicts."""

from __future__ import annotations

from homevisit_eval.certificate.trial import MAIN
from homevisit_eval.synthetic import District
from homevisit_eval.synthetic.presets import EXPECTATIONS, Expectation, preset

__all__ = ["expectation_of", "expected_verdicts"]


def expectation_of(district: District) -> Expectation | None:
    """Return what was stated of a preset; None for other districts, changed presets included."""
    stated = EXPECTATIONS.get(district.name)
    return stated if stated and preset(district.name) == district else None


def expected_verdicts(district: District) -> dict[str, str]:
    """Return the verdict that was stated beforehand for each ``"design: question"``."""
    stated = expectation_of(district)
    if stated is None:
        return {}
    return {
        f"{MAIN}: bias": "pass" if stated.recovers else "fail",
        **{f"{name}: bias": "fail" for name in stated.fails},
        **{f"{name}: bias": "pass" for name in stated.passes},
    }
