"""Seconds and memory of matching, weighting and balance, one row a job, with ratios to peers.

    python benchmarks/matching.py [--only TEXT] [rows ...]

Without arguments: 50,000, 200,000 and 1,000,000 rows. Every job runs in a process of its own on
one thread, after compiling on a small case; memory is what the process grows by while it runs, at
its peak, in multiples of the data frame (Linux only). Peers that are installed (pymatchit-causal,
causallib, psmpy) do the same job in the same run, each in a process that is stopped after two
minutes.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
for name in THREADS:
    os.environ[name] = "1"

import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402

Job = Callable[[], object]

SIZES = (50_000, 200_000, 1_000_000)
SMALL = 2_000
STOP_AFTER = 120
COLUMNS = 11
STRATA = ("grade", "year", "school")


def district(n: int) -> pd.DataFrame:
    """Return n units with 11 covariates, about 11 % treated, and 2,500 exact strata."""
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


def covariates(frame: pd.DataFrame) -> list[str]:
    return [name for name in frame if name[0] == "x" or name in ("girl", "incidents")]


def arrays(frame: pd.DataFrame) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return covariates, treatment, a score in whole numbers, and strata."""
    X = frame[covariates(frame)].to_numpy(dtype=float)
    score = 0.3 * X[:, 0] - 0.3 * X[:, 1] + 0.2 * X[:, -1]
    cells = frame.groupby(list(STRATA)).ngroup().to_numpy()
    return X, frame["visited"].to_numpy(), np.rint(score * 1e12), cells


def units(frame: pd.DataFrame, *, strata: bool = False, several: bool = False):
    from homevisit_eval.matching.units import Units, mahalanobis_coordinates

    X, treated, score, cells = arrays(frame)
    stratum = cells if strata else np.zeros(len(frame), dtype=np.int64)
    coordinates = mahalanobis_coordinates(X[:, :6], treated) if several else None
    return Units(treated == 1, stratum, score, coordinates)


def nearest(frame: pd.DataFrame, **kind: bool) -> Job:
    from homevisit_eval.matching.nearest import nearest_pairs

    given = units(frame, **kind)
    return lambda: nearest_pairs(
        given, ratio=1, max_uses=1, max_uses_per_person=0, order="largest", seed=1, ties="row"
    )


def optimal(frame: pd.DataFrame, **kind: bool) -> Job:
    from homevisit_eval.matching.optimal import optimal_pairs

    given = units(frame, **kind)
    return lambda: optimal_pairs(given, ratio=1, ties="row")


def optimal_within_caliper(frame: pd.DataFrame) -> Job:
    from dataclasses import replace

    from homevisit_eval.matching.optimal import optimal_pairs
    from homevisit_eval.matching.units import Limit

    given = units(frame)
    given = replace(given, limits=(Limit(given.score, 0.2 * float(given.score.std())),))
    return lambda: optimal_pairs(given, ratio=1, ties="row")


def full(frame: pd.DataFrame) -> Job:
    from homevisit_eval.matching.full import full_sets

    given = units(frame)
    return lambda: full_sets(given, min_ratio=0.0, max_ratio=np.inf)


def propensity(frame: pd.DataFrame) -> Job:
    from homevisit_eval.propensity import fit_propensity

    rng = np.random.Generator(np.random.PCG64(3))
    X = np.column_stack([np.ones(len(frame)), rng.normal(size=(len(frame), 39))])
    treated = frame["visited"].to_numpy()
    return lambda: fit_propensity(X, treated)


def coarsened(frame: pd.DataFrame) -> Job:
    from homevisit_eval.matching.strata import coarsen, combine_codes, common_strata, set_weights

    X, treated, _, _ = arrays(frame)

    def job() -> object:
        codes = [coarsen(X[:, j], bins=3) for j in range(X.shape[1])]
        sets = common_strata(combine_codes(codes), treated)
        return set_weights(sets, treated, estimand="ATT")

    return job


