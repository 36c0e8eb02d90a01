"""Seconds and memory of nearest neighbor matching, one row a job.

    python benchmarks/matching.py [rows ...]

Without arguments: 50,000, 200,000 and 1,000,000 rows. Peers that are installed (pymatchit-causal)
run on the same data up to 50,000 rows. Compiling is done beforehand and not counted.
"""

from __future__ import annotations

import importlib.util
import resource
import sys
import time
from collections.abc import Callable

import numpy as np
import pandas as pd

from homevisit_eval.balance import describe_groups
from homevisit_eval.design import NearestNeighbor
from homevisit_eval.matching import match_frame
from homevisit_eval.matching.nearest import nearest_by_key, nearest_in_data_order
from homevisit_eval.propensity import fit_propensity

SIZES = (50_000, 200_000, 1_000_000)
LARGEST_FOR_PEERS = 50_000
COLUMNS = 10


def district(n: int) -> pd.DataFrame:
    """Return n units with 10 covariates, about 11 % treated, and 2,500 exact strata."""
    rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence([1, n])))
    frame = pd.DataFrame(
        {f"x{number}": rng.normal(size=n) for number in range(COLUMNS - 2)}
        | {"girl": rng.integers(0, 2, n), "incidents": rng.poisson(0.3, n)}
    )
    eta = -2.3 + 0.3 * frame["x0"] - 0.3 * frame["x1"] + 0.2 * frame["incidents"]
    frame["visited"] = (rng.random(n) < 1 / (1 + np.exp(-eta))).astype(int)
    frame["grade"], frame["year"] = rng.integers(1, 6, n), rng.integers(1, 6, n)
    frame["school"] = rng.integers(0, 100, n)
    return frame


def seconds(job: Callable[[], object]) -> tuple[float, float]:
    """Return seconds on the clock and of the processor (all threads)."""
    clock, processor = time.perf_counter(), time.process_time()
    job()
    return time.perf_counter() - clock, time.process_time() - processor


def jobs(frame: pd.DataFrame) -> list[tuple[str, Callable[[], object]]]:
    covariates = [name for name in frame if name[0] == "x" or name in ("girl", "incidents")]
    strata = ("grade", "year", "school")
    X = np.column_stack([np.ones(len(frame)), frame[covariates].to_numpy(dtype=float)])
    treated = frame["visited"].to_numpy()
    score = fit_propensity(X, treated).linear_predictor
    units = np.rint(score * 1e12).astype(np.int64)
    none = np.zeros(len(frame), dtype=np.int64)
    cells = frame.groupby(list(strata)).ngroup().to_numpy()

    def whole(exact: tuple[str, ...] = ()) -> Callable[[], object]:
        method = NearestNeighbor(exact=exact)
        return lambda: match_frame(frame, treated="visited", covariates=covariates, method=method)

    return [
        ("propensity score, 11 columns", lambda: fit_propensity(X, treated)),
        ("nearest, data order", lambda: nearest_in_data_order(score, treated, none)),
        ("nearest, by key", lambda: nearest_by_key(units, treated, none)),
        ("nearest in 2,500 strata", lambda: nearest_in_data_order(score, treated, cells)),
        ("match_frame, caliper .2", whole()),
        ("match_frame, caliper .2, 2,500 strata", whole(strata)),
        ("means and SDs of one covariate", lambda: describe_groups(score, treated, binary=False)),
    ]


def peer(frame: pd.DataFrame) -> Callable[[], object] | None:
    """Return nearest 1:1 by an installed peer, or None."""
    if importlib.util.find_spec("pymatchit") is None or len(frame) > LARGEST_FOR_PEERS:
        return None
    from pymatchit import MatchIt

    covariates = [name for name in frame if name[0] == "x" or name in ("girl", "incidents")]
    data = frame[["visited", *covariates]].copy()
    formula = f"visited ~ {' + '.join(covariates)}"
    return lambda: MatchIt(data, method="nearest", distance="glm").fit(formula)


def main(sizes: list[int]) -> None:
    for _, job in jobs(district(2_000)):  # compile
        job()
    print(f"{'job':42}{'rows':>10}{'treated':>10}{'seconds':>10}{'CPU s':>10}{'peak MB':>10}")
    for n in sizes:
        frame = district(n)
        treated = int(frame["visited"].sum())
        todo = jobs(frame)
        other = peer(frame)
        if other is not None:
            todo.append(("pymatchit-causal, nearest 1:1", other))
        for name, job in todo:
            took, busy = seconds(job)
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            print(f"{name:42}{n:>10,}{treated:>10,}{took:>10.2f}{busy:>10.2f}{peak:>10,.0f}")
        size = frame.memory_usage().sum() / 1e6
        print(f"{'(the data frame itself)':42}{n:>10,}{'':>30}{size:>10,.0f}")
    if importlib.util.find_spec("pymatchit") is None:
        print("No peer is installed here: pip install pymatchit-causal to compare.")


if __name__ == "__main__":
    main([int(text.replace(",", "")) for text in sys.argv[1:]] or list(SIZES))
