"""Seconds and memory of generalized linear models with clustered margins, one row a job.

    python benchmarks/margins.py [rows ...]

Without arguments: 50,000 and 500,000 rows. 16 columns, weights, 120 clusters; the ATT by
g-computation with its standard error is part of every job. The last jobs absorb 1,800 levels, or
adjust for leverage (CR2). statsmodels fits the same weighted logit if it is installed (its
get_margeff has no weights and no ATT: fit and clustered errors only). Estimate and standard error
stand beside the times. Every job runs in a process of its own; memory is what it adds to the peak
of making the data.
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
from scipy.special import expit

from homevisit_eval.effects.likelihood.generalized_linear import fit_generalized_linear
from homevisit_eval.effects.likelihood.margins import average_effect

SIZES = (50_000, 500_000)
COLUMNS = 16
CLUSTERS = 120
LEVELS = 1_800
Answer = tuple[float, float]


@dataclass(frozen=True)
class Data:
    y: np.ndarray
    counts: np.ndarray
    X: np.ndarray
    X_treated: np.ndarray
    X_comparison: np.ndarray
    weights: np.ndarray
    clusters: np.ndarray
    levels: np.ndarray


def make_data(n: int) -> Data:
    rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence([4, n])))
    covariates = rng.normal(size=(n, COLUMNS - 2))
    treated = (rng.random(n) < expit(0.5 * covariates[:, 0])).astype(float)
    clusters = rng.integers(0, CLUSTERS, n)
    eta = -1.0 + 0.3 * treated + 0.1 * covariates.sum(axis=1) + 0.3 * rng.normal(size=n)
    X = np.column_stack([np.ones(n), treated, covariates])
    sides = [X.copy(), X.copy()]
    sides[0][:, 1], sides[1][:, 1] = 1.0, 0.0
    return Data(
        y=(rng.random(n) < expit(eta)).astype(float),
        counts=rng.poisson(np.exp(eta) * rng.gamma(2.0, 0.5, n)).astype(float),
        X=X,
        X_treated=sides[0],
        X_comparison=sides[1],
        weights=rng.uniform(0.5, 2.0, n),
        clusters=clusters,
        levels=rng.integers(0, LEVELS, n),
    )


def ours(data: Data, family: str, absorb: bool, covariance: str) -> Answer:
    y = data.y if family in ("logit", "probit") else data.counts
    fit = fit_generalized_linear(
        y,
        data.X,
        family=family,
        weights=data.weights,
        clusters=data.clusters,
        absorb=[data.levels] if absorb else (),
        covariance=covariance,
    )
    effect = average_effect(fit, data.X_treated, data.X_comparison, over=data.X[:, 1])
    return effect.estimate, effect.std_error


def statsmodels(data: Data, *_: object) -> Answer:
    import statsmodels.api as sm

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = sm.GLM(data.y, data.X, family=sm.families.Binomial(), freq_weights=data.weights)
        fit = model.fit(cov_type="cluster", cov_kwds={"groups": data.clusters})
    return float(fit.params[1]), float(fit.bse[1])


Job = tuple[str, Callable[..., Answer], str, bool, str]


def jobs() -> list[Job]:
    listed: list[Job] = [
        ("logit, CR1S", ours, "logit", False, "CR1S"),
        ("probit, CR1S", ours, "probit", False, "CR1S"),
        ("Poisson, CR1S", ours, "poisson", False, "CR1S"),
        ("negative binomial, CR1S", ours, "negative_binomial", False, "CR1S"),
        ("logit, 1,800 levels absorbed, CR1S", ours, "logit", True, "CR1S"),
        ("logit, CR2", ours, "logit", False, "CR2"),
    ]
    if importlib.util.find_spec("statsmodels"):
        listed.append(("statsmodels, logit coefficient", statsmodels, "logit", False, "CR1S"))
    return listed


def measured(job: Job, n: int) -> tuple[float, float, Answer]:
    """Return seconds, peak memory beyond the data in MB, and what was estimated."""
    _, run, *options = job
    run(make_data(5_000), options[0], False, options[2])  # imports
    data = make_data(n)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.perf_counter()
    found = run(data, *options)
    took = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return took, (peak - before) / 1024, found


def main(sizes: list[int]) -> None:
    head = f"{'job':38}{'rows':>11}{'seconds':>9}{'MB':>7}{'x design':>10}"
    print(f"{head}{'estimate':>12}{'std. error':>12}")
    for n in sizes:
        for job in jobs():
            with multiprocessing.get_context("spawn").Pool(1) as pool:
                took, peak, found = pool.apply(measured, (job, n))
            design = n * COLUMNS * 8 / 2**20
            print(
                f"{job[0]:38}{n:>11,}{took:>9.2f}{peak:>7,.0f}{peak / design:>10.1f}"
                f"{found[0]:>12.7f}{found[1]:>12.7f}",
                flush=True,
            )


if __name__ == "__main__":
    main([int(text.replace(",", "")) for text in sys.argv[1:]] or list(SIZES))
