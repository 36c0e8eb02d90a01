"""Write a synthetic district as a folder of CSV files with checksums, the truth apart."""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from pathlib import Path

import numpy as np
import pandas as pd
import tomli_w

from homevisit_eval.errors import OutputError
from homevisit_eval.synthetic.district_file import district_text
from homevisit_eval.synthetic.simulate import Simulation

__all__ = ["CHECKSUMS", "PARAMETERS", "settings_text", "write_checksums", "write_simulation"]

CHECKSUMS = "SHA256SUMS"
PARAMETERS = "truth/parameters.toml"
NOTE = "Simulated: no row describes a real student, family, teacher or school."


def write_simulation(simulation: Simulation, folder: str | Path) -> None:
    """Write tables, ``district.toml``, ``SHA256SUMS`` and the folder ``truth`` to `folder`.

    Files are UTF-8 with line feeds; dates are ISO, missing values empty. Files of the same
    names are replaced, others stay. No loader opens ``truth``: it holds ``outcomes.csv`` and
    ``visits.csv``, and ``parameters.toml`` from which `read_district` makes the district again.

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
    settings = settings_text("district", simulation.district.name, simulation.seed)
    written = ["district.toml"]
    try:
        (root / "truth").mkdir(parents=True, exist_ok=True)
        (root / "district.toml").write_bytes(settings.encode())
        for name, table in simulation.tables.items():
            _write_table(table, root / f"{name}.csv")
            written.append(f"{name}.csv")
        for name, table in (("outcomes", simulation.truth), ("visits", simulation.visit_truth)):
            _write_table(table, root / "truth" / f"{name}.csv")
            written.append(f"truth/{name}.csv")
        (root / PARAMETERS).write_bytes(district_text(simulation.district).encode())
        write_checksums(root, [*written, PARAMETERS])
    except OSError as error:
        reason = error.strerror or "unknown reason"
        raise OutputError(f"{root}: the synthetic district cannot be written: {reason}.") from None


def settings_text(kind: str, preset: str, seed: int) -> str:
    """Return the text of ``district.toml`` of a synthetic district or state (`kind`)."""
    settings = {
        "format": 1,
        "name": f"Synthetic {kind} ({preset})",
        "synthetic": True,
        "preset": preset,
        "seed": seed,
        "note": NOTE,
    }
    return tomli_w.dumps(settings)


def write_checksums(root: Path, names: Collection[str]) -> None:
    """Write ``SHA256SUMS`` of the files of a folder, in the order of their names."""
    lines = []
    for name in sorted(names):
        with (root / name).open("rb") as file:
            lines.append(f"{hashlib.file_digest(file, 'sha256').hexdigest()}  {name}\n")
    (root / CHECKSUMS).write_bytes("".join(lines).encode())


def _write_table(table: pd.DataFrame, path: Path) -> None:
    dates = {
        name: np.datetime_as_string(table[name].to_numpy(dtype="datetime64[D]"), unit="D")
        for name in table.columns
        if pd.api.types.is_datetime64_any_dtype(table[name])
    }
    texts = table.assign(**{name: np.where(day == "NaT", "", day) for name, day in dates.items()})
    texts.to_csv(path, index=False, lineterminator="\n", encoding="utf-8")
