"""Fixed paragraphs of the report: what it can and cannot say, and how to read it."""

from __future__ import annotations

__all__ = ["GLOSSARY", "LIMITATIONS", "SYNTHETIC_BANNER"]

SYNTHETIC_BANNER = (
    "These students do not exist. The numbers show how the study works; they say nothing about "
    "any real child, school or district, and nothing about what home visits do."
)

LIMITATIONS = (
    (
        "This is not a randomized trial.",
        "Teachers and families chose who was visited. Visited students are compared with similar "
        "students, and what was recorded before the visit is adjusted for. A family's situation or "
        "wishes are not in any file; if they led both to a visit and to better (or worse) "
        "outcomes, the difference is not the effect of the visit.",
    ),
    (
        "It speaks of the students who were matched.",
        "Visited students for whom no similar student was found are left out. For them, and for "
        "students of other districts or years, the difference may be another one.",
    ),
    (
        "Students of one school share their circumstances.",
        "The intervals allow for that by treating schools as the independent units. With few "
        "schools they rest on few degrees of freedom (table B1: df), and below 4 they should not "
        "be relied on.",
    ),
    (
        "No clear difference is not proof of no difference.",
        "The interval says which differences the data leave possible.",
    ),
    (
        "Students who left the district are missing.",
        "An outcome that was not observed is not imputed; the flow of students shows how many "
        "these are in each group.",
    ),
)

GLOSSARY = (
    (
        "Visited, comparison",
        "Visited students had a completed home visit in the summer before the school year. "
        "Comparison students are similar students without such a visit.",
    ),
    (
        "Adjusted mean",
        "The mean of the visited students, and what the model expects of the same students had "
        "they not been visited.",
    ),
    (
        "Percentage point (pp)",
        "The unit of a difference of two percents: from 12% to 9% is 3 percentage points less.",
    ),
    (
        "Interval",
        "A range of differences that are compatible with the data. In repeated studies of this "
        "kind, about 95 of 100 such 95% intervals would contain the true difference.",
    ),
    (
        "p, p adjusted",
        "How surprising the difference would be if there were none in truth. The adjusted value "
        "takes into account that several outcomes were tested.",
    ),
    (
        "Effect size",
        "The difference in standard deviations, so that outcomes in different units "
        "can be compared.",
    ),
    (
        "Student-year",
        "One student in one school year. A student studied in two years counts twice.",
    ),
    (
        "Matched, propensity score",
        "The propensity score is the chance of being visited, judged from what was known before. "
        "A visited student is matched to a student with a similar chance who was not visited.",
    ),
    (
        "Baseline equivalence",
        "Whether the two groups were alike before the visit.",
    ),
    (
        "<10 and *",
        "Numbers that rest on fewer than 10 students are not shown, nor others that would give "
        "them away.",
    ),
)
