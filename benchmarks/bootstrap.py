"""Seconds of the wild cluster bootstrap and of randomization tests, one row a job.

    python benchmarks/bootstrap.py [rows ...]

Without arguments: 50,000, 500,000 and 2,000,000 rows. The bootstrap: 9,999 weighted draws, 16
columns, 120 clusters, 1,800 cells that nest in clusters or 15 that cross them; the seconds of the
weighted regression with CR1 stand beside it. Randomization: 999 draws in 50,000 rows of matched
pairs. Peak memory is what a job adds to that of making the data. Every job runs in a process of
its own. pyfixest, where it is installed, refuses weights in its bootstrap.
"""

from __future__ import annotations

import multiprocessing
import resource
import sys
import time
from collections.abc import Callable

import numpy as np
from estimation import Data, make_data

from homevisit_eval.effects import fit_least_squares
from homevisit_eval.effects.resampling.randomization import randomization_test
from homevisit_eval.effects.resampling.wild_bootstrap import wild_bootstrap_test

SIZES = (50_000, 500_000, 2_000_000)
PAIRED_ROWS, PAIRED_DRAWS = 50_000, 999


def arguments(data: Data) -> dict:
    return {"weights": data.weights, "absorb": [data.cells], "clusters": data.clusters}


def cr1(data: Data) -> float:
    fit = fit_least_squares(data.y, data.X, covariance="CR1", **arguments(data))
    return float(fit.p_values[0])


def bootstrap(data: Data) -> float:
    test = wild_bootstrap_test(data.y, data.X, column="x0", seed=1, null=0.1, **arguments(data))
    return test.p_value


def randomization(data: Data, statistic: str, studentize: str) -> float:
    pairs = np.arange(len(data.y)) // 2
    treated = np.tile([1, 0], len(data.y) // 2)
    test = randomization_test(
        data.y,
        treated,
        sets=pairs,
        X=None if statistic == "difference" else data.X,
        statistic=statistic,
        studentize=studentize,
        draws=PAIRED_DRAWS,
        seed=1,
    )
    return test.p_value


def difference(data: Data) -> float:
    return randomization(data, "difference", "none")


def studentized_difference(data: Data) -> float:
    return randomization(data, "difference", "by_set")


def coefficient(data: Data) -> float:
    return randomization(data, "coefficient", "none")


def studentized_coefficient(data: Data) -> float:
    return randomization(data, "coefficient", "by_set")


def measured(job: Callable[[Data], float], n: int, cells: int) -> tuple[float, float, float]:
    """Return seconds, peak memory beyond the data in MB, and the p value."""
    job(make_data(2_000, cells))
    data = make_data(n, cells)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.perf_counter()
    p = job(data)
    took = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return took, (peak - before) / 1024, p


def show(name: str, job: Callable[[Data], float], n: int, cells: int) -> None:
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        took, peak, p = pool.apply(measured, (job, n, cells))
    design = n * 16 * 8 / 2**20
    print(
        f"{name:44}{n:>10,}{cells:>7,}{took:>9.2f}{peak:>8,.0f}{peak / design:>10.1f}{p:>10.4f}",
        flush=True,
    )


def main(sizes: list[int]) -> None:
    head = f"{'job':44}{'rows':>10}{'cells':>7}{'seconds':>9}{'MB':>8}{'x design':>10}{'p':>10}"
    print(head)
    for n in sizes:
        for cells in (1_800, 15):
            show("weighted regression, CR1", cr1, n, cells)
            show("wild cluster bootstrap, 9,999 draws", bootstrap, n, cells)
    for name, job in (
        ("randomization, difference", difference),
        ("randomization, studentized difference", studentized_difference),
        ("randomization, coefficient of 17", coefficient),
        ("randomization, studentized coefficient", studentized_coefficient),
    ):
        show(f"{name}, 999 draws", job, PAIRED_ROWS, 15)


if __name__ == "__main__":
    main([int(text.replace(",", "")) for text in sys.argv[1:]] or list(SIZES))
