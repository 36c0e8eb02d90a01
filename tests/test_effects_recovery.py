"""Simulated clusters with a known effect: bias, and coverage of the intervals."""

from __future__ import annotations

import numpy as np
import pytest

from homevisit_eval.effects.regression.least_squares import fit_outcome
from homevisit_eval.effects.regression.prepared_design import prepare_design

REPLICATIONS = [400, pytest.param(1_000, marks=pytest.mark.slow)]
TRUTH = 0.3


def simulated(replication: int):
    """Ten unequal clusters, four of them treated more, errors shared within clusters.

    Weights go with the noise of a cluster's level only through its size, so the weighted and the
    unweighted estimates are both right; the effect differs by covariate where `weights` differ.
    """
    r = np.random.Generator(np.random.PCG64(np.random.SeedSequence([77, replication])))
    sizes = np.array([6, 8, 10, 12, 14, 18, 22, 26, 30, 44])
    clusters = np.repeat(np.arange(10), sizes)
    n = len(clusters)
    cells = np.arange(n) % 3
    treated = (r.random(n) < np.where(clusters % 3 == 0, 0.8, 0.2)).astype(float)
    x = r.normal(size=n) + 0.5 * treated
    w = np.where(treated == 1, 1.0, r.uniform(0.3, 2.0, n))
    y = TRUTH * treated + x + cells + 0.7 * r.normal(size=10)[clusters] + r.normal(size=n)
    return y, np.column_stack([x, treated]), w, cells, clusters


@pytest.fixture(scope="module", params=REPLICATIONS)
def fits(request):
    results = {"CR1S": [], "CR2": []}
    for replication in range(request.param):
        y, X, w, cells, clusters = simulated(replication)
        prepared = prepare_design(X, weights=w, absorb=[cells], clusters=clusters)
        for covariance, found in results.items():
            fit = fit_outcome(prepared, y, covariance=covariance)
            low, high = fit.intervals()[1]
            found.append((fit.coefficients[1], fit.std_errors[1], low <= TRUTH <= high))
    return {name: np.array(found) for name, found in results.items()}


def test_the_estimate_is_unbiased(fits):
    estimates = fits["CR2"][:, 0]
    monte_carlo_error = estimates.std(ddof=1) / np.sqrt(len(estimates))
    assert abs(estimates.mean() - TRUTH) < 4 * monte_carlo_error
    assert monte_carlo_error < 0.02


def test_cr2_covers_and_cr1_covers_less(fits):
    monte_carlo_error = np.sqrt(0.95 * 0.05 / len(fits["CR2"]))
    coverage = {name: found[:, 2].mean() for name, found in fits.items()}
    assert abs(coverage["CR2"] - 0.95) < 4 * monte_carlo_error
    assert coverage["CR1S"] < coverage["CR2"]


def test_cr2_is_nearly_unbiased_for_the_variance(fits):
    actual = fits["CR2"][:, 0].var(ddof=1)
    assert (fits["CR2"][:, 1] ** 2).mean() / actual == pytest.approx(1.0, abs=0.2)
