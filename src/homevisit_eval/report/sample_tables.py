"""Tables of who was studied: students by year and grade (T2) and the sample flow (F1)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import pandas as pd

from homevisit_eval.disclosure import SMALLEST_COUNT_SHOWN, suppress_small_counts
from homevisit_eval.effect_sizes import weighted_mean
from homevisit_eval.report.estimand_words import groups_made_alike
from homevisit_eval.report.words import in_sentence, question_words, reader_words
from homevisit_eval.sample.labels import grades_text, school_year_text
from homevisit_eval.sample.score_grades import LEFT_OUT_WORDS, grade_years
from homevisit_eval.table import Kind, Sum, Table, format_value

if TYPE_CHECKING:
    from homevisit_eval.design.method_facts import Comparison
    from homevisit_eval.effects import Effect
    from homevisit_eval.matching import MatchedSample

__all__ = ["FLOW_GROUPS", "sample_counts", "sample_flow"]

FLOW_GROUPS = ("visited", "comparison", "neither")
ALL_YEARS = "All years"
ALL_GRADES = "All grades"

WITHOUT: Mapping[Comparison, str] = {
    "matched": "Without a match",
    "weighted": "Without a weight",
    "unmatched": "Not used",
}
NOT_CHOSEN: Mapping[Comparison, str] = {
    "matched": "Not chosen as a match",
    "weighted": "Without a weight, of those who are weighted to resemble the others",
    "unmatched": "Not used",
}
KEPT: Mapping[Comparison, str] = {
    "matched": "Matched",
    "weighted": "Weighted",
    "unmatched": "Used",
}

Line = Literal["remaining", "excluded", "recounted", "not observed", "observed"]


@dataclass(frozen=True, slots=True)
class FlowLine:
    """One line of the printed flow, from enrollment to an observed outcome."""

    line: Line
    name: str
    label: str
    visited: int
    comparison: int
    neither: int = 0
    of_visited: int = 0
    of_comparison: int = 0

    @property
    def attrition_visited(self) -> float | None:
        """Share of the compared visited without the outcome; None on other lines."""
        return self._share(self.visited, self.of_visited)

    @property
    def attrition_comparison(self) -> float | None:
        """Share of the comparison students without the outcome; None on other lines."""
        return self._share(self.comparison, self.of_comparison)

    def _share(self, count: int, among: int) -> float | None:
        return count / among if self.line == "not observed" and among else None


def sample_counts(matched: MatchedSample, name: str = "T2") -> Table:
    """Return matched student-years by school year, grade and group, and distinct students.

    Parameters
    ----------
    matched
        Students with a positive weight are counted.
    name
        The number of the table in a report.
    """
    baseline = matched.sample.baseline
    used = baseline[matched.matches.weights > 0]
    rows: list[tuple[str, str, int, int]] = []
    year_rows: list[int] = []
    sums: list[Sum] = []
    for year, of_year in used.groupby("school_year", observed=True, sort=True):
        heading, first = school_year_text(int(str(year))), len(rows)
        for grade, cell in of_year.groupby("grade", observed=True, sort=True):
            rows.append((heading, grades_text([int(str(grade))]).capitalize(), *_by_group(cell)))
        for column in ("visited", "comparison"):
            parts = tuple((row, column) for row in range(first, len(rows)))
            sums.append(Sum(parts, (len(rows), column)))
        year_rows.append(len(rows))
        rows.append((heading, ALL_GRADES, *_by_group(of_year)))
    for column in ("visited", "comparison"):
        sums.append(Sum(tuple((row, column) for row in year_rows), (len(rows), column)))
    rows.append((ALL_YEARS, "Student-years", *_by_group(used)))
    first_time = used.drop_duplicates(["unit_id", "visited"])
    rows.append((ALL_YEARS, "Distinct students", *_by_group(first_time)))
    frame = pd.DataFrame(rows, columns=["school_year", "grade", "visited", "comparison"])
    return suppress_small_counts(
        Table(
            name=name,
            title="Students who were compared, by school year and grade",
            frame=frame[["grade", "school_year", "visited", "comparison"]],
            kinds={
                "grade": "text", "school_year": "text", "visited": "count", "comparison": "count"
            },
            labels={"grade": "Grade", "visited": "Visited", "comparison": "Comparison"},
            notes=("Grade and school year are those of the outcome. A student who is studied in "
                   "two school years counts as two student-years and as one distinct student.",),
            synthetic=matched.sample.synthetic,
            population=question_words(matched.sample.question),
            section="school_year",
            sums=tuple(sums),
        )
    )  # fmt: skip


def sample_flow(matched: MatchedSample, effects: Sequence[Effect] = (), name: str = "F1") -> Table:
    """Return the way from all enrolled student-years to those whose outcome was observed.

    Parameters
    ----------
    matched
        Its sample holds the flow up to the candidates for matching.
    effects
        Effects of this question: one line an outcome for those not observed, one for those
        observed.
    name
        The number of the table in a report.
    """
    lines = [*_candidate_lines(matched), *_matching_lines(matched)]
    lines += _outcome_lines(matched, effects)
    columns = ["label", "line", "name", *FLOW_GROUPS, "attrition_visited", "attrition_comparison"]
    frame = pd.DataFrame(
        [[getattr(one, name) for name in columns] for one in lines], columns=columns
    )
    shares = ["attrition_visited", "attrition_comparison"]
    frame[shares] = frame[shares].astype(float)
    kinds: dict[str, Kind] = {"label": "text", "line": "text", "name": "text"}
    kinds |= dict.fromkeys(FLOW_GROUPS, "count")
    kinds |= dict.fromkeys(shares, "rate")
    return suppress_small_counts(
        Table(
            name=name,
            title="From enrolled students to observed outcomes",
            frame=frame,
            kinds=kinds,
            labels={
                "label": "Step", "visited": "Visited", "comparison": "Comparison",
                "neither": "Neither", "attrition_visited": "Visited",
                "attrition_comparison": "Comparison",
            },
            notes=(
                "Counts are student-years. Lines that begin with “–” are those who leave; each "
                "other count is the one before it less those who leave between.",
                "Neither: visited only under a program or in a mode that this question leaves out.",
                "Attrition: share of the compared whose outcome was not observed, in the grades "
                "and years that its impact is about.",
                *_enrollment_notes(matched),
            ),
            synthetic=matched.sample.synthetic,
            population=question_words(matched.sample.question),
            spanners=(("Student-years", FLOW_GROUPS), ("Attrition", tuple(shares))),
            csv_only=("line", "name"),
            groups={"visited": ("attrition_visited",), "comparison": ("attrition_comparison",)},
            sums=_flow_sums(lines),
            kept=_kept_cells(lines),
        )
    )  # fmt: skip


def _by_group(rows: pd.DataFrame) -> tuple[int, int]:
    visited = int((rows["visited"] == 1).sum())
    return visited, len(rows) - visited


def _candidate_lines(matched: MatchedSample) -> list[FlowLine]:
    return [
        FlowLine(
            step.kind,
            step.name,
            f"– {step.label}" if step.kind == "excluded" else step.label,
            step.visited,
            step.comparison,
            step.neither,
        )
        for step in matched.sample.flow
    ]


def _matching_lines(matched: MatchedSample) -> list[FlowLine]:
    sample = matched.sample
    lost = (
        sample.n_visited - matched.n_visited,
        sample.n_comparison - matched.n_comparison,
    )
    if not any(lost):
        return []
    made = groups_made_alike(matched.matches)
    lines = [
        FlowLine(
            "excluded",
            "without_match",
            f"– {WITHOUT[made]}: {reader_words(reason, sample.design)}",
            *counts,
        )
        for reason, counts in _reasons(matched)
    ]
    left = [
        count - sum(getattr(one, group) for one in lines)
        for count, group in zip(lost, ("visited", "comparison"), strict=True)
    ]
    lines.append(FlowLine("excluded", "not_chosen", f"– {NOT_CHOSEN[made]}", *left))
    return [
        *lines,
        FlowLine("remaining", "matched", KEPT[made], matched.n_visited, matched.n_comparison),
    ]


def _reasons(matched: MatchedSample) -> list[tuple[str, tuple[int, int]]]:
    """Return why those whom the estimand is about are not used, with counts of both groups."""
    unmatched = matched.matches.unmatched
    visited = matched.sample.baseline["visited"].reindex(unmatched["row"]).to_numpy() == 1
    return [
        (str(reason), (int((here & visited).sum()), int((here & ~visited).sum())))
        for reason in sorted(unmatched["reason"].unique())
        for here in [unmatched["reason"].to_numpy() == reason]
    ]


def _outcome_lines(matched: MatchedSample, effects: Sequence[Effect]) -> list[FlowLine]:
    lines = []
    for effect in effects:
        name = effect.outcome.name
        label, among = effect.outcome.label, (matched.n_visited, matched.n_comparison)
        seen = (effect.n_visited, effect.n_comparison)
        for words, left in _left_out(matched, name):
            among = (among[0] - left[0], among[1] - left[1])
            lines.append(FlowLine("excluded", name, f"– {label}: {in_sentence(words)}", *left))
        unseen = (among[0] - seen[0], among[1] - seen[1])
        lines += [
            FlowLine("not observed", name, f"– {label} not observed", *unseen, 0, *among),
            FlowLine("observed", name, f"{label} observed", *seen),
        ]
    return lines


def _left_out(matched: MatchedSample, outcome: str) -> Iterator[tuple[str, tuple[int, int]]]:
    """Yield why a score's impact is not about some of the compared, with counts of both groups."""
    found = [one.left_out for one in matched.sample.score_grades if one.outcome == outcome]
    used = matched.sample.baseline[matched.matches.weights > 0]
    keys = grade_years(used)
    for reason, words in LEFT_OUT_WORDS.items():
        rows = used[[any(left.get(key) == reason for left in found) for key in keys]]
        if len(rows):
            yield words, _by_group(rows)


