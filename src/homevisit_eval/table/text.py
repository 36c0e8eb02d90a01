"""A table as aligned plain text."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from homevisit_eval.table.cells import MINUS
from homevisit_eval.table.table import SYNTHETIC, Table

__all__ = ["render_text"]

CELL_WIDTH = 64
HEADING_WIDTH = 14


def render_text(table: Table) -> str:
    """Return aligned columns; long text is wrapped within its column."""
    columns = table.columns
    head = [_wrapped(_full_label(table, column), HEADING_WIDTH) for column in columns]
    body = [[_wrapped(table.cell(row, column), CELL_WIDTH) for column in columns]
            for row in range(len(table.frame))]  # fmt: skip
    widths = [
        max(len(line) for lines in [head[i], *(cells[i] for cells in body)] for line in lines)
        for i in range(len(columns))
    ]
    right = [i > 0 and table.kinds[column] != "text" for i, column in enumerate(columns)]
    rule = "-" * (sum(widths) + 2 * (len(widths) - 1))
    label = f" [{SYNTHETIC}]" if table.synthetic else ""
    lines = [f"{table.number}  {table.title}{label}"]
    lines += [table.population] if table.population else []
    lines += [rule, *_text_lines(head, widths, right), rule]
    for heading, rows in table.sections():
        lines += [heading] if heading else []
        for row in rows:
            lines += _text_lines(body[row], widths, right)
            if text := table.row_detail(row):
                wide = max(len(rule), CELL_WIDTH) - 4
                lines += textwrap.wrap(text, wide, initial_indent="    ", subsequent_indent="    ")
    return "\n".join([*lines, rule, *table.all_notes]).replace(MINUS, "-")


def _full_label(table: Table, column: str) -> str:
    over = [label for label, columns in table.spanners if column in columns]
    return " ".join([*over, table.label(column)])


def _wrapped(text: str, width: int) -> list[str]:
    return textwrap.wrap(text, width) or [""]


def _text_lines(
    cells: Sequence[Sequence[str]], widths: Sequence[int], right: Sequence[bool]
) -> list[str]:
    lines = []
    for level in range(max(len(cell) for cell in cells)):
        pieces = [
            (f"{text:>{width}}" if to_right else f"{text:<{width}}")
            for cell, width, to_right in zip(cells, widths, right, strict=True)
            for text in [cell[level] if level < len(cell) else ""]
        ]
        lines.append("  ".join(pieces).rstrip())
    return lines
