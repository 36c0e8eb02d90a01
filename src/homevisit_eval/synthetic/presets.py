"""The districts that come with the package, by name."""

from __future__ import annotations

from dataclasses import replace

from homevisit_eval.errors import DesignError
from homevisit_eval.synthetic.defects import Defects
from homevisit_eval.synthetic.parameters import District
from homevisit_eval.synthetic.population import SchoolMix

__all__ = ["PRESETS", "preset"]

PRESETS: tuple[str, ...] = ("small", "dcps", "messy", "state")

STATE_YEARS = (2014, 2015, 2016, 2017, 2018)
STATE_PROGRAM_SHARE = (0.17, 0.22, 0.27, 0.27, 0.27)


def preset(name: str) -> District:
    """Return the parameters of a preset, one of `PRESETS`.

    Parameters
    ----------
    name
        ``"small"``: 12 elementary schools and about 4,000 students a year. ``"dcps"``: 115
        schools, pre-K to grade 8, and about 50,000 students a year. ``"messy"``: small, with
        the defects of real extracts. ``"state"``: one of the districts of a state, see
        `write_state`.

    Raises
    ------
    DesignError
        If there is no such preset.
    """
    match name:
        case "small":
            return District(name="small")
        case "messy":
            return District(name="messy", defects=Defects())
        case "state":
            piece = preset("dcps")
            mix = replace(piece.schools, program_share=STATE_PROGRAM_SHARE)
            return replace(piece, name="state", schools=mix, school_years=STATE_YEARS)
        case "dcps":
            mix = SchoolMix(
                early=6,
                elementary=72,
                k8=19,
                middle=18,
                elementary_lowest=(-2,),
                students=50_000,
                program_share=(0.17, 0.22, 0.27, 0.27),
            )
            return District(name="dcps", schools=mix, survey_share=0.03)
        case _:
            raise DesignError(f"preset must be one of {', '.join(PRESETS)}; it is {name!r}.")
