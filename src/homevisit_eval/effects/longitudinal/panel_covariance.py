"""Which covariance a regression on a panel has if none is named."""

from __future__ import annotations

from typing import Literal

from homevisit_eval.effects.regression.covariance import CovarianceType

__all__ = ["MANY_CLUSTERS", "PanelCovariance", "chosen_covariance"]

PanelCovariance = CovarianceType | Literal["default"]

MANY_CLUSTERS = 1_000  # beyond, CR2 and CR1S agree and CR2 takes long


def chosen_covariance(covariance: PanelCovariance, G: int) -> CovarianceType:
    """Return the covariance named, or CR2 up to 1,000 clusters and CR1S beyond.

    Examples
    --------
    >>> chosen_covariance("default", 40), chosen_covariance("default", 20_000)
    ('CR2', 'CR1S')
    """
    if covariance != "default":
        return covariance
    return "CR2" if G <= MANY_CLUSTERS else "CR1S"
