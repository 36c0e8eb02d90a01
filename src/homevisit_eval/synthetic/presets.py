"""The districts that come with the package, by name, and what is expected of a design in each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from homevisit_eval.errors import DesignError
from homevisit_eval.synthetic.dcps import DCPS_MOBILITY, DCPS_SCHOOLS, DCPS_SELECTION, DCPS_YEARS
from homevisit_eval.synthetic.defects import Defects
from homevisit_eval.synthetic.parameters import (
    Attendance,
    Discipline,
    District,
    Hidden,
    ProgramSchools,
    Selection,
    VisitEffects,
)
from homevisit_eval.synthetic.population import SchoolMix

__all__ = ["EXPECTATIONS", "PRESETS", "Expectation", "preset"]


@dataclass(frozen=True, slots=True)
class Expectation:
    """What is expected of the default design in a preset, stated before any simulation.

    Parameters
    ----------
    recovers
        Whether the main design's estimate is expected to be unbiased.
    because
        The reason, one sentence.
    fails, passes
        Names of the design's variations that are expected to be biased, or not to be, where
        that differs from the main design.
    """

    recovers: bool
    because: str
    fails: tuple[str, ...] = ()
    passes: tuple[str, ...] = ()


EXPECTATIONS: Mapping[str, Expectation] = MappingProxyType(
    {
        "small": Expectation(True, "What drives visits before the year is recorded."),
        "dcps": Expectation(True, "What drives visits before the year is recorded."),
        "null": Expectation(True, "As in small, and no visit changes anything."),
        "heterogeneous": Expectation(
            True,
            "Effects differ between students, but what drives visits is recorded; the effect on "
            "those kept differs from that on all visited where some are dropped.",
        ),
        "hidden_confounding": Expectation(
            False, "A family trait that no record holds drives visits and outcomes."
        ),
        "targeted": Expectation(
            True,
            "Visits follow last year's absences, which are recorded: regression to the mean is "
            "the same for visited and comparison students with the same past.",
        ),
        "spillover": Expectation(
            False,
            "Classmates of visited students gain too, so the estimate is neither the direct "
            "effect nor the effect against no program.",
        ),
        "school_confounding": Expectation(
            False,
            "Program schools improve for other reasons, which comparisons across schools count "
            "as effects of visits.",
            fails=("outside_program",),
            passes=("same_school",),
        ),
        "teacher_selection": Expectation(
            False,
            "Within a school the better teachers visit. Program schools have weaker ones, so much "
            "so that visited students' teachers, of this year and the year before, come out about "
            "level with those of other schools.",
            fails=("same_school",),
            passes=("outside_program",),
        ),
        "messy": Expectation(
            True, "The records have the defects of real extracts, which the loaders resolve."
        ),
        "state": Expectation(True, "What drives visits before the year is recorded."),
    }
)


_TWICE_SMALL = SchoolMix(elementary=24, students=7700)
"""Enough schools outside the program for a comparison with them alone."""


def _small() -> District:
    return District(name="small")


def _dcps() -> District:
    return District(
        name="dcps",
        school_years=DCPS_YEARS,
        schools=DCPS_SCHOOLS,
        mobility=DCPS_MOBILITY,
        selection=DCPS_SELECTION,
        survey_share=0.03,
    )


def _null() -> District:
    effects = VisitEffects(attendance=0, incidents=0, math=0, math_grade=0, reading=0)
    return District(name="null", effects=effects)


def _heterogeneous() -> District:
    effects = VisitEffects(
        attendance=0.06,
        attendance_at_risk=0.8,
        attendance_absence=0.6,
        attendance_grade=-0.3,
        incidents_at_risk=0.8,
        incidents_grade=-0.25,
        math_grade=0.08,
        school_sd=0.5,
    )
    return District(name="heterogeneous", effects=effects)


def _hidden_confounding() -> District:
    return District(name="hidden_confounding", hidden=Hidden(strength=1.0))


def _targeted() -> District:
    selection = Selection(intercept=-2.9, chronic=2.6, absence=0.10, absence_squared=0.0)
    return District(name="targeted", selection=selection)


def _spillover() -> District:
    return District(name="spillover", effects=VisitEffects(classmates=0.8))


def _school_confounding() -> District:
    changes = ProgramSchools(absence=0.08, incidents=0.15, scores=0.06)
    return District(name="school_confounding", schools=_TWICE_SMALL, program_schools=changes)


def _teacher_selection() -> District:
    return District(
        name="teacher_selection",
        schools=_TWICE_SMALL,
        attendance=Attendance(teacher=0.25),
        discipline=Discipline(teacher=0.40),
        selection=Selection(teacher=1.0, intercept=-2.6),
        program_schools=ProgramSchools(teachers=1.01),
    )


def _messy() -> District:
    return District(name="messy", defects=Defects())


def _state() -> District:
    mix = SchoolMix(
        early=6,
        elementary=72,
        k8=19,
        middle=18,
        elementary_lowest=(-2,),
        students=50_000,
        k8_size=0.65,
        middle_size=2.8,
        program_share=(0.17, 0.22, 0.27, 0.27, 0.27),
    )
    years = (2014, 2015, 2016, 2017, 2018)
    return District(
        name="state", school_years=years, schools=mix, survey_share=0.03, truth_years=years[1:]
    )


_MAKERS: Mapping[str, Callable[[], District]] = MappingProxyType(
    {
        "small": _small,
        "dcps": _dcps,
        "null": _null,
        "heterogeneous": _heterogeneous,
        "hidden_confounding": _hidden_confounding,
        "targeted": _targeted,
        "spillover": _spillover,
        "school_confounding": _school_confounding,
        "teacher_selection": _teacher_selection,
        "messy": _messy,
        "state": _state,
    }
)
PRESETS: tuple[str, ...] = tuple(_MAKERS)


def preset(name: str) -> District:
    """Return the parameters of a preset.

    Parameters
    ----------
    name
        ``"small"``: 12 elementary schools and about 4,000 students a year. ``"dcps"``: pre-K
        to grade 8 of a district like that of the replicated study, about 35,000 students a
        year. ``"state"``: one of the districts of a state, 50,000 students a year, see
        `write_state`. The others are like ``"small"`` but for one thing, see `EXPECTATIONS`.

    Raises
    ------
    DesignError
        If there is no such preset.
    """
    maker = _MAKERS.get(name)
    if maker is None:
        raise DesignError(f"preset must be one of {', '.join(PRESETS)}; it is {name!r}.")
    return maker()
