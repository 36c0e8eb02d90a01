"""School years and grades in words, for flow lines, notes and errors."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from homevisit_eval.design.questions import Window
from homevisit_eval.design.school_years import school_year_text

__all__ = [
    "WINDOW_WORDS",
    "grade_years_text",
    "grades_text",
    "listed",
    "school_year_text",
    "school_years_text",
]

WINDOW_WORDS: Mapping[Window, str] = {
    "before_year": "before the school year",
    "fall": "in the fall",
    "spring": "in the spring",
    "during_year": "during the school year",
    "any_time": "before or during the school year",
    "first_ever": "for the first time",
}
"""When the visits of a window are made, as it stands after "visited"."""

GRADE_NAMES = {-2: "preschool", -1: "pre-kindergarten", 0: "kindergarten"}


def school_years_text(school_years: Iterable[int]) -> str:
    """Return school years as printed: a range if none is left out.

    >>> school_years_text([2016, 2015, 2017]), school_years_text([2014, 2016])
    ('2014-15 to 2016-17', '2013-14, 2015-16')
    """
    years = sorted(set(school_years))
    if len(years) > 1 and years == list(range(years[0], years[-1] + 1)):
        return f"{school_year_text(years[0])} to {school_year_text(years[-1])}"
    return ", ".join(school_year_text(year) for year in years)


def grades_text(grades: Iterable[int]) -> str:
    """Return grades as printed: a range if none is left out.

    >>> grades_text([1, 2, 3]), grades_text([0, 1, 2]), grades_text([3]), grades_text([3, 5])
    ('grades 1-3', 'kindergarten, grades 1-2', 'grade 3', 'grades 3, 5')
    """
    wanted = sorted(set(grades))
    named = [GRADE_NAMES[grade] for grade in wanted if grade in GRADE_NAMES]
    numbers = [grade for grade in wanted if grade not in GRADE_NAMES]
    if len(numbers) == 1:
        named.append(f"grade {numbers[0]}")
    elif numbers and numbers == list(range(numbers[0], numbers[-1] + 1)):
        named.append(f"grades {numbers[0]}-{numbers[-1]}")
    elif numbers:
        named.append(f"grades {', '.join(str(grade) for grade in numbers)}")
    return ", ".join(named)


def grade_years_text(grade_years: Iterable[tuple[int, int]]) -> str:
    """Return pairs (school year, grade) as printed, grades with the same years together.

    >>> grade_years_text([(2015, 3), (2016, 3), (2016, 4), (2016, 5)])
    'grade 3 (2014-15 to 2015-16), grades 4-5 (2015-16)'
    """
    years: dict[int, list[int]] = {}
    for school_year, grade in sorted(grade_years):
        years.setdefault(grade, []).append(school_year)
    grades: dict[tuple[int, ...], list[int]] = {}
    for grade in sorted(years):
        grades.setdefault(tuple(years[grade]), []).append(grade)
    return ", ".join(
        f"{grades_text(together)} ({school_years_text(same)})" for same, together in grades.items()
    )


def listed(words: Sequence[str], last: str = "and") -> str:
    """Return words as a list in a sentence, with semicolons if a word has commas of its own.

    >>> listed(["a", "b", "c"]), listed(["FEP", "FEC"], "or"), listed(["a, b", "c"])
    ('a, b and c', 'FEP or FEC', 'a, b; and c')
    """
    if len(words) < 2:
        return "".join(words)
    if any("," in word for word in words):
        return f"{'; '.join(words[:-1])}; {last} {words[-1]}"
    return f"{', '.join(words[:-1])} {last} {words[-1]}"
