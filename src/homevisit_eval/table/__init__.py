"""A table of numbers with what is needed to print it."""

from homevisit_eval.table.cells import (
    NOT_AVAILABLE,
    PERCENT,
    PERCENT_OF_STUDENTS,
    Kind,
    format_value,
)
from homevisit_eval.table.html import TABLE_STYLE
from homevisit_eval.table.table import HIDDEN, SYNTHETIC, Cell, HidingRule, Sum, Table

__all__ = [
    "HIDDEN",
    "NOT_AVAILABLE",
    "PERCENT",
    "PERCENT_OF_STUDENTS",
    "SYNTHETIC",
    "TABLE_STYLE",
    "Cell",
    "HidingRule",
    "Kind",
    "Sum",
    "Table",
    "format_value",
]
