"""The true value of an estimand in a synthetic district, where every effect is known."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, assert_never

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from homevisit_eval.errors import EstimationError, SourceError
from homevisit_eval.matching.matched_sample import MatchedSample
from homevisit_eval.sample.analytic_sample import AnalyticSample

__all__ = ["read_truth", "true_effect", "true_effect_of_rows"]

KEY = ["student_id", "school_year"]


def read_truth(
    folder: str | Path, about: Literal["outcomes", "visits"] = "outcomes"
) -> pd.DataFrame:
    """Return the truth of a synthetic district or state.

    Parameters
    ----------
    folder
        The district's folder, which holds ``truth/outcomes.csv`` (a state's:
        ``truth/outcomes.parquet``).
    about
        ``"outcomes"``: of visits before the year, one row per student and school year.
        ``"visits"``: of visits during the year, one row per first visit (not of states).

    Returns
    -------
    DataFrame
        Outcomes: ``student_id``, ``school_year``, ``visited_before_year`` and for each outcome
        its expected value with and without a visit before the year (``_m1``, ``_m0``) and the
        realized values (``_y1``, ``_y0``). Rates are fractions; scores are in SDs, missing in
        grades without a test.

        Visits: ``student_id``, ``school_year``, ``date``, ``program``, ``window`` ("fall" to
        December 31, "spring" from January 1), ``days_after`` (enrolled days after the visit) and
        for each outcome of those days its expected value with the visit (``_m1``), without one for
        the rest of the year (``_m0``), and without one on that day while later visits take
        their natural course (``_mw``). "Visit now versus no visit for the rest of the year" is
        ``_m1 - _m0``, "visit now versus not yet" ``_m1 - _mw``.

    Raises
    ------
    SourceError
        If the folder has no truth, as a real district's has none, or it cannot be read.
    """
    path = Path(folder) / "truth" / f"{about}.csv"
    whole = path.with_suffix(".parquet")
    needed = [*KEY, "visited_before_year" if about == "outcomes" else "date"]
    try:
        table = _read_parquet(whole) if whole.is_file() else _read_csv(path, about)
    except FileNotFoundError:
        raise SourceError(
            f"{path}: no such file. Only a synthetic district written by `write_simulation` has "
            "a truth; give its folder."
        ) from None
    except (OSError, ValueError):
        raise SourceError(
            f"{path}: not a table of comma-separated values. Write the district again."
        ) from None
    if missing := [name for name in needed if name not in table.columns]:
        raise SourceError(f"{path}: the column {missing[0]} is missing. Write the district again.")
    return table.astype({"student_id": object})


def _read_csv(path: Path, about: str) -> pd.DataFrame:
    dates = ["date"] if about == "visits" else []
    return pd.read_csv(path, dtype={"student_id": "string"}, parse_dates=dates)


def _read_parquet(path: Path) -> pd.DataFrame:
    import duckdb

    try:
        with duckdb.connect() as connection:
            table: pd.DataFrame = connection.read_parquet(str(path)).df()
            return table
    except duckdb.Error:
        raise ValueError from None


def true_effect(
    truth: pd.DataFrame,
    outcome: str,
    sample: AnalyticSample | MatchedSample | pd.DataFrame,
    weights: ArrayLike | None = None,
) -> float:
    """Return the true average effect of a visit on the student-years a sample's estimand is about.

    Parameters
    ----------
    truth
        From `read_truth`, or the ``truth`` of a simulation.
    outcome
        For example ``"attendance_rate"``.
    sample
        An analytic sample: all visited student-years whose outcome is observed. A matched
        sample: among those used and with the outcome observed, for the ATT the visited and for
        the ATC the comparison student-years with their weights, for the ATE all (with sampling
        weights, if there are any), for the ATO all by e (1 - e), e being the propensity score.
        A data frame: all its rows, see `true_effect_of_rows`.
    weights
        Shape (n,), only with a data frame: one weight for each row.

    Returns
    -------
    float
        Mean of expected outcomes with minus without the visit, in units of the outcome.

    Raises
    ------
    EstimationError
        If no such student-year is left, the truth does not know one of them, or weights come
        with a sample that has its own.
    """
    match sample:
        case pd.DataFrame():
            return true_effect_of_rows(truth, outcome, sample, weights)
        case MatchedSample():
            own, analytic = _weights_of_target(sample), sample.sample
        case AnalyticSample():
            own, analytic = (sample.baseline["visited"].to_numpy() == 1) * 1.0, sample
    if weights is not None:
        raise EstimationError("weights are taken from the sample; give none.")
    kept = own > 0
    if outcome in analytic.outcomes.columns:
        kept &= analytic.outcomes[outcome].notna().to_numpy(dtype=bool)
    rows = analytic.baseline.loc[kept, ["unit_id", "school_year"]]
    return true_effect_of_rows(truth, outcome, rows, own[kept])


def _weights_of_target(matched: MatchedSample) -> NDArray[np.float64]:
    """Return how much each student-year counts in the population that the estimand is about."""
    matches = matched.matches
    own = matches.weights.to_numpy(dtype=np.float64)
    visited = matched.sample.baseline["visited"].to_numpy() == 1
    alike = np.ones(len(own))
    if matches.sampling_weights is not None:
        alike = matches.sampling_weights.to_numpy(dtype=np.float64)
    match matches.estimand.target:
        case "ATT":
            return np.where(visited, own, 0.0)
        case "ATC":
            return np.where(visited, 0.0, own)
        case "ATE":
            return np.where(own > 0, alike, 0.0)
        case "ATO":
            if matches.propensity_score is None:
                raise EstimationError(
                    "the overlap population is known by propensity scores, and these matches "
                    "have none; match with OverlapWeights."
                )
            score = matches.propensity_score.to_numpy(dtype=np.float64)
            return np.where(own > 0, alike * score * (1.0 - score), 0.0)
        case target:
            assert_never(target)


def true_effect_of_rows(
    truth: pd.DataFrame, outcome: str, rows: pd.DataFrame, weights: ArrayLike | None = None
) -> float:
    """Return the true average effect of a visit on given student-years.

    Parameters
    ----------
    truth, outcome
        As in `true_effect`.
    rows
        ``school_year`` and ``unit_id`` or ``student_id``: visited student-years for the
        effect on the visited, but any may be asked for.
    weights
        Shape (n,), not negative; equal if not given.

    Raises
    ------
    EstimationError
        If there are no rows, weights do not fit them, or the truth knows no effect for one.
    """
    columns = (f"{outcome}_m1", f"{outcome}_m0")
    if missing := [name for name in columns if name not in truth.columns]:
        known = sorted(name[:-3] for name in truth.columns if name.endswith("_m1"))
        raise EstimationError(f"the truth has no column {missing[0]}; it knows {', '.join(known)}.")
    identifier = "unit_id" if "unit_id" in rows.columns else "student_id"
    if not {identifier, "school_year"} <= set(rows.columns):
        raise EstimationError("rows need the columns school_year and unit_id or student_id.")
    weight = np.ones(len(rows)) if weights is None else np.asarray(weights, dtype=float)
    if len(rows) == 0 or weight.shape != (len(rows),) or (weight < 0).any() or weight.sum() <= 0:
        raise EstimationError(
            "a true effect needs at least one student-year, and as many weights as rows, none "
            "negative and not all zero."
        )
    covered = pd.MultiIndex.from_frame(truth[KEY].astype({"student_id": object}))
    asked = pd.MultiIndex.from_arrays(
        [rows[identifier].astype(object), rows["school_year"].astype("int64")]
    )
    effect = (truth[columns[0]] - truth[columns[1]]).to_numpy(dtype=float)
    at = covered.get_indexer(asked)
    values = np.where(at >= 0, effect[at], np.nan)
    unknown = int(np.isnan(values[weight > 0]).sum())
    if unknown:
        raise EstimationError(
            f"the truth knows no effect on {outcome} for {unknown} of {len(rows)} student-years. "
            "Ask for grades, years and tests that it covers."
        )
    used = weight > 0
    return float(np.average(values[used], weights=weight[used]))
