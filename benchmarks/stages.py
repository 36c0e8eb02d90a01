"""Seconds and peak memory of each stage of the study, on a synthetic district.

``python benchmarks/stages.py --preset dcps`` makes the district, checks it, and runs the study.
"""

from __future__ import annotations

import argparse
import os
import resource
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import homevisit_eval as hv
from homevisit_eval.evaluation import Answer, answer_questions, collect_answers

ROOT = Path(__file__).resolve().parent.parent


def peak_gib() -> float:
    """Return the highest memory of this process so far (Linux counts in KiB)."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def main(preset: str, seed: int) -> None:
    """Print one row for each stage; peak memory is that of the process up to there."""
    design = hv.read_design(ROOT / "study.toml")
    print(f"preset {preset}, seed {seed}, {os.cpu_count()} cores")
    print(f"{'stage':34s} {'seconds':>8s} {'peak GiB':>9s}")
    began = last = time.perf_counter()

    def lap(stage: str) -> None:
        nonlocal last
        now = time.perf_counter()
        print(f"{stage:34s} {now - last:8.1f} {peak_gib():9.2f}", flush=True)
        last = now

    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        simulation = hv.simulate(preset, seed)
        lap("simulate")
        hv.write_simulation(simulation, folder)
        del simulation
        lap("write the files")
        report = hv.check_sources(folder)
        lap(f"check ({sum(file.rows for file in report.files):,} rows)")
        with hv.read_sources(folder) as sources:
            lap("read_sources")
            panel = hv.build_panel(sources, design.measurement)
            lap("build_panel")

            def answers() -> Iterator[Answer]:
                for answer in answer_questions(panel, design):
                    lap(f"answer {answer.question.name}")
                    yield answer

            evaluation = collect_answers(panel, design, answers())
            hv.build_report(evaluation)
            lap("build_report")
    print(f"{'all':34s} {time.perf_counter() - began:8.1f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--preset", default="dcps")
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    main(chosen.preset, chosen.seed)
