"""Synthetic districts: the same extracts as a real one, with effects that are known."""

from homevisit_eval.synthetic.defects import Defects
from homevisit_eval.synthetic.district_file import district_text, read_district
from homevisit_eval.synthetic.follow_up import follow_up_truth
from homevisit_eval.synthetic.landmark_truths import landmark_truth
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
from homevisit_eval.synthetic.staffing import Staffing
from homevisit_eval.synthetic.state import write_state
from homevisit_eval.synthetic.survey_truths import survey_truth
from homevisit_eval.synthetic.teacher_truths import teacher_truth
from homevisit_eval.synthetic.truths import OUTCOMES
from homevisit_eval.synthetic.write import write_simulation

__all__ = [
    "OUTCOMES",
    "PRESETS",
    "TABLES",
    "Achievement",
    "Attendance",
    "Defects",
    "Discipline",
    "District",
    "Families",
    "Hidden",
    "Mobility",
    "ProgramSchools",
    "SchoolMix",
    "Selection",
    "Simulation",
    "Staffing",
    "VisitEffects",
    "district_text",
    "follow_up_truth",
    "landmark_truth",
    "preset",
    "read_district",
    "simulate",
    "survey_truth",
    "teacher_truth",
    "write_simulation",
    "write_state",
]
