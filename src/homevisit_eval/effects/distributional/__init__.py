"""Effects on a whole distribution: shares by band, quantiles (arrays)."""

from homevisit_eval.effects.distributional.bands import (
    BandFits,
    band_codes,
    fit_bands,
)
from homevisit_eval.effects.distributional.quantiles import (
    QuantileDifferences,
    quantile_differences,
    weighted_quantiles,
)

__all__ = [
    "BandFits",
    "QuantileDifferences",
    "band_codes",
    "fit_bands",
    "quantile_differences",
    "weighted_quantiles",
]
