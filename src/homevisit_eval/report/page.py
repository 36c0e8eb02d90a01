"""Pieces of the report page: sections, figures, tables that scroll, folded parts."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from matplotlib.figure import Figure

from homevisit_eval.report.drawing import to_png, to_svg
from homevisit_eval.table import SYNTHETIC, Table

__all__ = [
    "ReportFigure",
    "drawn",
    "figure_html",
    "folded",
    "paragraph",
    "section",
    "table_html",
    "whole_page",
]

WIDE_FROM = 14
STICKY_FROM = 7


@dataclass(frozen=True, slots=True, repr=False)
class ReportFigure:
    """A figure of the report in two formats, with its text alternative.

    Parameters
    ----------
    name
        The number, which is also the file name; what follows an underscore is not printed.
    title
        The caption.
    svg, png
        The same drawing.
    alt
        What it shows, in words.
    synthetic
        Whether it was made from synthetic data.
    """

    name: str
    title: str
    svg: str
    png: bytes
    alt: str
    synthetic: bool = False

    def __repr__(self) -> str:
        """Show the number and the caption."""
        return f"ReportFigure({self.name} {self.title!r})"

    def _repr_svg_(self) -> str:
        return self.svg


def drawn(name: str, title: str, figure: Figure, alt: str, synthetic: bool) -> ReportFigure:
    """Return a figure in both formats, with its number, caption and text alternative."""
    return ReportFigure(name, title, to_svg(figure), to_png(figure), alt, synthetic)


def paragraph(*sentences: str, css: str = "") -> str:
    """Return sentences as one escaped paragraph; nothing without sentences."""
    text = " ".join(sentence for sentence in sentences if sentence)
    kind = f' class="{css}"' if css else ""
    return f"<p{kind}>{escape(text)}</p>" if text else ""


def section(identifier: str, title: str, *parts: str) -> str:
    """Return a section with its heading, which the list of contents leads to."""
    body = "\n".join(part for part in parts if part)
    return (
        f'<section id="{identifier}" aria-labelledby="{identifier}-title">\n'
        f'<h2 id="{identifier}-title">{escape(title)}</h2>\n{body}\n</section>'
    )


def folded(title: str, *parts: str, wide: bool = False) -> str:
    """Return parts that a reader may unfold."""
    body = "\n".join(part for part in parts if part)
    css = ' class="wide"' if wide else ""
    return f"<details{css}><summary>{escape(title)}</summary>\n{body}\n</details>"


def table_html(table: Table) -> str:
    """Return a table in a container of its own that scrolls sideways where it is too wide."""
    css = ["scroll"]
    if len(table.columns) >= STICKY_FROM:
        css.append("sticky")
    if len(table.columns) >= WIDE_FROM:
        css.append("wide")
    label = escape(f"Table {table.number}: {table.title}")
    return (
        f'<div class="{" ".join(css)}" role="region" tabindex="0" aria-label="{label}">\n'
        f"{table.html()}\n</div>"
    )


def figure_html(figure: ReportFigure) -> str:
    """Return a figure with its drawing inlined, a text alternative and a caption."""
    number = figure.name.partition("_")[0]
    drawing = _with_own_ids(figure.svg[figure.svg.index("<svg") :], figure.name)
    synthetic = f" {SYNTHETIC}." if figure.synthetic else ""
    return (
        f'<figure id="figure-{escape(figure.name)}">\n'
        f'<div role="img" aria-label="{escape(figure.alt)}">{drawing}</div>\n'
        f"<figcaption><strong>{escape(number)}</strong> {escape(figure.title)}."
        f"{synthetic}</figcaption>\n</figure>"
    )


def _with_own_ids(svg: str, name: str) -> str:
    """Put the figure's name before the ids of a drawing, which are unique in its file only."""
    return re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{name}-", svg)


def whole_page(title: str, style: str, header: str, sections: Sequence[str], footer: str) -> str:
    """Return the page: header, list of contents, sections, footer."""
    contents = [
        re.search(r'<section id="([^"]+)".*?<h2[^>]*>(.*?)</h2>', text, re.DOTALL)
        for text in sections
    ]
    links = "\n".join(
        f'<li><a href="#{found[1]}">{found[2]}</a></li>' for found in contents if found
    )
    body = "\n".join(sections)
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)}</title>
<style>{style}</style>
</head>
<body>
<a class="skip" href="#findings">Skip to the findings</a>
<div class="page">
<header>
{header}
</header>
<nav aria-label="Contents"><ol>
{links}
</ol></nav>
<main>
{body}
</main>
<footer>
{footer}
</footer>
</div>
</body>
</html>
"""
