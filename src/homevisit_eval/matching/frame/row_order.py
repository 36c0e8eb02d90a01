"""An order of rows that depends on what identifies them, not on where they stand."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from homevisit_eval.errors import MatchingError

__all__ = ["key_rank"]

HASH_KEY = "homevisit-eval-1"  # 16 characters; another key is another order of tied units


def key_rank(frame: pd.DataFrame, key: Sequence[str] = ()) -> NDArray[np.int64]:
    """Return each row's rank (from 0) in an order made from its identifying columns.

    Parameters
    ----------
    frame
        Any data frame with unique row labels.
    key
        Columns that together identify a row; the row labels if empty.

    Returns
    -------
    array of int, shape (n,)
        The order is that of a hash of the key with a fixed hash key, so it favors no school and
        no age of record, and of the key itself where two hashes are equal.

    Raises
    ------
    MatchingError
        If two rows have the same key.
    """
    columns = _plain(frame[list(key)] if key else frame.index.to_frame(index=False))
    hashes = pd.util.hash_pandas_object(columns, index=False, hash_key=HASH_KEY).to_numpy()
    order = np.argsort(hashes, kind="stable")
    if (hashes[order][1:] == hashes[order][:-1]).any():
        codes = [pd.factorize(columns[name], sort=True)[0] for name in columns]
        order = np.lexsort((*reversed(codes), hashes))
        table = np.column_stack([hashes.view(np.int64), *codes])[order]
        same = (table[1:] == table[:-1]).all(axis=1)
        if same.any():
            raise MatchingError(
                f"key: {int(same.sum()):,} rows repeat the values of {', '.join(key)}, so they "
                "cannot be told apart. Name columns that together identify a row."
            )
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.arange(len(order))
    return rank


def _plain(columns: pd.DataFrame) -> pd.DataFrame:
    """Give equal values equal types, whatever the frame was read from."""
    plain = {}
    for number, (_, column) in enumerate(columns.items()):
        dtype = column.dtype
        whole = pd.api.types.is_integer_dtype(dtype) or pd.api.types.is_bool_dtype(dtype)
        if whole and not column.hasnans:
            plain[number] = pd.Series(column.to_numpy(dtype=np.int64))
        elif isinstance(dtype, np.dtype) and dtype.kind == "M":
            moments = column.to_numpy(dtype="datetime64[ns]").astype(np.int64)
            plain[number] = pd.Series(moments)
        else:
            text = column.astype(str).to_numpy(dtype=object)
            plain[number] = pd.Series(text, dtype=object)
    return pd.DataFrame(plain)
