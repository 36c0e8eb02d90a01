"""The page of a certificate: verdicts first, then the numbers and how they were made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from importlib.metadata import version
from typing import TYPE_CHECKING

from matplotlib.figure import Figure

from homevisit_eval.certificate import MAIN
from homevisit_eval.report import figures, tables
from homevisit_eval.report.certificate_method import (
    how_made_section,
    reading_section,
    source_section,
)
from homevisit_eval.report.certificate_sections import (
    asked,
    bias_section,
    choices_section,
    coverage_section,
    districts_section,
    numbers_section,
    power_section,
    verdict_section,
    verdict_summary,
)
from homevisit_eval.report.certificate_words import main_mode, main_performance, modes_of
from homevisit_eval.report.document import Report
from homevisit_eval.report.page import ReportFigure, whole_page
from homevisit_eval.report.style import STYLE
from homevisit_eval.table import SYNTHETIC, Table

if TYPE_CHECKING:
    from homevisit_eval.certificate import Certificate

__all__ = ["CertificateParts", "build_certificate"]

TITLE = "Does this design recover the truth?"
BANNER = (
    "No student, teacher or school here exists. The districts were made by a program that knows "
    "the true effect of a visit, because it put it there. The verdicts speak of the method in "
    "districts like these; they say nothing about what home visits do."
)
OWN_STYLE = """
.checks{list-style:none;margin:.7rem 0 0;padding:0;max-width:none}
.checks li{border-top:1px solid var(--line);padding:.7rem 0 .2rem}
.checks .label{display:inline-block;font-weight:650;font-size:.9rem;color:var(--muted);
margin:0 0 .3rem;border:1.5px solid currentColor;border-radius:.3em;padding:.05em .55em}
.checks .good{color:var(--good)}.checks .bad{color:var(--bad)}
.checks h4{margin:.1rem 0 .3rem;font-size:1rem}.checks p{margin:0 0 .4rem;font-size:.95rem}
.cards.wide-cards{grid-template-columns:repeat(auto-fit,minmax(min(100%,24rem),1fr))}
.figures{display:grid;gap:0 2.5rem;align-items:start;
grid-template-columns:repeat(auto-fit,minmax(min(100%,24rem),30rem))}
#choices .hv-table{font-size:.86rem}
@media (min-width:62rem){#choices .hv-table tbody th{min-width:12rem}
#choices .hv-table th,#choices .hv-table td{padding:.35em .42em}
#choices .hv-table td:not(.hv-num){min-width:0}}
pre.parameters{overflow-x:auto;font-size:.85rem;line-height:1.4;background:var(--soft);padding:1rem}
@media print{#choices{page:wide}.figures{grid-template-columns:8cm 8cm;gap:0 1cm}
.figures figure{max-width:8cm;margin:.4rem 0}.cards.wide-cards{grid-template-columns:1fr 1fr}
pre.parameters{white-space:pre-wrap;font-size:7pt}}
"""


@dataclass(frozen=True, slots=True, eq=False)
class CertificateParts:
    """The tables and figures of a certificate; those by outcome in the order of outcomes."""

    verdicts: Table
    performance: tuple[Table, ...]
    designs: tuple[Table, ...]
    districts: Table | None
    expectations: Table | None
    calibration: Table | None
    bias: tuple[ReportFigure, ...]
    coverage: tuple[ReportFigure, ...]
    power: ReportFigure
    zip: ReportFigure

    @property
    def tables(self) -> tuple[Table, ...]:
        """All tables, in the order of their numbers."""
        single = (self.districts, self.expectations, self.calibration)
        others = tuple(table for table in single if table is not None)
        return (self.verdicts, *self.performance, *self.designs, *others)

    @property
    def figures(self) -> tuple[ReportFigure, ...]:
        """All figures, in the order of their numbers."""
        return (*self.bias, self.zip, *self.coverage, self.power)


def build_certificate(certificate: Certificate, calibration: Table | None = None) -> Report:
    """Make the page, the tables and the figures of a certificate.

    Parameters
    ----------
    certificate
        Of one or both modes.
    calibration
        Targets of the districts and what was obtained, if it is known.

    Returns
    -------
    Report
        The same text and bytes for the same certificate.
    """
    parts = _parts(certificate, calibration)
    return Report(
        html=whole_page(
            f"{TITLE} {certificate.design.title}",
            STYLE + OWN_STYLE,
            _header(certificate),
            _sections(certificate, parts),
            _footer(),
        ),
        tables=parts.tables,
        figures=parts.figures,
        summary=verdict_summary(certificate),
    )


def _parts(certificate: Certificate, calibration: Table | None) -> CertificateParts:
    main, *others = modes_of(certificate)
    fixed = "fixed" in modes_of(certificate)
    outcomes = list(dict.fromkeys(one.outcome for one in main_performance(certificate, main)))
    return CertificateParts(
        verdicts=tables.certificate_verdicts(certificate),
        performance=(
            tables.certificate_performance(certificate, main),
            *(tables.certificate_performance(certificate, mode, f"R2_{mode}") for mode in others),
        ),
        designs=(
            tables.certificate_designs(certificate, main),
            *(tables.certificate_designs(certificate, mode, f"R3_{mode}") for mode in others),
        ),
        districts=tables.certificate_districts(certificate) if fixed else None,
        expectations=tables.certificate_expectations(certificate),
        calibration=calibration,
        bias=tuple(_bias_figure(certificate, name) for name in outcomes),
        coverage=tuple(_coverage_figure(certificate, name) for name in outcomes),
        power=_drawn(
            "FR4",
            "The probability that the design finds an effect, by the size of the true effect",
            figures.power_curve(certificate),
            figures.power_curve_alt_text(certificate),
        ),
        zip=_drawn(
            "FR2",
            "Every interval of the design less the truth, the closest estimates at the bottom",
            figures.zip_plot(certificate),
            figures.zip_plot_alt_text(certificate),
        ),
    )


def _bias_figure(certificate: Certificate, outcome: str) -> ReportFigure:
    return _drawn(
        f"FR1_{outcome}",
        "How far each design is off on average, with its Monte Carlo interval",
        figures.bias_by_design(certificate, outcome=outcome),
        figures.bias_by_design_alt_text(certificate, outcome=outcome),
    )


def _coverage_figure(certificate: Certificate, outcome: str) -> ReportFigure:
    return _drawn(
        f"FR3_{outcome}",
        "How often the intervals of each design hold the truth, with its Monte Carlo interval",
        figures.coverage_by_design(certificate, outcome=outcome),
        figures.coverage_by_design_alt_text(certificate, outcome=outcome),
    )


def _drawn(name: str, title: str, figure: Figure, alt: str) -> ReportFigure:
    svg, png = figures.to_svg(figure), figures.to_png(figure)
    return ReportFigure(name, title, svg, png, alt, synthetic=True)


def _sections(certificate: Certificate, parts: CertificateParts) -> Sequence[str]:
    several = any(one.design != MAIN for one in certificate.performance)
    return [
        verdict_section(certificate, parts.verdicts),
        bias_section(parts.bias),
        coverage_section(parts.coverage, parts.zip),
        power_section(certificate, parts.power),
        *([choices_section(parts.designs)] if several else []),
        *([districts_section(certificate, parts.districts)] if parts.districts else []),
        numbers_section(parts.performance),
        source_section(certificate, parts.expectations, parts.calibration),
        how_made_section(certificate),
        reading_section(),
    ]


def _header(certificate: Certificate) -> str:
    mode = main_mode(certificate)
    return (
        f'<p class="kicker">Certificate of a study’s design · homevisit_eval '
        f"{escape(version('homevisit-eval'))}</p>\n<h1>{escape(TITLE)}</h1>\n"
        f"<p>{escape(asked(certificate, mode))}</p>\n"
        f'<div class="banner" role="note"><strong>{SYNTHETIC}</strong>{escape(BANNER)}</div>'
    )


def _footer() -> str:
    return (
        f"<p>{SYNTHETIC}. Every table is also a CSV file in the folder tables, every figure an "
        "SVG and a PNG file in the folder figures; trials.csv has every single estimate. The file "
        "manifest.json has the versions of all libraries and the checksums of all files.</p>"
    )
