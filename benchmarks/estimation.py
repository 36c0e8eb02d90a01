"""Seconds and memory of weighted least squares with absorbed cells, one row a job.

    python benchmarks/estimation.py [rows ...]

Without arguments: 50,000, 500,000 and 2,000,000 rows. 16 columns, weights, 120 clusters; 1,800
cells that nest in clusters, or 15 that cross them. Ratios are to our CR1S on the same data. Peers
that are installed run too (none has CR2): linearmodels AbsorbingLS, pyfixest, and statsmodels with
explicit dummies (15 cells, 50,000 rows). Standard errors stand beside the times; like the peers,
ours do not count cells that nest in clusters. Every job runs in a process
of its own; memory is what it adds to the peak of making the data.
"""

from __future__ import annotations

import importlib.util
import multiprocessing
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from homevisit_eval.effects import fit_least_squares

SIZES = (50_000, 500_000, 2_000_000)
COLUMNS, CLUSTERS = 16, 120
LARGEST_WITH_DUMMIES = 50_000
LARGEST_OF_LINEARMODELS = 500_000


@dataclass(frozen=True)
class Data:
    y: np.ndarray
    X: np.ndarray
    weights: np.ndarray
    cells: np.ndarray
    clusters: np.ndarray


def make_data(n: int, cells: int) -> Data:
    """1,800 cells are school x grade x year and nest in the 120 schools; 15 cross them."""
    rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence([2, n])))
    clusters = rng.integers(0, CLUSTERS, n)
    inner = rng.integers(0, 15, n)
    X = rng.normal(size=(n, COLUMNS)) + 0.3 * rng.normal(size=(CLUSTERS, COLUMNS))[clusters]
    y = X.sum(axis=1) * 0.1 + rng.normal(size=CLUSTERS)[clusters] + rng.normal(size=n)
    codes = inner if cells == 15 else clusters * 15 + inner
    return Data(y, X, rng.uniform(0.3, 3.0, n), codes, clusters)


def ours(data: Data, covariance: str) -> float:
    fit = fit_least_squares(
        data.y,
        data.X,
        weights=data.weights,
        absorb=[data.cells],
        clusters=data.clusters,
        covariance=covariance,
        nested_effects="not counted",
        df_for=["x0"],
    )
    return float(fit.std_errors[0])


def cr1s(data: Data) -> float:
    return ours(data, "CR1S")


def cr2(data: Data) -> float:
    return ours(data, "CR2")


def cr3(data: Data) -> float:
    return ours(data, "CR3")


def linearmodels_cr1s(data: Data) -> float:
    import pandas as pd
    from linearmodels.iv import AbsorbingLS

    cells = pd.DataFrame({"cell": pd.Categorical(data.cells)})
    model = AbsorbingLS(data.y, data.X, absorb=cells, weights=data.weights)
    fit = model.fit(cov_type="clustered", clusters=data.clusters, debiased=True)
    return float(fit.std_errors.iloc[0])


def statsmodels_cr1s(data: Data) -> float:
    import statsmodels.api as sm

    dummies = (data.cells[:, None] == np.unique(data.cells)[None, :]).astype(float)
    fit = sm.WLS(data.y, np.hstack([data.X, dummies]), weights=data.weights).fit(
        cov_type="cluster", cov_kwds={"groups": data.clusters}
    )
    return float(fit.bse[0])


def pyfixest_cr1s(data: Data) -> float:
    import pandas as pd
    import pyfixest as pf

    names = [f"x{j}" for j in range(COLUMNS)]
    frame = pd.DataFrame(data.X, columns=names).assign(
        y=data.y, w=data.weights, cell=data.cells, school=data.clusters
    )
    formula = f"y ~ {' + '.join(names)} | cell"
    fit = pf.feols(formula, frame, vcov={"CRV1": "school"}, weights="w")
    return float(fit.se().iloc[0])


def jobs(n: int, cells: int) -> list[tuple[str, Callable[[Data], float]]]:
    listed = [("CR1S", cr1s), ("CR2 and Satterthwaite df", cr2), ("CR3 and Satterthwaite df", cr3)]
    if importlib.util.find_spec("linearmodels") and n <= LARGEST_OF_LINEARMODELS:
        listed.append(("linearmodels AbsorbingLS, CR1S", linearmodels_cr1s))
    if importlib.util.find_spec("pyfixest"):
        listed.append(("pyfixest feols, CR1S", pyfixest_cr1s))
    if cells == 15 and n <= LARGEST_WITH_DUMMIES:
        listed.append(("statsmodels WLS with dummies, CR1S", statsmodels_cr1s))
    return listed


def measured(job: Callable[[Data], float], n: int, cells: int) -> tuple[float, float, float]:
    """Return seconds, peak memory beyond the data in MB, and the first standard error."""
    job(make_data(2_000, cells))  # imports and compiling
    data = make_data(n, cells)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.perf_counter()
    std_error = job(data)
    took = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return took, (peak - before) / 1024, std_error


def main(sizes: list[int]) -> None:
    head = f"{'job':36}{'rows':>9}{'cells':>7}{'seconds':>9}{'ratio':>8}{'MB':>7}{'x design':>10}"
    print(f"{head}{'std. error':>12}")
    for n in sizes:
        for cells in (1_800, 15):
            unit = 0.0
            for name, job in jobs(n, cells):
                with multiprocessing.get_context("spawn").Pool(1) as pool:
                    took, peak, std_error = pool.apply(measured, (job, n, cells))
                unit = unit or took
                design = n * COLUMNS * 8 / 2**20
                print(
                    f"{name:36}{n:>9,}{cells:>7,}{took:>9.2f}{took / unit:>8.1f}{peak:>7,.0f}"
                    f"{peak / design:>10.1f}{std_error:>12.6f}",
                    flush=True,
                )


if __name__ == "__main__":
    main([int(text.replace(",", "")) for text in sys.argv[1:]] or list(SIZES))
