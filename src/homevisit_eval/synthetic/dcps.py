"""The population of the district that is calibrated to DCPS, 2012-13 to 2017-18."""

from __future__ import annotations

from homevisit_eval.synthetic.population import Mobility, SchoolMix

__all__ = ["DCPS_ENROLLMENT", "DCPS_MOBILITY", "DCPS_SCHOOLS", "DCPS_YEARS"]

DCPS_YEARS = (2013, 2014, 2015, 2016, 2017, 2018)
DCPS_ENROLLMENT = (
    (2250, 3250, 4030, 3740, 3500, 3140, 3110, 2760, 2150, 2130, 2150),
    (2300, 3320, 4060, 4113, 3688, 3460, 3059, 2846, 2180, 2120, 2100),
    (2380, 3380, 4080, 4143, 4101, 3626, 3349, 2789, 2250, 2150, 2090),
    (2420, 3420, 4100, 4163, 4109, 4085, 3596, 3106, 2210, 2215, 2120),
    (2450, 3440, 4070, 4181, 3996, 4044, 3961, 3267, 2450, 2180, 2180),
    (2480, 3450, 4050, 4150, 4110, 3960, 3950, 3630, 2580, 2410, 2150),
)
"""Students at the start of a year: a row each of `DCPS_YEARS`, a column each grade.

Grades 1 to 5 of 2014 to 2017 are the published audited enrollment. All else is an assumption:
2013 and 2018 carry those cohorts back and on at the ratios of the published years; kindergarten
is the next year's grade 1 less 2 %, pre-K smaller as its first year is not for everyone; 79 % of
grade 5 go on to grade 6, and nearly all of those to grades 7 and 8.
"""

DCPS_SCHOOLS = SchoolMix(
    early=2,
    elementary=59,
    k8=19,
    middle=11,
    elementary_lowest=(-2,),
    students=sum(DCPS_ENROLLMENT[2]),
    enrollment=DCPS_ENROLLMENT,
    first_year=DCPS_YEARS[0],
    k8_size=0.65,
    middle_size=2.8,
    program_share=(0.475, 0.475, 0.43, 0.385, 0.34, 0.34),
    program_leaving=0.08,
)
"""59 elementary schools as published, of which 43 to 31 of all 91 schools are in the program."""

DCPS_MOBILITY = Mobility(leave_after=(0, 0, 0, 0, 0, 0, 0.05, 0, 0, 0, 0))
"""More leave after grade 4, where the published cohorts lose 7 to 9 % in a year."""
