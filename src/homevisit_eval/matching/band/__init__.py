"""One band of rows that share covariates, from data frame to result, by whatever method.

It calls every method; no method imports from here.
"""

from homevisit_eval.matching.band.band import match_band
from homevisit_eval.matching.band.problem import dummy_columns
from homevisit_eval.matching.band.result import BandResult
from homevisit_eval.matching.band.rows import BandRows

__all__ = ["BandResult", "BandRows", "dummy_columns", "match_band"]