def entropy(frame: pd.DataFrame) -> Job:
    from homevisit_eval.matching.weighting import entropy_balancing_weights

    X, treated, _, _ = arrays(frame)
    return lambda: entropy_balancing_weights(X, treated, estimand="ATT")


def balance(frame: pd.DataFrame) -> Job:
    from homevisit_eval.balance.statistics import balance_columns, compared_groups
    from homevisit_eval.matching.nearest import nearest_pairs

    X, treated, _, _ = arrays(frame)
    X = np.asfortranarray(X)
    pairs = nearest_pairs(
        units(frame),
        ratio=1,
        max_uses=1,
        max_uses_per_person=0,
        order="largest",
        seed=1,
        ties="row",
    )
    after = np.zeros(len(frame))
    after[pairs.focal] = after[pairs.match] = 1.0

    def job() -> object:
        groups = compared_groups(
            treated, np.ones(len(after)), after, pairs=(pairs.focal, pairs.match)
        )
        return balance_columns(X, groups)

    return job


def whole(frame: pd.DataFrame, exact: tuple[str, ...] = ()) -> Job:
    import homevisit_eval as hv

    method = hv.NearestNeighbor(exact=exact)
    names = covariates(frame)
    return lambda: hv.match_frame(frame, treated="visited", covariates=names, method=method)


def pymatchit(frame: pd.DataFrame, **options: object) -> Job:
    from pymatchit import MatchIt

    names = covariates(frame)
    data = frame[["visited", *names, *STRATA]].copy()
    formula = f"visited ~ {' + '.join(names)}"
    return lambda: MatchIt(data, **options).fit(formula)


def causallib(frame: pd.DataFrame) -> Job:
    from causallib.estimation import PropensityMatching
    from sklearn.linear_model import LogisticRegression

    X, y = frame[covariates(frame)], frame["x0"]
    model = PropensityMatching(LogisticRegression(), with_replacement=False)
    return lambda: model.fit(X, frame["visited"], y).match(X, frame["visited"])


def psmpy(frame: pd.DataFrame) -> Job:
    from psmpy import PsmPy

    data = frame[["visited", *covariates(frame)]].assign(unit=np.arange(len(frame)))

    def job() -> object:
        model = PsmPy(data, treatment="visited", indx="unit", exclude=[])
        model.logistic_ps(balance=False)
        return model.knn_matched(matcher="propensity_logit", replacement=False)

    return job


JOBS: dict[str, tuple[Callable[[pd.DataFrame], Job], str]] = {
    "propensity score, 40 columns": (propensity, ""),
    "nearest 1:1 on a score": (nearest, "nearest"),
    "nearest within 2,500 strata": (lambda f: nearest(f, strata=True), "strata"),
    "Mahalanobis within 2,500 strata": (
        lambda f: nearest(f, strata=True, several=True),
        "mahalanobis",
    ),
    "optimal pairs on a score": (optimal, "optimal"),
    "optimal pairs, caliper .2 SD": (optimal_within_caliper, ""),
    "optimal Mahalanobis in 2,500 strata": (
        lambda f: optimal(f, strata=True, several=True),
        "",
    ),
    "full matching on a score": (full, ""),
    "coarsened exact, 11 covariates": (coarsened, "cem"),
    "entropy balancing, 11 covariates": (entropy, ""),
    "balance of 11 covariates": (balance, ""),
    "match_frame, caliper .2": (whole, "nearest"),
    "match_frame, 2,500 strata": (lambda f: whole(f, STRATA), "strata"),
}
PEERS: dict[str, tuple[str, str, Callable[[pd.DataFrame], Job]]] = {
    "pymatchit-causal, nearest": (
        "pymatchit",
        "nearest",
        lambda f: pymatchit(f, method="nearest", distance="glm"),
    ),
    "pymatchit-causal, exact strata": (
        "pymatchit",
        "strata",
        lambda f: pymatchit(f, method="nearest", distance="glm", exact=list(STRATA)),
    ),
    "pymatchit-causal, Mahalanobis, strata": (
        "pymatchit",
        "mahalanobis",
        lambda f: pymatchit(f, method="nearest", distance="mahalanobis", exact=list(STRATA)),
    ),
    "pymatchit-causal, optimal": (
        "pymatchit",
        "optimal",
        lambda f: pymatchit(f, method="optimal", distance="glm"),
    ),
    "pymatchit-causal, coarsened exact": ("pymatchit", "cem", lambda f: pymatchit(f, method="cem")),
    "causallib, nearest": ("causallib", "nearest", causallib),
    "psmpy, nearest": ("psmpy", "nearest", psmpy),
}


