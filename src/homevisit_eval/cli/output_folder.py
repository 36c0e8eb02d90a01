"""Replacing an output folder so that a failure never leaves half a result."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from homevisit_eval.errors import OutputError

__all__ = ["MANIFEST", "check_replaceable", "checksum", "new_folder", "replaced_folder"]

MANIFEST = "manifest.json"


def check_replaceable(folder: Path) -> None:
    """Raise `OutputError` unless `folder` is new, empty, or an unchanged result of ours.

    A result of ours holds nothing but what its manifest lists, with the checksums listed there:
    whatever somebody put or changed there is never lost.
    """
    folder = folder.resolve()
    if not folder.exists():
        return
    if not folder.is_dir():
        raise OutputError(f"{folder}: a file of that name stands there; give another folder.")
    if Path.cwd().is_relative_to(folder):
        raise OutputError(
            f"{folder}: is or holds the current folder, so it is not replaced. Give another "
            "folder, or start the command from elsewhere."
        )
    present = {
        path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()
    }
    if not present and not any(folder.iterdir()):
        return
    listed = _manifest_outputs(folder)
    if listed is None:
        raise OutputError(
            f"{folder}: the folder holds files and no {MANIFEST} of an earlier run, so it is not "
            "replaced. Give a new folder, or empty this one."
        )
    present.pop(MANIFEST, None)
    foreign = sorted(name for name in present if name not in listed)
    changed = sorted(
        name for name, path in present.items() if name in listed and checksum(path) != listed[name]
    )
    if foreign or changed:
        first = folder / (foreign or changed)[0]
        raise OutputError(
            f"{folder}: {len(foreign)} files are not of an earlier run and {len(changed)} were "
            f"changed since (first: {first}), so the folder is not replaced. Move them away, or "
            "give another folder."
        )


def checksum(path: Path) -> str:
    """Return the SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _manifest_outputs(folder: Path) -> dict[str, str] | None:
    """Return the checksums of the files that an earlier run wrote, or None without its manifest."""
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if not isinstance(manifest, dict) or "homevisit_eval" not in manifest:
        return None
    outputs = manifest.get("outputs")
    return outputs if isinstance(outputs, dict) else None


@contextmanager
def replaced_folder(folder: Path) -> Iterator[Path]:
    """Yield a temporary sibling to write into, and put it in the place of `folder` at the end.

    The old folder is renamed aside first and deleted last; if anything fails it is put back.

    Raises
    ------
    OutputError
        If the folder is not one of ours, or files cannot be written; the message names the path.
    """
    folder = folder.resolve()
    check_replaceable(folder)
    fresh = _temporary_sibling(folder)
    try:
        yield fresh
        _swap(fresh, folder)
    except OSError as error:
        raise OutputError(_cannot_write(folder, error)) from None
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


@contextmanager
def new_folder(folder: Path) -> Iterator[Path]:
    """Yield a temporary sibling to write into, and rename it to `folder` at the end.

    Raises
    ------
    OutputError
        If `folder` exists and is not empty, or files cannot be written.
    """
    folder = folder.resolve()
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise OutputError(f"{folder}: already there and not empty; give a new folder.")
    fresh = _temporary_sibling(folder)
    try:
        yield fresh
        if folder.exists():
            folder.rmdir()
        fresh.rename(folder)
    except OSError as error:
        raise OutputError(_cannot_write(folder, error)) from None
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def _temporary_sibling(folder: Path) -> Path:
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        fresh = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
        fresh.chmod(0o755)
    except OSError as error:
        raise OutputError(_cannot_write(folder, error)) from None
    return fresh


def _swap(fresh: Path, folder: Path) -> None:
    if not folder.exists():
        fresh.rename(folder)
        return
    aside = fresh.with_name(fresh.name + "-old")
    folder.rename(aside)
    try:
        fresh.rename(folder)
    except OSError:
        aside.rename(folder)
        raise
    shutil.rmtree(aside, ignore_errors=True)


def _cannot_write(folder: Path, error: OSError) -> str:
    path = error.filename or folder
    reasons = {
        "PermissionError": "no permission, or a file in it is open in another program",
        "FileExistsError": "a file stands where a folder is needed",
        "NotADirectoryError": "a file stands where a folder is needed",
        "FileNotFoundError": "the folder that should hold it does not exist",
    }
    reason = reasons.get(type(error).__name__, error.strerror or type(error).__name__)
    return (
        f"{path}: cannot be written ({reason}). Close programs that show files of this folder, "
        "check free space and permissions, or give another folder. What was there is unchanged."
    )