def _enrollment_notes(matched: MatchedSample) -> list[str]:
    """Return the mean days enrolled by group: who leaves early has less time for anything."""
    weights = matched.matches.weights.to_numpy(dtype=float)
    days = matched.sample.outcomes["days_enrolled"].to_numpy(dtype=float)
    visited = matched.sample.baseline["visited"].to_numpy() == 1
    groups = [group & (weights > 0) for group in (visited, ~visited)]
    if any(group.sum() < SMALLEST_COUNT_SHOWN for group in groups):
        return []
    means = [
        format_value(weighted_mean(days[group], weights[group]), "number", digits=1)
        for group in groups
    ]
    return [
        f"Mean days enrolled in the outcome year of the compared: visited {means[0]}, "
        f"comparison {means[1]}."
    ]


def _flow_sums(lines: Sequence[FlowLine]) -> tuple[Sum, ...]:
    sums: list[Sum] = []
    for column in FLOW_GROUPS:
        last: int | None = None
        leaving: list[int] = []
        for row, one in enumerate(lines):
            if one.line in ("excluded", "not observed"):
                leaving.append(row)
                continue
            if last is not None and one.line != "recounted":
                parts = tuple((part, column) for part in (*leaving, row))
                sums.append(Sum(parts, (last, column)))
            leaving = []
            if one.line in ("remaining", "recounted"):
                last = row
    return tuple(sums)


def _kept_cells(lines: Sequence[FlowLine]) -> frozenset[tuple[int, str]]:
    """The first and the last count of all, and those with an outcome, which T1 and T2 show."""
    remaining = [row for row, one in enumerate(lines) if one.line == "remaining"]
    observed = [row for row, one in enumerate(lines) if one.line == "observed"]
    ends = {remaining[0], remaining[-1], *observed} if remaining else set(observed)
    return frozenset((row, column) for row in ends for column in FLOW_GROUPS)
