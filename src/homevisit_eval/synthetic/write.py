"""Write a synthetic district as a folder of CSV files with checksums, the truth apart."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pandas as pd
import tomli_w

from homevisit_eval.errors import OutputError
from homevisit_eval.synthetic.simulate import Simulation

__all__ = ["CHECKSUMS", "write_simulation"]

CHECKSUMS = "SHA256SUMS"
NOTE = "Simulated: no row describes a real student, family, teacher or school."


def write_simulation(simulation: Simulation, folder: str | Path) -> None:
    """Write tables, ``district.toml``, ``truth/outcomes.csv`` and ``SHA256SUMS`` to `folder`.

    Files are UTF-8 with line feeds; dates are ISO, missing values empty. Files of the same
    names are replaced, others stay. No loader opens ``truth/``.

    Parameters
    ----------
    simulation
        What `simulate` returns.
    folder
        Made if it does not exist.

    Raises
    ------
    OutputError
        If the folder or a file cannot be written.
    """
    root = Path(folder)
    settings = {
        "format": 1,
        "name": f"Synthetic district ({simulation.district.name})",
        "synthetic": True,
        "preset": simulation.district.name,
        "seed": simulation.seed,
        "note": NOTE,
    }
    written = ["district.toml"]
    try:
        (root / "truth").mkdir(parents=True, exist_ok=True)
        (root / "district.toml").write_bytes(tomli_w.dumps(settings).encode())
        for name, table in simulation.tables.items():
            _write_table(table, root / f"{name}.csv")
            written.append(f"{name}.csv")
        _write_table(simulation.truth, root / "truth" / "outcomes.csv")
        written.append("truth/outcomes.csv")
        lines = [
            f"{hashlib.sha256((root / name).read_bytes()).hexdigest()}  {name}\n"
            for name in sorted(written)
        ]
        (root / CHECKSUMS).write_bytes("".join(lines).encode())
    except OSError as error:
        reason = error.strerror or "unknown reason"
        raise OutputError(f"{root}: the synthetic district cannot be written: {reason}.") from None


def _write_table(table: pd.DataFrame, path: Path) -> None:
    dates = {
        name: np.datetime_as_string(table[name].to_numpy(dtype="datetime64[D]"), unit="D")
        for name in table.columns
        if pd.api.types.is_datetime64_any_dtype(table[name])
    }
    texts = table.assign(**{name: np.where(day == "NaT", "", day) for name, day in dates.items()})
    texts.to_csv(path, index=False, lineterminator="\n", encoding="utf-8")
