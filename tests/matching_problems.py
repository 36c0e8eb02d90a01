"""Small matching problems full of ties and constraints, and their dense distances."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from homevisit_eval.matching.units import Limit, Units

rows = st.lists(
    st.tuples(
        st.booleans(),  # focal
        st.integers(0, 2),  # stratum
        st.integers(0, 6),  # two variables
        st.integers(0, 6),
        st.integers(0, 3),  # anti-exact code
        st.integers(0, 9),  # person
    ),
    min_size=1,
    max_size=30,
)
constraints = st.fixed_dictionaries(
    {
        "coordinates": st.booleans(),
        "calipers": st.lists(st.sampled_from([0.0, 1.0, 2.0, 4.0]), max_size=2),
        "apart": st.booleans(),
        "person": st.booleans(),
    }
)


def problem(rows, *, coordinates=False, calipers=(), apart=False, person=False) -> Units:
    """Make the arrays; the first caliper is one of the score, the second of another variable."""
    focal, stratum, x, y, code, who = (np.array(part) for part in zip(*rows, strict=True))
    x, y = x.astype(float), y.astype(float)
    return Units(
        focal=focal.astype(bool),
        stratum=stratum,
        score=None if coordinates else x,
        coordinates=np.column_stack([x, y * 0.7]) if coordinates else None,
        limits=tuple(Limit(values, width) for values, width in zip((x, y), calipers, strict=False)),
        apart=code[:, None] if apart else None,
        person=who if person else None,
    )


def distances(units: Units):
    """Return all distances, infinite where two rows may not be a pair."""
    place = units.score[:, None] if units.coordinates is None else units.coordinates
    dense = np.sqrt(((place[:, None] - place[None]) ** 2).sum(axis=2))
    allowed = units.focal[:, None] & ~units.focal[None]
    allowed &= units.stratum[:, None] == units.stratum[None]
    for limit in units.limits:
        allowed &= np.abs(limit.values[:, None] - limit.values[None]) <= limit.width
    if units.apart is not None:
        allowed &= (units.apart[:, None] != units.apart[None]).all(axis=2)
    if units.person is not None:
        allowed &= units.person[:, None] != units.person[None]
    return np.where(allowed, dense, np.inf)
