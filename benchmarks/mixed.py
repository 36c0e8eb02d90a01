"""Seconds and memory of linear mixed models, one row a job.

    python benchmarks/mixed.py [rows ...]

Without arguments: 50,000 and 1,000,000 rows. 10 columns, precision weights in the last job only;
120 groups of thousands of rows, or 20,000 small ones. statsmodels runs too if it is installed (120
groups, 50,000 rows; it has no weights and no small-sample df). The variance of the intercepts and
the restricted log likelihood stand beside the times. Every job runs in a process of its own; memory
is what it adds to the peak of making the data.
"""

from __future__ import annotations

import importlib.util
import multiprocessing
import resource
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from homevisit_eval.effects.mixed.models import MixedFit, fit_random_intercept, fit_random_slopes

SIZES = (50_000, 1_000_000)
COLUMNS = 10
GROUPS = (120, 20_000)
LARGEST_FOR_PEERS = 50_000
Answer = tuple[float, float, float]


@dataclass(frozen=True)
class Data:
    y: np.ndarray
    X: np.ndarray
    weights: np.ndarray
    groups: np.ndarray


def make_data(n: int, G: int) -> Data:
    rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence([3, n, G])))
    groups = rng.integers(0, G, n)
    X = np.column_stack([np.ones(n), rng.normal(size=(n, COLUMNS - 1))])
    y = 0.1 * X.sum(axis=1) + 0.4 * rng.normal(size=G)[groups] + rng.normal(size=n)
    y += 0.2 * rng.normal(size=G)[groups] * X[:, 1]
    return Data(y, X, rng.choice([0.5, 1.0, 2.0], n), groups)


def answer(fit: MixedFit) -> Answer:
    return fit.random_covariance[0, 0], fit.std_errors[1], fit.log_likelihood


def intercept(data: Data) -> Answer:
    return answer(fit_random_intercept(data.y, data.X, data.groups))


def intercept_cr2(data: Data) -> Answer:
    return answer(fit_random_intercept(data.y, data.X, data.groups, covariance="CR2"))


def slopes(data: Data) -> Answer:
    return answer(fit_random_slopes(data.y, data.X, data.groups, data.X[:, 1:2]))


def slopes_weighted_cr2(data: Data) -> Answer:
    fit = fit_random_slopes(
        data.y, data.X, data.groups, data.X[:, 1:2], weights=data.weights, covariance="CR2"
    )
    return answer(fit)


def statsmodels(data: Data, columns: np.ndarray | None) -> Answer:
    import statsmodels.api as sm

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fit = sm.MixedLM(data.y, data.X, data.groups, exog_re=columns).fit()
    return float(np.asarray(fit.cov_re)[0, 0]), float(fit.bse_fe[1]), float(fit.llf)


def statsmodels_intercept(data: Data) -> Answer:
    return statsmodels(data, None)


def statsmodels_slopes(data: Data) -> Answer:
    return statsmodels(data, data.X[:, :2])


def jobs(n: int, G: int) -> list[tuple[str, Callable[[Data], Answer]]]:
    listed = [
        ("random intercept, Satterthwaite df", intercept),
        ("random intercept, CR2", intercept_cr2),
        ("random slope, Satterthwaite df", slopes),
        ("random slope, weights, CR2", slopes_weighted_cr2),
    ]
    if importlib.util.find_spec("statsmodels") and n <= LARGEST_FOR_PEERS and GROUPS[0] == G:
        listed.append(("statsmodels, random intercept", statsmodels_intercept))
        listed.append(("statsmodels, random slope", statsmodels_slopes))
    return listed


def measured(job: Callable[[Data], Answer], n: int, G: int) -> tuple[float, float, Answer]:
    """Return seconds, peak memory beyond the data in MB, and what was estimated."""
    job(make_data(3_000, 30))  # imports
    data = make_data(n, G)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.perf_counter()
    found = job(data)
    took = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return took, (peak - before) / 1024, found


def main(sizes: list[int]) -> None:
    head = f"{'job':38}{'rows':>11}{'groups':>8}{'seconds':>9}{'MB':>7}{'x design':>10}"
    print(f"{head}{'variance':>10}{'std. error':>12}{'log likelihood':>18}")
    for n in sizes:
        for G in GROUPS:
            for name, job in jobs(n, G):
                with multiprocessing.get_context("spawn").Pool(1) as pool:
                    took, peak, found = pool.apply(measured, (job, n, G))
                design = n * COLUMNS * 8 / 2**20
                print(
                    f"{name:38}{n:>11,}{G:>8,}{took:>9.2f}{peak:>7,.0f}{peak / design:>10.1f}"
                    f"{found[0]:>10.5f}{found[1]:>12.7f}{found[2]:>18.5f}",
                    flush=True,
                )


if __name__ == "__main__":
    main([int(text.replace(",", "")) for text in sys.argv[1:]] or list(SIZES))
