"""A design as a file: reading `study.toml`, and the text and checksum of a design.

Every fault of a file is reported at once. What pydantic finds is put in our own words; what
the tables disagree about is looked for in whatever part of the file could be read.
"""

from __future__ import annotations

import copy
import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, get_type_hints

import tomli_w
from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from homevisit_eval.design.achievement import Achievement
from homevisit_eval.design.consistency import as_tables, inconsistencies
from homevisit_eval.design.matching_methods import (
    CardinalityMatching,
    CoarsenedExactMatching,
    ExactMatching,
    FullMatching,
    NearestNeighbor,
    NoMatching,
    OptimalPairs,
    Subclassification,
)
from homevisit_eval.design.matching_options import Coarsening, CovariateCaliper
from homevisit_eval.design.missing_covariates import (
    CompleteCases,
    MissingIndicator,
    MultipleImputation,
)
from homevisit_eval.design.outcome_models import (
    AbadieImbens,
    CountMargins,
    DifferenceInMeans,
    DoublyRobust,
    FixedEffects,
    LogisticMargins,
    RandomIntercept,
)
from homevisit_eval.design.questions import (
    Covariate,
    Outcome,
    Question,
    TimingContrast,
    Variation,
)
from homevisit_eval.design.study import Eligibility, Measurement, RiskSets, StudyDesign
from homevisit_eval.design.toml_file import (
    Document,
    FileKind,
    check_format,
    faults_by_line,
    parse_document,
    read_text,
)
from homevisit_eval.design.toml_lines import lines_of
from homevisit_eval.design.weighting_methods import (
    EntropyBalancing,
    InverseProbability,
    OverlapWeights,
)
from homevisit_eval.design.wording import Fault, in_words, literals, nearest, shown
from homevisit_eval.design.wording import Path as Place
from homevisit_eval.errors import DesignError

__all__ = [
    "REGISTERED_FILE",
    "design_checksum",
    "design_text",
    "parse_design",
    "read_design",
    "upgrade",
]

Upgrade = Callable[[Document], Document]

FORMAT = 3
REGISTERED_FILE = "study-registered.toml"
"""The file beside a design's own in which `design_text` expects the registered one."""


def _name_the_score(document: Document) -> Document:
    """Turn format 1 into 2: what `distance` named is now the `score`."""
    for owner in _owners(document):
        matching = owner.get("matching")
        if isinstance(matching, dict) and "distance" in matching:
            renamed = {("score" if key == "distance" else key): matching[key] for key in matching}
            owner["matching"] = renamed
    return document


def _name_the_covariance(document: Document) -> Document:
    """Turn format 2 into 3: what was called CR1 is CR1S, with (N - 1) / (N - K) in it."""
    for owner in _owners(document):
        model = owner.get("model")
        if isinstance(model, dict) and model.get("covariance") == "CR1":
            owner["model"] = {**model, "covariance": "CR1S"}
    return document


def _owners(document: Document) -> list[Document]:
    """Return every table that may hold a `matching` and a `model`."""
    owners = [document]
    for kind in ("questions", "sensitivity"):
        entries = document.get(kind)
        owners += (
            [one for one in entries if isinstance(one, dict)] if isinstance(entries, list) else []
        )
    return owners


UPGRADES: Mapping[int, Upgrade] = {1: _name_the_score, 2: _name_the_covariance}
"""Format -> a pure function from a document of that format to one of the next."""

DESIGN_FILE = FileKind(
    name="design",
    example="study.toml",
    advice="`homevisit-eval init DIR` writes a complete one with comments.",
    repeated="[[questions]]",
)

