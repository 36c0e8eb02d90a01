"""Evaluations and certificates -> what people read: numbered tables, figures, and one page."""

from homevisit_eval.report.certificate_page import build_certificate
from homevisit_eval.report.document import Report, build_report
from homevisit_eval.report.page import ReportFigure

__all__ = ["Report", "ReportFigure", "build_certificate", "build_report"]
