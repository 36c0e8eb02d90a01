"""The commands, each a thin shell around the public functions."""

from __future__ import annotations

import gc
import logging
import os
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from homevisit_eval.cli.interruption import (
    interruptible,
    stop_if_interrupted,
    was_interrupted,
)
from homevisit_eval.cli.progress import progress
from homevisit_eval.errors import (
    DesignError,
    EstimationError,
    HomeVisitEvalError,
    MatchingError,
    OutputError,
    SourceError,
)

if TYPE_CHECKING:
    from homevisit_eval.cli.comparison import Rows
    from homevisit_eval.evaluation import Answer

__all__ = ["app", "main"]

DIFFERENT_NUMBERS = 5
INTERRUPTED = 130
DIFFERENCES_SHOWN = 40
OBJECTS_BETWEEN_COLLECTIONS = 50_000
"""Nearly all that a command makes lives to its end: looking for garbage more often finds none."""
STATUS: tuple[tuple[type[HomeVisitEvalError], int], ...] = (
    (SourceError, 3),
    (DesignError, 3),
    (MatchingError, 4),
    (EstimationError, 4),
    (OutputError, 6),
)

app = typer.Typer(
    name="homevisit-eval",
    help="Impact evaluation of teacher home visits: from a district's files to a report.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)

Preset = Literal[
    "small", "dcps", "null", "heterogeneous", "hidden_confounding", "targeted", "spillover",
    "school_confounding", "teacher_selection", "messy", "state",
]  # fmt: skip
Schools = Literal["redrawn", "fixed", "both"]
Data = Annotated[Path, typer.Argument(metavar="DATA", help="Folder with the district's files.")]
Out = Annotated[Path, typer.Option("--out", help="Folder for the results.")]
Design = Annotated[Path, typer.Option("--design", help="The study's design file.")]
Compare = Annotated[
    Path | None,
    typer.Option("--compare", help="Folder of an earlier run; exit 5 if any number differs."),
]
Verbose = Annotated[bool, typer.Option("--verbose", help="Log each stage with its seconds.")]


def main() -> int:
    """Run the command line and return its exit status.

    0 done; 2 wrong arguments; 3 files or design do not fit; 4 a method cannot be carried out;
    5 a compared number differs; 6 the output cannot be written; 130 interrupted.
    """
    gc.set_threshold(OBJECTS_BETWEEN_COLLECTIONS)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    try:
        with interruptible():
            app(standalone_mode=True)
    except HomeVisitEvalError as error:
        typer.echo(f"{type(error).__name__}: {error}", err=True)
        return next(status for kind, status in STATUS if isinstance(error, kind))
    except SystemExit as done:
        return INTERRUPTED if was_interrupted() else int(done.code or 0)
    except BaseException:
        if was_interrupted():  # a library may have turned it into an error of its own
            return INTERRUPTED
        raise
    return 0


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(version("homevisit-eval"))
        raise typer.Exit


@app.callback()
def shell(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """Impact evaluation of teacher home visits: from a district's files to a report."""


@app.command()
def init(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A new or empty folder.")],
) -> None:
    """Write a study.toml with comments, and the data dictionary."""
    from homevisit_eval.cli.demonstration import demo_design
    from homevisit_eval.cli.output_folder import new_folder
    from homevisit_eval.sources import data_dictionary

    with new_folder(folder) as fresh:
        text = demo_design().read_text(encoding="utf-8")
        (fresh / "study.toml").write_text(text, encoding="utf-8", newline="\n")
        (fresh / "data-dictionary.md").write_text(data_dictionary(), encoding="utf-8", newline="\n")
    typer.echo(f"{folder / 'study.toml'}: the design; change it before you read outcomes.")
    typer.echo(f"{folder / 'data-dictionary.md'}: the files and columns that a district delivers.")


@app.command()
def simulate(
    out: Out,
    preset: Annotated[
        Preset | None, typer.Option(help="The kind of district: small if not given.")
    ] = None,
    parameters: Annotated[
        Path | None, typer.Option("--parameters", help="A file of parameters, not a preset.")
    ] = None,
    districts: Annotated[
        int | None, typer.Option(min=1, max=99, help="Districts of a state: 20 if not given.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Same seed, same district.")] = 1,
) -> None:
    """Make a synthetic district, or state, whose true effects are known."""
    if preset is not None and parameters is not None:
        raise typer.BadParameter("give --preset or --parameters, not both.")
    if districts is not None and preset != "state":
        raise typer.BadParameter("--districts is for --preset state only.")
    if preset == "state":
        simulate_state(out, seed, districts or 20)
    else:
        simulate_district(out, seed, preset or "small", parameters)


def simulate_district(out: Path, seed: int, preset_name: str, parameters: Path | None) -> None:
    """Write one synthetic district, of a preset or of a file of parameters."""
    from homevisit_eval.cli.output_folder import new_folder
    from homevisit_eval.synthetic import preset, read_district, simulate, write_simulation

    district = read_district(parameters) if parameters else preset(preset_name)
    with progress("Simulating", total=None), new_folder(out) as fresh:
        write_simulation(simulate(district, seed), fresh)
    kind = f"parameters of {parameters}" if parameters else f"preset {preset_name}"
    typer.echo(f"{out}: synthetic district, {kind}, seed {seed}.")


def simulate_state(out: Path, seed: int, districts: int) -> None:
    """Write a synthetic state, district by district."""
    from homevisit_eval.cli.output_folder import new_folder
    from homevisit_eval.synthetic import write_state

    with (
        progress("Simulating", total=districts + 1) as step,
        new_folder(out) as fresh,
    ):
        write_state(fresh, seed, districts=districts, step=step)
    typer.echo(f"{out}: synthetic state of {districts} districts, seed {seed}.")


@app.command()
def check(data: Data) -> None:
    """Validate a district's files and list every problem at once."""
    from homevisit_eval.sources import check_sources

    with progress("Checking", total=None):
        report = check_sources(data)
    typer.echo(str(report))
    if not report.ok:
        raise typer.Exit(3)


@app.command()
def run(
    data: Data,
    design: Design,
    out: Out,
    compare: Compare = None,
    verbose: Verbose = False,
) -> None:
    """Run the whole study: tables, figures, report."""
    run_study(data, design, out, compare, verbose)


@app.command()
def certify(
    design: Design,
    out: Out,
    *,
    preset: Annotated[
        Preset | None, typer.Option(help="The kind of district; small if none is named.")
    ] = None,
    parameters: Annotated[
        Path | None,
        typer.Option("--parameters", help="A file of district parameters, in place of a preset."),
    ] = None,
    replications: Annotated[
        int, typer.Option(min=1, help="How often the study is done; with schools both, twice.")
    ] = 500,
    seed: Annotated[int, typer.Option(min=0, help="Same seed, same certificate.")] = 1,
    schools: Annotated[
        Schools,
        typer.Option(help="Every replication a district of its own, or few districts held fixed."),
    ] = "redrawn",
    districts: Annotated[int, typer.Option(min=20, help="How many districts are held fixed.")] = 20,
    workers: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Processes, as many as processors if not given; the results are the same.",
        ),
    ] = None,
    grid: Annotated[
        bool, typer.Option("--grid/--no-grid", help="Try other designs beside the study's own.")
    ] = True,
    question: Annotated[
        list[str] | None,
        typer.Option(
            help="A question or timing contrast of the design, by name; more than one may be "
            "given. If none is, the primary questions."
        ),
    ] = None,
) -> None:
    """Say whether a design recovers the truth in districts whose true effects are known.

    Finished replications are kept in OUT.unfinished.jsonl until the certificate is written; if
    the command is interrupted, the same command goes on from there.
    """
    from homevisit_eval.cli.certify import Order, certify_design

    if preset and parameters:
        raise typer.BadParameter(
            "a file of parameters names its preset itself; give one of the two.",
            param_hint="--parameters",
        )
    processes = workers or os.cpu_count() or 1
    asked = tuple(dict.fromkeys(question or ()))
    order = Order(replications, seed, schools, districts, processes, grid, asked)
    certify_design(design, parameters or preset or "small", order, out)


