"""Synthetic districts: the same extracts as a real one, with effects that are known."""

from homevisit_eval.synthetic.parameters import (
    PRESETS,
    Achievement,
    Attendance,
    Discipline,
    District,
    Mobility,
    SchoolMix,
    Selection,
    VisitEffects,
    preset,
)
from homevisit_eval.synthetic.simulate import TABLES, Simulation, simulate
from homevisit_eval.synthetic.write import write_simulation

__all__ = [
    "PRESETS",
    "TABLES",
    "Achievement",
    "Attendance",
    "Discipline",
    "District",
    "Mobility",
    "SchoolMix",
    "Selection",
    "Simulation",
    "VisitEffects",
    "preset",
    "simulate",
    "write_simulation",
]
