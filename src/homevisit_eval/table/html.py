"""A table as semantic HTML."""

from __future__ import annotations

from html import escape

from homevisit_eval.table.cells import full_precision, missing
from homevisit_eval.table.table import SYNTHETIC, Table

__all__ = ["TABLE_STYLE", "render_html"]

TABLE_STYLE = """
.hv-table{border-collapse:collapse;font-variant-numeric:tabular-nums lining-nums;line-height:1.35}
.hv-table caption{text-align:left;padding:0 0 .6em;font-weight:600}
.hv-table .hv-name{margin-right:.5em}
.hv-table .hv-population{display:block;font-weight:400}
.hv-table .hv-synthetic{font-weight:600;white-space:nowrap;padding:.05em .45em;margin-left:.5em;
border:1px solid currentColor;border-radius:.25em;font-size:.8em}
.hv-table th,.hv-table td{padding:.38em .7em;text-align:left;vertical-align:top}
.hv-table .hv-num{text-align:right;white-space:nowrap}
.hv-table thead th{vertical-align:bottom;font-weight:600}
.hv-table thead th.hv-num{white-space:normal;min-width:3.2em}
.hv-table thead th[scope=colgroup]{text-align:center}
.hv-table tbody th{font-weight:500}
.hv-table tfoot td{font-size:.85em;padding-top:.35em;padding-bottom:0}
"""


def render_html(table: Table) -> str:
    """Return one ``<table>`` element, escaped; headings carry their scope."""
    width = len(table.columns)
    population = (
        f'<span class="hv-population">{escape(table.population)}</span>' if table.population else ""
    )
    synthetic = f'<span class="hv-synthetic">{SYNTHETIC}</span>' if table.synthetic else ""
    parts = [
        f'<table class="hv-table" id="table-{escape(table.name)}">',
        f'<caption><span class="hv-stay"><span class="hv-name">{escape(table.number)}</span>'
        f"{escape(table.title)}{synthetic}{population}</span></caption>",
        f"<thead>{_html_head(table)}</thead>",
    ]
    for heading, rows in table.sections():
        parts.append("<tbody>")
        if heading:
            parts.append(
                f'<tr class="hv-section"><th scope="rowgroup" colspan="{width}">'
                f"{_stay(heading)}</th></tr>"
            )
        parts += [_html_row(table, row) for row in rows]
        parts.append("</tbody>")
    if table.all_notes:
        lines = "".join(
            f'<tr><td colspan="{width}">{_stay(note)}</td></tr>' for note in table.all_notes
        )
        parts.append(f"<tfoot>{lines}</tfoot>")
    return "\n".join([*parts, "</table>"])


def _html_head(table: Table) -> str:
    over = {column: (label, columns) for label, columns in table.spanners for column in columns}
    top, bottom = [], []
    for column in table.columns:
        css = "" if table.kinds[column] == "text" else ' class="hv-num"'
        label = escape(table.label(column))
        if column not in over:
            rows = ' rowspan="2"' if over else ""
            top.append(f'<th scope="col"{rows}{css}>{label}</th>')
            continue
        heading, columns = over[column]
        bottom.append(f'<th scope="col"{css}>{label}</th>')
        if column == columns[0]:
            top.append(f'<th scope="colgroup" colspan="{len(columns)}">{escape(heading)}</th>')
    lines = [top, bottom] if over else [top]
    return "".join(f"<tr>{''.join(line)}</tr>" for line in lines)


def _html_row(table: Table, row: int) -> str:
    cells = []
    for position, column in enumerate(table.columns):
        text = escape(table.cell(row, column))
        if position == 0:
            cells.append(f'<th scope="row">{text}</th>')
        elif table.kinds[column] == "text":
            cells.append(f"<td>{text}</td>")
        else:
            value = table.frame[column].iloc[row]
            exact = "" if missing(value) else f' data-value="{full_precision(value)}"'
            cells.append(f'<td class="hv-num"{exact}>{text}</td>')
    line = f"<tr>{''.join(cells)}</tr>"
    if text := table.row_detail(row):
        line += (
            f'\n<tr class="hv-detail"><td colspan="{len(table.columns)}">{_stay(text)}</td></tr>'
        )
    return line


def _stay(text: str) -> str:
    """Wrap text over the whole width, so that a page can keep it in view while a table scrolls."""
    return f'<span class="hv-stay">{escape(text)}</span>'