def resident(*, reset: bool = False) -> float:
    """Return the peak resident memory since the last reset, in MB (the present one on a reset)."""
    if reset:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    status = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    name = "VmRSS" if reset else "VmHWM"
    return float(next(line.split()[1] for line in status if line.startswith(name))) / 1024


def one(name: str, n: int) -> None:
    """Run one job in this process and print its seconds and megabytes as JSON."""
    make = JOBS[name][0] if name in JOBS else PEERS[name][2]
    if name in JOBS:
        make(district(SMALL))()
    frame = district(n)
    job = make(frame)
    before = resident(reset=True)
    clock, processor = time.perf_counter(), time.process_time()
    job()
    took, busy = time.perf_counter() - clock, time.process_time() - processor
    grown = resident() - before
    size = frame.memory_usage().sum() / 1024**2
    print(json.dumps({"seconds": took, "cpu": busy, "grown": grown, "frame": size}))


def run(name: str, n: int) -> dict[str, float] | str:
    """Run one job in a process of its own; a word if it did not end well."""
    command = [sys.executable, __file__, "--one", name, str(n)]
    limit = STOP_AFTER if name in PEERS else None
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=limit, check=False)
    except subprocess.TimeoutExpired:
        return f"over {STOP_AFTER} s"
    if done.returncode:
        words = done.stderr.strip().splitlines() or [f"ended with status {done.returncode}"]
        return "memory" if "MemoryError" in words[-1] else words[-1][:60]
    return json.loads(done.stdout.strip().splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rows", nargs="*", type=int)
    parser.add_argument("--only", default="")
    parser.add_argument("--one", default="")
    given = parser.parse_args()
    if given.one:
        one(given.one, given.rows[0])
        return
    peers = {name: p for name, p in PEERS.items() if importlib.util.find_spec(p[0]) is not None}
    line = f"{'job':40}{'rows':>10}{'seconds':>9}{'CPU s':>8}{'memory':>9}  peer / ours"
    print(line + "\n" + "-" * len(line))
    for n in given.rows or SIZES:
        ours: dict[str, float] = {}
        for name in [name for name in JOBS if given.only in name]:
            found = run(name, n)
            show(name, n, found)
            kind = JOBS[name][1]
            if kind and isinstance(found, dict):
                ours[kind] = found["cpu"]  # the whole call where both are measured
        for name, (_, kind, _) in peers.items():
            if kind in ours:
                show(name, n, run(name, n), ours[kind])
    if not peers:
        print("No peer is installed here: pip install pymatchit-causal causallib psmpy")


def show(name: str, n: int, found: dict[str, float] | str, ours: float = 0.0) -> None:
    if isinstance(found, str):
        print(f"{name:40}{n:>10,}  {found}", flush=True)
        return
    ratio = f"{found['cpu'] / ours:>10.0f} x" if ours else ""
    memory = f"{found['grown'] / found['frame']:.1f} x"
    print(
        f"{name:40}{n:>10,}{found['seconds']:>9.2f}{found['cpu']:>8.2f}{memory:>9}{ratio}",
        flush=True,
    )


if __name__ == "__main__":
    main()
