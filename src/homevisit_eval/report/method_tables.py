"""Tables of how it was done: variables (A1), matching read aloud (A3), provenance (C8)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING

import pandas as pd

from homevisit_eval.design import Measurement, Question, StudyDesign
from homevisit_eval.design.questions import Dose, Window
from homevisit_eval.design.study import PartialDay
from homevisit_eval.disclosure import SMALLEST_COUNT_SHOWN, shown_count, suppress_small_counts
from homevisit_eval.report.estimand_words import WHOSE_EFFECT
from homevisit_eval.report.method_words import LINK_WORDS, read_aloud
from homevisit_eval.report.missing_table import missing_rule_aloud
from homevisit_eval.report.score_words import score_rules_aloud
from homevisit_eval.report.words import in_sentence, outcome_unit, question_words, reader_words
from homevisit_eval.sample.labels import listed, school_years_text
from homevisit_eval.table import HIDDEN, Sum, Table, format_value

if TYPE_CHECKING:
    from homevisit_eval.evaluation import Evaluation
    from homevisit_eval.matching import MatchedSample

__all__ = [
    "decisions",
    "matching_specification",
    "panel_counts",
    "provenance",
    "read_aloud",
    "variables",
]

SHORT_CHECKSUM = 12

POOL_WORDS: Mapping[str, str] = {
    "not_visited_before_year": "eligible students who were not visited before the school year; "
    "visits later in the year are part of the natural course and stay in",
    "never_visited_that_year": "eligible students who were not visited at any time of the school "
    "year (chosen on the future, and biased for that reason)",
}
SCHOOL_WORDS: Mapping[str, str] = {
    "any": "students of any school",
    "same_school": "students of the visited student's school",
    "outside_program": "students of schools that take part in none of these programs that year",
}
DAY_WORDS: Mapping[PartialDay, str] = {
    "fraction": "a partial day counts as the fraction that was missed",
    "absent_if_over": "a day of which more than {threshold:.0%} was missed counts as absent, any "
    "other as present",
}


WINDOW_WORDS: Mapping[Window, str] = {
    "before_year": "after the last day of the previous school year and before the school's first "
    "instructional day",
    "fall": "in the fall of the school year, from its first instructional day on",
    "spring": "in the spring of the school year",
    "during_year": "on the first instructional day of the school year or later in it",
    "any_time": "before the school year or during it",
    "first_ever": "before the school year or during it, and none in an earlier year",
}
DOSE_WORDS: Mapping[Dose, str] = {
    "any": "",
    "one": "; exactly one",
    "two_or_more": "; two or more, on different days",
    "two_or_more_against_one": "; two or more, on different days",
}
AT_RISK = (
    "eligible students who were enrolled on the day of the visit and had no visit that school year "
    "through that day"
)


def _pool_words(question: Question) -> str:
    """Return who may be a comparison student, and how long they are followed."""
    if question.against_one:
        return "eligible students with one such visit before the school year"
    pool = AT_RISK if question.during else POOL_WORDS[question.pool]
    if question.later_visits == "none":
        return f"{pool}; pairs are followed until the comparison student is visited"
    return f"{pool}; they are followed whether visited later or not" if question.during else pool


def matching_specification(matched: MatchedSample, name: str = "A3") -> Table:
    """Return how the comparison group was made: method, pool, covariates, fitted models.

    Parameters
    ----------
    matched
        The realized matches; counts of students stand in the sample flow (F1), not here.
    name
        The number of the table in a report.
    """
    question, method = matched.sample.question, matched.matches.method
    estimand = matched.matches.estimand
    rows = [
        ("Method", read_aloud(method)),
        ("Whose effect", f"{estimand} ({estimand.target}: {WHOSE_EFFECT[estimand.target]})"),
        ("Visits that count", f"{listed(question.programs)}, {listed(question.modes)}, completed, "
         f"{WINDOW_WORDS[question.window]}{DOSE_WORDS[question.dose]}".replace("_", " ")),
        ("Comparison pool", f"{_pool_words(question)}; "
         f"{SCHOOL_WORDS[question.comparison_schools]}"),
    ]  # fmt: skip
    rows += _covariate_rows(matched)
    rows.append(
        ("Missing covariates", missing_rule_aloud(matched.sample.design.missing_covariates))
    )
    if matched.sample.score_grades:
        rules = score_rules_aloud(matched.sample.design.achievement)
        rows.append(("Grades of test scores", " ".join(rules)))
    rows += _model_rows(matched)
    rows += _run_rows(matched)
    rows += [("Note", note) for note in matched.sample.notes]
    return suppress_small_counts(
        Table(
            name=name,
            title="How the comparison group was made",
            frame=pd.DataFrame(rows, columns=["item", "specification"]),
            kinds={"item": "text", "specification": "text"},
            labels={"item": "Item", "specification": "Specification"},
            synthetic=matched.sample.synthetic,
            population=question_words(question),
        )
    )


def variables(design: StudyDesign, synthetic: bool = False, name: str = "A1") -> Table:
    """Return the outcomes and baseline covariates of a design with their units."""
    rows = [
        (one.label, "Outcomes", one.name, f"{outcome_unit(one)}; {one.domain}; "
         f"{one.beneficial} is better")
        for one in design.outcomes
    ] + [
        (one.label, "Baseline covariates", one.name,
         "; ".join(
             ["measured before the visit"]
             + ["also squared"] * one.squared
             + ["only in grades and years that have it"] * one.where_measured
         ))
        for one in design.covariates
    ]  # fmt: skip
    return Table(
        name=name,
        title="Outcomes and baseline covariates",
        frame=pd.DataFrame(rows, columns=["label", "part", "name", "definition"]),
        kinds=dict.fromkeys(("label", "part", "name", "definition"), "text"),
        labels={"label": "Variable", "name": "Name in files", "definition": "Unit and use"},
        notes=_measurement_notes(design),
        synthetic=synthetic,
        section="part",
    )


def provenance(evaluation: Evaluation, name: str = "C8") -> Table:
    """Return the files that were read, with their rows and checksums."""
    frame = pd.DataFrame(
        [(file.name, file.rows, file.sha256) for file in evaluation.files],
        columns=["file", "rows", "sha256"],
    )
    frame.insert(2, "checksum", [str(text)[:SHORT_CHECKSUM] for text in frame["sha256"]])
    return suppress_small_counts(
        Table(
            name=name,
            title="Files that were read",
            frame=frame,
            kinds={"file": "text", "rows": "count", "checksum": "text", "sha256": "text"},
            labels={"file": "File", "rows": "Rows", "checksum": "SHA-256 (first 12)"},
            synthetic=evaluation.synthetic,
            csv_only=("sha256",),
        )
    )


def decisions(evaluation: Evaluation, name: str = "D1") -> Table | None:
    """Return what was decided about rows of the files, counted; None if nothing was."""
    rows = [
        (one.file, one.rule.replace("_", " "), one.column, one.count, one.advice)
        for one in evaluation.decisions
    ]
    if not rows:
        return None
    return suppress_small_counts(
        Table(
            name=name,
            title="Decisions about the files",
            frame=pd.DataFrame(rows, columns=["file", "rule", "column", "rows", "decision"]),
            kinds={
                "file": "text", "rule": "text", "column": "text", "rows": "count",
                "decision": "text",
            },
            labels={
                "file": "File", "rule": "What was found", "column": "Column", "rows": "Rows",
                "decision": "What was done",
            },
            synthetic=evaluation.synthetic,
        )
    )  # fmt: skip


def panel_counts(evaluation: Evaluation, name: str = "D2") -> Table | None:
    """Return how many records became part of the student-years; None if nothing was counted."""
    counts = evaluation.panel_counts
    if not counts:
        return None
    rows = [
        (one.source, one.rows_in, one.rows_used, one.rows_in - one.rows_used, one.note)
        for one in counts
    ]
    sums = [
        Sum(((row, "rows_used"), (row, "rows_left_out")), (row, "rows_in"))
        for row in range(len(rows))
    ]
    sums += [
        Sum(((row, "rows_in"),), (row - 1, "rows_used"))
        for row in range(1, len(rows))
        if counts[row].source == counts[row - 1].source
        and counts[row].rows_in == counts[row - 1].rows_used
    ]
    columns = ["source", "rows_in", "rows_used", "rows_left_out", "note"]
    return suppress_small_counts(
        Table(
            name=name,
            title="From records to student-years",
            frame=pd.DataFrame(rows, columns=columns),
            kinds={
                "source": "text", "rows_in": "count", "rows_used": "count",
                "rows_left_out": "count", "note": "text",
            },
            labels={
                "source": "Table", "rows_in": "Rows before", "rows_used": "Rows used",
                "rows_left_out": "Left out", "note": "What they are",
            },
            synthetic=evaluation.synthetic,
            sums=tuple(sums),
        )
    )  # fmt: skip


def _covariate_rows(matched: MatchedSample) -> list[tuple[str, str]]:
    labels = {one.name: one for one in matched.sample.adjusted_for}
    bands = matched.sample.covariates
    everywhere = [
        name for name in dict.fromkeys(name for names in bands.values() for name in names)
        if all(name in names for names in bands.values())
    ]  # fmt: skip
    rows = [("Covariates", listed([_covariate_words(labels, name) for name in everywhere]))]
    for band, names in bands.items():
        more = [_covariate_words(labels, name) for name in names if name not in everywhere]
        if more:
            rows.append((f"Covariates, {in_sentence(band)}", f"also {listed(more)}"))
    return rows


def _covariate_words(labels: Mapping[str, object], name: str) -> str:
    one = labels.get(name)
    label = in_sentence(str(getattr(one, "label", name)))
    return f"{label} (also squared)" if getattr(one, "squared", False) else label


def _model_rows(matched: MatchedSample) -> list[tuple[str, str]]:
    rows = []
    for model in matched.matches.propensity:
        width = model.caliper_width
        caliper = (
            f"; caliper {format_value(width, 'number', digits=4)} on that scale" if width else ""
        )
        state = "converged" if model.converged else "did not converge"
        terms = f"{LINK_WORDS[model.link]}, {len(model.names)} terms with the intercept"
        rows.append(
            (
                f"Propensity model{f', {in_sentence(model.band)}' if model.band else ''}",
                f"{terms}, {state}{caliper}",
            )
        )
    return rows


def _run_rows(matched: MatchedSample) -> list[tuple[str, str]]:
    """Return the facts of the run; students matched and not matched stand in the flow (F1)."""
    audit = matched.matches.audit
    rows = [(label, words(matched)) for name, label, words in RUN_FACTS if name in audit]
    notes = reader_words(str(audit.get("notes", "")), matched.sample.design)
    return [*rows, ("Propensity models, notes", notes)] if notes else rows


def _number(matched: MatchedSample, name: str) -> str:
    return format_value(matched.matches.audit[name], "number", digits=4)


def _count(matched: MatchedSample, name: str) -> str:
    return shown_count(int(matched.matches.audit[name]))


def _order(matched: MatchedSample) -> str:
    return reader_words(str(matched.matches.audit["order_rule"]), matched.sample.design)


def _pair_distances(matched: MatchedSample) -> str:
    mean, largest = (_number(matched, name) for name in ("mean_distance", "largest_distance"))
    return f"mean {mean}, largest {largest}"


def _cells(matched: MatchedSample) -> str:
    audit = matched.matches.audit
    cells = f"{audit['exact_strata']:,}"
    if "exact_strata_with_both_groups" in audit:
        return f"{cells}, of which {audit['exact_strata_with_both_groups']:,} with both groups"
    if "exact_strata_without_match" not in audit:
        return cells
    other = "visited" if matched.matches.estimand.target == "ATC" else "comparison"
    return f"{cells}, of which {audit['exact_strata_without_match']:,} without {other} students"


def _proof(matched: MatchedSample) -> str:
    gap = float(matched.matches.audit["solver_gap"])
    return "proved" if gap == 0 else f"a sample larger by up to {gap:.1%} was not ruled out"


def _off_support(matched: MatchedSample) -> str:
    """Return how many had no counterpart, unless a count of few others follows from it."""
    audit, reasons = matched.matches.audit, matched.matches.unmatched["reason"]
    visited, comparison = (
        int(audit[f"{group}_off_support"]) for group in ("treated", "comparison")
    )
    others = matched.sample.n_comparison - matched.n_comparison - comparison
    few = range(1, SMALLEST_COUNT_SHOWN)
    follows = visited > 0 and any(count in few for count in reasons.value_counts())
    shown = (
        HIDDEN if follows else shown_count(visited),
        HIDDEN if others in few else shown_count(comparison),
    )
    return f"{shown[0]} visited, {shown[1]} comparison"


RUN_FACTS: tuple[tuple[str, str, Callable[[MatchedSample], str]], ...] = (
    ("mean_distance", "Order of matching", _order),
    ("mean_distance", "Distance of matched pairs", _pair_distances),
    ("total_distance", "Sum of distances", partial(_number, name="total_distance")),
    (
        "optimal_total_distance",
        "Smallest sum of distances possible",
        partial(_number, name="optimal_total_distance"),
    ),
    ("tied_scores", "Student-years with an equal score", partial(_count, name="tied_scores")),
    (
        "pairs_under_other_tie_rule",
        "Pairs that the other rule for ties would change",
        partial(_count, name="pairs_under_other_tie_rule"),
    ),
    ("exact_strata", "Cells of what must be equal", _cells),
    ("solver_gap", "That the sample is the largest", _proof),
    (
        "largest_difference_left",
        "Largest difference of means left, in standard deviations",
        partial(_number, name="largest_difference_left"),
    ),
    ("treated_off_support", "Student-years without a counterpart", _off_support),
)
"""A fact of the audit, the label of its row, and how it is said."""


def _measurement_notes(design: StudyDesign) -> tuple[str, ...]:
    rules = design.measurement
    years = school_years_text(design.school_years)
    limit = "or more" if rules.chronic_absence_inclusive else "is exceeded"
    return (
        f"School years {years}.",
        "Attendance rate: 1 less days absent over days enrolled, where days enrolled are the "
        "instructional days of the school's calendar within the student's enrollment; "
        f"{_day_rules(rules)}. Tardiness is not absence.",
        f"Chronic absence: {rules.chronic_absence_threshold:.0%} of enrolled days {limit}. "
        f"Any incident: the student took part as {listed(rules.incident_roles)}.",
    )


def _day_rules(rules: Measurement) -> str:
    """Return how partial days count, with the school years in which they count otherwise."""
    words = {
        rule: text.format(threshold=rules.partial_day_threshold) for rule, text in DAY_WORDS.items()
    }
    exceptions = [
        (rule, school_years_text(year for year, said in rules.partial_day_by_year if said == rule))
        for rule in words
        if rule != rules.partial_day
    ]
    return "; ".join(
        [words[rules.partial_day]]
        + [f"in {years}, {words[rule]}" for rule, years in exceptions if years]
    )