@app.command()
def demo(
    out: Out = Path("homevisit-report"),
    compare: Compare = None,
    verbose: Verbose = False,
) -> None:
    """Run the study on the synthetic district that comes with the package."""
    from homevisit_eval.cli.demonstration import demo_design, demo_folder

    run_study(demo_folder(), demo_design(), out, compare, verbose)


def run_study(data: Path, design_file: Path, out: Path, compare: Path | None, log: bool) -> None:
    """Read, evaluate, write, and compare with an earlier run if one is given.

    Each stage is imported when it is reached, so that a refusal comes at once.
    """
    from homevisit_eval.cli.comparison import read_tables
    from homevisit_eval.cli.output_folder import check_replaceable, replaced_folder
    from homevisit_eval.design import read_design

    if log:
        logging.basicConfig(stream=sys.stderr, format="%(message)s")
        logging.getLogger("homevisit_eval").setLevel(logging.INFO)
    design = read_design(design_file)
    check_replaceable(out)
    earlier = read_tables(compare) if compare else None
    with progress("Reading files", total=len(design.questions) + 3) as step:
        from homevisit_eval.sources import read_sources

        with read_sources(data) as sources:
            from homevisit_eval.cli.results import write_report
            from homevisit_eval.evaluation import answer_questions, collect_answers
            from homevisit_eval.panel import build_panel
            from homevisit_eval.report import build_report

            step("Building the panel")
            panel = build_panel(sources, design.measurement)
            step("Answering")

            def counted() -> Iterator[Answer]:
                for answer in answer_questions(panel, design):
                    step(f"Answered: {answer.question.label}")
                    yield answer

            evaluation = collect_answers(panel, design, counted())
            report = build_report(evaluation, panel)
            stop_if_interrupted()
            with replaced_folder(out) as fresh:
                write_report(report, design, sources, fresh)
        step("Done")
    typer.echo(report.summary)
    typer.echo(f"Report: {(out / 'report.html').absolute()}")
    if earlier is not None:
        report_differences(earlier, read_tables(out))


def report_differences(old: dict[str, Rows], new: dict[str, Rows]) -> None:
    """Print where two runs differ, and exit with status 5 if they do."""
    from homevisit_eval.cli.comparison import compare_tables

    differences = compare_tables(old, new)
    if not differences:
        typer.echo("Compared with the earlier run: no number differs.")
        return
    places = "1 place differs" if len(differences) == 1 else f"{len(differences)} places differ"
    typer.echo(f"Compared with the earlier run: {places}.")
    for difference in differences[:DIFFERENCES_SHOWN]:
        typer.echo(f"  {difference}")
    if len(differences) > DIFFERENCES_SHOWN:
        tables = Counter(one.table for one in differences[DIFFERENCES_SHOWN:])
        rest = ", ".join(f"{table} ({count})" for table, count in sorted(tables.items()))
        typer.echo(f"  and more: {rest}")
    raise typer.Exit(DIFFERENT_NUMBERS)
