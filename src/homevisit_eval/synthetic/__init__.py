"""Synthetic districts: the same extracts as a real one, with effects that are known."""

from homevisit_eval.synthetic.follow_up import follow_up_truth
from homevisit_eval.synthetic.parameters import (
    Achievement,
    Attendance,
    Discipline,
    District,
    Hidden,
    ProgramSchools,
    Selection,
    VisitEffects,
)
from homevisit_eval.synthetic.population import Families, Mobility, SchoolMix
from homevisit_eval.synthetic.presets import PRESETS, preset
from homevisit_eval.synthetic.simulate import TABLES, Simulation, simulate
from homevisit_eval.synthetic.truths import OUTCOMES
from homevisit_eval.synthetic.write import write_simulation

__all__ = [
    "OUTCOMES",
    "PRESETS",
    "TABLES",
    "Achievement",
    "Attendance",
    "Discipline",
    "District",
    "Families",
    "Hidden",
    "Mobility",
    "ProgramSchools",
    "SchoolMix",
    "Selection",
    "Simulation",
    "VisitEffects",
    "follow_up_truth",
    "preset",
    "simulate",
    "write_simulation",
]
