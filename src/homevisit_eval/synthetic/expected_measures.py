"""Expected measures of attendance and discipline, from the expected days missed and incidents."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from homevisit_eval.synthetic.incidents import (
    mean_days_suspended,
    serious_share,
    suspended_share,
)
from homevisit_eval.synthetic.process import Process

__all__ = [
    "ATTENDANCE",
    "CONDUCT",
    "attendance_measures",
    "conduct_measures",
    "fewer_incidents",
    "incident_kinds",
    "laplace",
    "rounded",
]

ATTENDANCE: tuple[str, ...] = (
    "attendance_rate", "on_time_attendance_rate", "days_absent", "days_excused", "days_unexcused",
    "days_tardy",
)  # fmt: skip
CONDUCT: tuple[str, ...] = (
    "any_incident", "incidents", "any_serious_incident", "any_suspension", "days_suspended",
)  # fmt: skip
PARTIAL_DAY = 0.5  # its mean length
DIGITS, DIGITS_OF_DAYS, DIGITS_OF_SCORES = 5, 3, 4

Floats = NDArray[np.float64]


def attendance_measures(
    process: Process, days: Floats, full: Floats, part: Floats
) -> dict[str, Floats]:
    """Return the measures of attendance on some enrolled days, by name.

    Full absences are excused or not by chance alone, partial days are neither, no visit prevents
    a tardy, and one thing happens on a day.

    Parameters
    ----------
    process
        Of n student-years.
    days
        Shape (n,), enrolled days.
    full, part
        Shape (n,), expected number of days missed as a whole and in part.
    """
    absent = full + PARTIAL_DAY * part
    tardy = process.tardy * days
    return {
        "attendance_rate": 1 - absent / days,
        "on_time_attendance_rate": 1 - (absent + tardy) / days,
        "days_absent": absent,
        "days_excused": (1 - process.unexcused) * full,
        "days_unexcused": process.unexcused * full,
        "days_tardy": tardy,
    }


def incident_kinds() -> dict[str, float]:
    """Return the measures that say whether any incident of a kind took place, with its share."""
    return {
        "any_incident": 1.0,
        "any_serious_incident": serious_share(),
        "any_suspension": suspended_share(),
    }


def conduct_measures(mean: Floats, shape: Floats | float) -> dict[str, Floats]:
    """Return the measures of discipline, by name.

    Parameters
    ----------
    mean
        Shape (n,), mean number of incidents.
    shape
        Of the gamma variable (mean 1) that multiplies it.
    """
    kinds = {name: 1 - laplace(part * mean, shape) for name, part in incident_kinds().items()}
    return {**kinds, "incidents": mean, "days_suspended": mean_days_suspended() * mean}


def fewer_incidents(
    without: Mapping[str, Floats], fewer: Floats, prevented: Mapping[str, Floats]
) -> dict[str, Floats]:
    """Return the measures of discipline where later visits prevent some incidents.

    Parameters
    ----------
    without
        The measures without those visits.
    fewer
        Shape (n,), by how much the mean number of incidents is less.
    prevented
        By how much the probability of any incident of each of `incident_kinds` is less.
    """
    return {
        **{name: without[name] - less for name, less in prevented.items()},
        "incidents": without["incidents"] - fewer,
        "days_suspended": without["days_suspended"] - mean_days_suspended() * fewer,
    }


def laplace(mean: Floats, shape: Floats | float) -> Floats:
    """Return E[exp(-G * mean)] of a gamma variable G with mean 1."""
    return np.asarray((1 + mean / shape) ** -shape)


def rounded(name: str, values: Floats) -> Floats:
    """Round an expected outcome to the digits that are printed of it."""
    if name.startswith("days_"):
        return np.round(values, DIGITS_OF_DAYS)
    return np.round(values, DIGITS_OF_SCORES if name.endswith("_std") else DIGITS)
