"""An oracle: estimating equations stacked and solved by brute force, derivatives by differences."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import root
from scipy.special import expit

Floats = NDArray[np.float64]


def solve(
    equations: Callable[[Floats], Floats], start: Floats, clusters: NDArray | None = None
) -> tuple[Floats, Floats]:
    """Return the root of the column sums of `equations` (n, k), and its clustered covariance."""
    found = root(lambda theta: equations(theta).mean(axis=0), start, tol=1e-13)
    theta = found.x
    terms = equations(theta)
    assert np.abs(terms.mean(axis=0)).max() < 1e-8
    k = len(theta)
    jacobian = np.empty((k, k))
    for j in range(k):
        h = 1e-5 * max(1.0, abs(theta[j]))
        up, down = theta.copy(), theta.copy()
        up[j] += h
        down[j] -= h
        jacobian[:, j] = (equations(up) - equations(down)).sum(axis=0) / (2 * h)
    codes = (
        np.arange(len(terms)) if clusters is None else np.unique(clusters, return_inverse=True)[1]
    )
    G = codes.max() + 1
    sums = np.zeros((G, k))
    np.add.at(sums, codes, terms)
    rows = np.linalg.solve(jacobian, sums.T)
    return theta, G / (G - 1) * rows @ rows.T


def link(eta: Floats, family: str) -> Floats:
    return {"linear": lambda e: e, "logit": expit, "poisson": np.exp}[family](eta)


def share_of_target(treated: Floats, estimand: str) -> Floats:
    return {"ATE": np.ones(len(treated)), "ATT": treated, "ATC": 1 - treated}[estimand]


def score_weights(p: Floats, treated: Floats, estimand: str) -> Floats:
    """Return the weight of each row in its own group."""
    target = {"ATE": 1.0, "ATT": p, "ATC": 1 - p, "ATO": p * (1 - p)}[estimand]
    return target / np.where(treated == 1, p, 1 - p)


def data(seed: int, n: int = 400, family: str = "linear") -> tuple[Floats, ...]:
    """Return y, treated, X (n, 3), sampling weights and clusters with dependence within them."""
    rng = np.random.default_rng(seed)
    clusters = rng.integers(0, 40, n)
    X = rng.normal(size=(n, 3)) + 0.5 * rng.normal(size=(40, 1))[clusters]
    treated = (rng.random(n) < expit(0.6 * X[:, 0] - 0.4 * X[:, 1])).astype(float)
    eta = 0.3 + X @ [0.5, 0.3, -0.2] + 0.4 * treated + 0.3 * rng.normal(size=40)[clusters]
    if family == "linear":
        y = eta + 0.3 * X[:, 0] ** 2 + rng.normal(size=n)
    elif family == "logit":
        y = (rng.random(n) < expit(eta)).astype(float)
    else:
        y = rng.poisson(np.exp(0.5 * eta)).astype(float)
    return y, treated, X, rng.uniform(0.3, 2.0, n), clusters
