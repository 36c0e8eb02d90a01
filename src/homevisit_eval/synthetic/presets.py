"""The districts that come with the package, by name."""

from __future__ import annotations

from homevisit_eval.errors import DesignError
from homevisit_eval.synthetic.dcps import DCPS_MOBILITY, DCPS_SCHOOLS, DCPS_YEARS
from homevisit_eval.synthetic.parameters import District

__all__ = ["PRESETS", "preset"]

PRESETS: tuple[str, ...] = ("small", "dcps")


def preset(name: str) -> District:
    """Return the parameters of a preset: ``"small"`` or ``"dcps"``.

    Parameters
    ----------
    name
        ``"small"``: 12 elementary schools and about 4,000 students a year. ``"dcps"``: 91
        schools, pre-K to grade 8, six school years, and about 34,000 students a year.

    Raises
    ------
    DesignError
        If there is no such preset.
    """
    match name:
        case "small":
            return District(name="small")
        case "dcps":
            return District(
                name="dcps",
                school_years=DCPS_YEARS,
                schools=DCPS_SCHOOLS,
                mobility=DCPS_MOBILITY,
                survey_share=0.03,
            )
        case _:
            raise DesignError(f"preset must be one of {', '.join(PRESETS)}; it is {name!r}.")
