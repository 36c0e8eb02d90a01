"""The panel of student-years: records and calendars -> measures of a school year."""

from homevisit_eval.panel.build import build_panel
from homevisit_eval.panel.counts import PanelCount
from homevisit_eval.panel.reliability import scale_reliability
from homevisit_eval.panel.student_years import STUDENT_COLUMNS, Panel

__all__ = ["STUDENT_COLUMNS", "Panel", "PanelCount", "build_panel", "scale_reliability"]