CLASSES: Mapping[str, type] = {
    "covariates": Covariate,
    "outcomes": Outcome,
    "questions": Question,
    "sensitivity": Variation,
    "timing_contrasts": TimingContrast,
    "risk_sets": RiskSets,
    "eligibility": Eligibility,
    "achievement": Achievement,
    "measurement": Measurement,
    "nearest_neighbor": NearestNeighbor,
    "optimal_pairs": OptimalPairs,
    "full_matching": FullMatching,
    "coarsened_exact": CoarsenedExactMatching,
    "exact": ExactMatching,
    "subclassification": Subclassification,
    "cardinality": CardinalityMatching,
    "inverse_probability": InverseProbability,
    "overlap_weights": OverlapWeights,
    "entropy_balancing": EntropyBalancing,
    "no_matching": NoMatching,
    "covariate_calipers": CovariateCaliper,
    "coarsening": Coarsening,
    "fixed_effects": FixedEffects,
    "difference_in_means": DifferenceInMeans,
    "logistic_margins": LogisticMargins,
    "count_margins": CountMargins,
    "doubly_robust": DoublyRobust,
    "random_intercept": RandomIntercept,
    "abadie_imbens": AbadieImbens,
    "complete_cases": CompleteCases,
    "indicator": MissingIndicator,
    "multiple_imputation": MultipleImputation,
}
"""The class of each table, by its name in the file or by its `method`, `model` or `rule`."""


def read_design(path: str | Path) -> StudyDesign:
    """Read the design of a study from a TOML file, and the registered one that it names.

    Parameters
    ----------
    path
        A file in UTF-8, with or without a byte-order mark, that begins with ``format = 3``. Its
        key ``registered`` is the name of another such file, looked for from the same folder.

    Raises
    ------
    DesignError
        If a file cannot be read, is not TOML, has a format that this version does not know,
        or does not describe a possible design; if the registered file names a registered one
        itself. The message lists every fault with its line.
    """
    return parse_design(read_text(Path(path), DESIGN_FILE), str(path))


def parse_design(text: str, file: str = "study.toml") -> StudyDesign:
    """Return the design that a TOML text describes.

    Parameters
    ----------
    text
        The whole text of a design file.
    file
        What messages call it; a registered design is looked for from its folder.

    Raises
    ------
    DesignError
        As for `read_design`.
    """
    design, named = _design_and_registered(text, file)
    return design if named is None else replace(design, registered=_registered(named, file))


def _design_and_registered(text: str, file: str) -> tuple[StudyDesign, str | None]:
    """Return the design of a text, and the name of the file of the registered one, if any."""
    document = parse_document(text, file, DESIGN_FILE)
    check_format(document, file, known=(FORMAT, *UPGRADES), newest=FORMAT)
    document = upgrade(document)
    named = document.pop("registered", None)
    faults = []
    if named is not None and not (isinstance(named, str) and named.strip()):
        what = f"must be the name of a file in quotes, or left out; it is {shown(named)}."
        faults.append(Fault(("registered",), what))
    plain = json.dumps(document, default=str)  # a date becomes text
    try:
        design = _adapter().validate_json(plain)
    except ValidationError as error:
        details = error.errors(include_url=False, include_input=False)
        faults += _faults(json.loads(plain), details)
    if faults:
        where = "in the design of the study"
        raise DesignError(faults_by_line(faults, lines_of(text), file, where))
    return design, named


def _registered(named: str, file: str) -> StudyDesign:
    """Return the design that `file` names as the registered one."""
    path = Path(file).parent / named
    advice = f"`registered` in {file} names it: correct the name, or take that line out."
    text = read_text(path, replace(DESIGN_FILE, advice=advice))
    design, further = _design_and_registered(text, str(path))
    if further is not None:
        raise DesignError(
            f"{path}: {file} names this file as the registered design, and it names one itself. "
            "A registered design stands alone: keep a copy of the file as it was registered, "
            "without the line `registered`, and name that."
        )
    return design


def design_text(design: StudyDesign) -> str:
    """Return the design as the text of a TOML file, every default written out.

    Reading the text gives an equal design. If one is registered, the text names `REGISTERED_FILE`,
    which must hold that one's text.
    """
    named = {} if design.registered is None else {"registered": REGISTERED_FILE}
    return tomli_w.dumps({**named, **as_tables(design)})


def design_checksum(design: StudyDesign) -> str:
    """Return the SHA-256 of the design, 64 hexadecimal digits.

    It covers every option, defaults included, and neither comments nor layout nor the registered
    design: equal designs have equal checksums. It is taken over JSON in the order of the fields,
    which does not depend on how a version of the TOML writer breaks lines.
    """
    canonical = json.dumps(as_tables(design), ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode("ascii")).hexdigest()


