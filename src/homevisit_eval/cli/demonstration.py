"""The synthetic district and the design that come with the package."""

from __future__ import annotations

from pathlib import Path

from homevisit_eval.errors import SourceError

__all__ = ["demo_design", "demo_folder"]

PACKAGE = Path(__file__).resolve().parent.parent
SOURCE_TREE = PACKAGE.parent.parent


def demo_folder() -> Path:
    """Return the folder of the synthetic district, of the installed package or its source tree.

    Raises
    ------
    SourceError
        If the installation lacks it.
    """
    return _first_of(PACKAGE / "_demo", SOURCE_TREE / "data" / "synthetic")


def demo_design() -> Path:
    """Return the path of the design of the replicated study.

    Raises
    ------
    SourceError
        If the installation lacks it.
    """
    return _first_of(PACKAGE / "_demo_study.toml", SOURCE_TREE / "study.toml")


def _first_of(*places: Path) -> Path:
    for place in places:
        if place.exists():
            return place
    raise SourceError("The installed package lacks its synthetic district; install it again.")
