"""How a certificate was made: districts, what is random, which truth, which rules, words."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from homevisit_eval.certificate.designs import primary_questions
from homevisit_eval.certificate.expected import expectation_of
from homevisit_eval.certificate.verdicts import (
    FEWEST_REPLICATIONS,
    LARGEST_BIAS_OF_NAIVE,
    LARGEST_BIAS_OF_STD_ERROR,
    NOMINAL_COVERAGE,
    NOMINAL_REJECTION,
)
from homevisit_eval.design import design_checksum
from homevisit_eval.design.method_facts import target_of
from homevisit_eval.report.certificate_words import MODE_WORDS, modes_of
from homevisit_eval.report.estimand_words import WHOSE_EFFECT
from homevisit_eval.report.method_words import read_aloud
from homevisit_eval.report.page import paragraph, section, table_html
from homevisit_eval.sample.labels import listed
from homevisit_eval.synthetic.district_file import district_text
from homevisit_eval.table import Table

if TYPE_CHECKING:
    from homevisit_eval.certificate import Certificate
    from homevisit_eval.synthetic.presets import Expectation

__all__ = ["how_made_section", "reading_section", "source_section"]


def source_section(
    certificate: Certificate, expectations: Table | None, calibration: Table | None
) -> str:
    """Return what the districts are like: what was expected, calibration, parameters."""
    parameters = escape(district_text(certificate.district))
    stated = expectation_of(certificate.district)
    return section(
        "source",
        "What the districts are like",
        paragraph(
            f"All districts are of the kind “{certificate.district.name}”. Their parameters say "
            "how many schools and students there are, how attendance, incidents and scores come "
            "about, who is visited, and what a visit changes.",
            _stated_text(stated) if stated else "",
        ),
        table_html(expectations) if expectations else "",
        table_html(calibration) if calibration else "",
        "<details><summary>All parameters, as in the file district.toml</summary>\n"
        f'<pre class="parameters" tabindex="0">{parameters}</pre></details>',
    )


def how_made_section(certificate: Certificate) -> str:
    """Return how the certificate was made, what is random, the rules, and the limits."""
    random = "\n".join(
        f"<dt>{escape(MODE_WORDS[mode][0].capitalize())}</dt><dd>{escape(MODE_WORDS[mode][1])}</dd>"
        for mode in modes_of(certificate)
    )
    return section(
        "made",
        "How this was made",
        paragraph(
            "Each replication makes a district and carries out the study by the same functions as "
            "the command run. " + read_aloud(certificate.design.matching)
        ),
        "<h3>What is random</h3>",
        f'<dl class="terms">\n{random}\n</dl>',
        "<h3>Which truth</h3>",
        paragraph(
            "The true effect of a visit on a student is the difference of two expected outcomes, "
            "with and without the visit, given all that was fixed before. (a) is its mean over "
            "all visited candidates (eligible, with a complete baseline) whose outcome is "
            "observed, (b) its mean over those whom the design kept, with its weights, (c) the "
            f"mean of (a) over replications.{_other_targets(certificate)}"
        ),
        "<h3>Rules of the verdicts</h3>",
        _rules(),
        "<h3>What this cannot show</h3>",
        paragraph(
            "A real district may differ from all of these in ways that nobody thought of. Above "
            "all: if families and teachers choose visits for reasons that no file records, a "
            "design may pass here and be wrong there. The preset hidden_confounding shows by how "
            "much."
        ),
        f"<p>Seed {certificate.seed}; design with SHA-256 "
        f'<span class="mono">{escape(design_checksum(certificate.design))}</span>. The file '
        "manifest.json says what a replication costs.</p>",
    )


def _other_targets(certificate: Certificate) -> str:
    """Return what (b) is for designs that are not for the effect on the visited, if there are."""
    design = certificate.design
    asked = [one.matching for one in primary_questions(design)]
    varied = [one.matching for one in design.sensitivity]
    targets = {target_of(one) for one in (design.matching, *asked, *varied) if one is not None}
    others = [WHOSE_EFFECT[target] for target in sorted(targets - {"ATT"})]
    if not others:
        return ""
    return (
        f" For a design that is for {listed(others)}, (b) is that effect; (a) and (c) remain "
        "effects on the visited, so what is compared with them says nothing of such a design."
    )


def reading_section() -> str:
    """Return the words of the page, explained."""
    terms = "\n".join(f"<dt>{escape(word)}</dt><dd>{escape(text)}</dd>" for word, text in TERMS)
    return section("glossary", "How to read this page", f'<dl class="terms">\n{terms}\n</dl>')


TERMS = (
    (
        "Visited, comparison",
        "Visited students had a completed home visit before the school year, or in the window that "
        "a table names. Comparison students are eligible students without such a visit.",
    ),
    (
        "Replication",
        "One district, made with a random number generator, in which the whole study is done.",
    ),
    (
        "Bias",
        "The average of estimate less truth over replications. A single study is off by more, "
        "because of chance; its standard error says by how much.",
    ),
    (
        "Plain comparison, naive bias",
        "Visited students less all other eligible students, without matching or regression, and "
        "how far that is from the truth: the size of the problem that the design has to solve.",
    ),
    (
        "Coverage",
        "The share of replications whose interval holds the truth. Of 95% intervals it should be "
        "95%.",
    ),
    (
        "Power",
        "The probability that a study finds an effect that is there.",
    ),
    (
        "Expected effect",
        "What a visit changes on average, over all visited students of districts like this one.",
    ),
    (
        "Monte Carlo error, Monte Carlo interval",
        "The numbers of this page rest on a limited number of replications. The interval says "
        "where they could lie if there were many more.",
    ),
    (
        "Standard error, SD, RMSE",
        "Standard error: how far an estimate lies from its average by chance. SD: standard "
        "deviation, the spread of an outcome among students. RMSE: how far one study is "
        "typically off, bias and chance together.",
    ),
    (
        "Worst SMD",
        "The largest difference between the groups before the visit over all characteristics, in "
        "standard deviations.",
    ),
)


def _stated_text(stated: Expectation) -> str:
    recovers = "recovers" if stated.recovers else "does not recover"
    return f"Stated before any was made: the default design {recovers} the truth. {stated.because}"


def _rules() -> str:
    low, high = NOMINAL_COVERAGE
    few, many = NOMINAL_REJECTION
    rules = (
        (
            "Bias.",
            "The far end of the Monte Carlo 95% interval of the bias is at most "
            f"{LARGEST_BIAS_OF_STD_ERROR:g} standard errors and at most "
            f"{LARGEST_BIAS_OF_NAIVE:.0%} of the naive bias, where that exceeds one standard "
            "error. The truth is that of the students kept (b).",
        ),
        (
            "Coverage.",
            f"The Monte Carlo interval lies inside {low:.1%} to {high:.1%} (schools redrawn, "
            f"of the expected effect), or from {low:.1%} on (schools fixed, of the effect on "
            "the students kept).",
        ),
        (
            "False positives.",
            f"Where visits do nothing, p < .05 comes in {few:.1%} to {many:.1%} of replications.",
        ),
        (
            "Otherwise.",
            "Fail, if the Monte Carlo interval lies wholly outside the limits; undecided, if "
            f"it lies neither inside nor outside, or with fewer than {FEWEST_REPLICATIONS} "
            "replications.",
        ),
    )
    items = "\n".join(
        f"<li><strong>{escape(head)}</strong> {escape(text)}</li>" for head, text in rules
    )
    return f"<ul>\n{items}\n</ul>"