def upgrade(
    document: Document, upgrades: Mapping[int, Upgrade] = UPGRADES, to: int = FORMAT
) -> Document:
    """Return a document of an older format as one of format `to`; the document is unchanged.

    Parameters
    ----------
    document
        The tables of a design file, whose `format` is a key of `upgrades`, or is `to`.
    upgrades
        For each older format, the function that makes a document of the next format.
    to
        The format wanted.
    """
    while document["format"] < to:
        step = upgrades[document["format"]]
        document = {**step(copy.deepcopy(document)), "format": document["format"] + 1}
    return document


@cache
def _adapter() -> TypeAdapter[StudyDesign]:
    return TypeAdapter(StudyDesign)


def _faults(document: Document, details: list[ErrorDetails]) -> list[Fault]:
    """Return what is wrong with a document, given what pydantic found in its tables."""
    readable = copy.deepcopy(document)
    faults = []
    for detail in details:
        if not detail["loc"]:
            continue  # what the tables disagree about: looked for below, in every readable part
        fault = _fault(document, detail)
        faults.append(fault)
        if detail["type"] != "value_error":
            _blank(readable, fault.path)
    return faults + inconsistencies(readable)


def _blank(value: Any, path: Place) -> None:
    """Put `None` where a value cannot be used."""
    for part in path[:-1]:
        value = value[part]
    value[path[-1]] = None


def _fault(document: Document, detail: ErrorDetails) -> Fault:
    loc = detail["loc"]
    cls, start = _class_at(loc)
    around, table = _around(document, loc[:start])
    name = str(loc[start])
    if detail["type"] == "missing" and name not in table:
        return Fault((*around, name), _missing(cls, name))
    if detail["type"] == "unexpected_keyword_argument":
        return Fault((*around, name), _unknown_key(cls, name, around))
    fault = in_words({**detail, "loc": loc[start + 1 :]}, cls, name, table[name])
    path, what = (*around, *fault.path), fault.what
    if len(path) == 2 and isinstance(path[1], int):  # an entry of a list of tables
        what = _named_once(what, table[name][path[1]])
    return Fault(path, what)


def _named_once(what: str, entry: Any) -> str:
    """Return what is wrong with an entry, whose path goes before, with its name in brackets."""
    if not isinstance(entry, dict):
        return what
    name = shown(entry.get("name"))
    first, *others = re.split(rf"(?:question|timing contrast) {re.escape(name)}: ", what)
    return f"({name}) {' '.join(part.strip() for part in others)}" if others and not first else what


def _class_at(loc: Place) -> tuple[type, int]:
    """Return the class that `loc` lies in, and where in `loc` its field begins."""
    cls: type = StudyDesign
    start = 0
    for position, part in enumerate(loc[:-1]):
        inner = position + (2 if isinstance(loc[position + 1], int) else 1)
        if part in CLASSES and inner < len(loc):
            cls, start = CLASSES[str(part)], inner
    return cls, start


def _around(document: Document, loc: Place) -> tuple[Place, Any]:
    """Return the path and value at `loc`, passing over the name of a method, model or rule."""
    path: Place = ()
    value: Any = document
    for part in loc:
        if path and path[-1] in ("matching", "model", "missing_covariates") and part in CLASSES:
            continue  # `part` is the name of a method, model or rule
        path, value = (*path, part), value[part]
    return path, value


def _missing(cls: type, name: str) -> str:
    words = literals(get_type_hints(cls)[name])
    return f"is missing; one of {', '.join(map(shown, words))}." if words else "is missing; add it."


def _unknown_key(cls: type, name: str, around: Place) -> str:
    keys = list(get_type_hints(cls))
    keys = [key for key in keys if not key.startswith("__")]
    hint = nearest(name, keys)
    if not hint and around and name in get_type_hints(StudyDesign):
        hint = " It belongs at the top of the file, before the first table in brackets."
    where = "the top of the file" if cls is StudyDesign else "this table"
    return f"is not a key of {where}.{hint} Its keys: {', '.join(keys)}."
