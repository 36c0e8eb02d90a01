"""On which line of a TOML text a table or key begins, for messages about a design file."""

from __future__ import annotations

import re

from homevisit_eval.design.wording import Path

__all__ = ["line_of", "lines_of"]

BARE = r"[A-Za-z0-9_-]+"
KEY = rf"(?:{BARE}|\"[^\"\n]*\"|'[^'\n]*')"
KEYS = rf"{KEY}(?:[ \t]*\.[ \t]*{KEY})*"
HEADER = re.compile(rf"[ \t]*(\[\[?)[ \t]*({KEYS})[ \t]*\]\]?[ \t]*(?:#.*)?$")
PAIR = re.compile(rf"[ \t]*({KEYS})[ \t]*=")
TOKEN = re.compile(
    r'"""(?:\\.|[^\\])*?"""'
    r"|'''.*?'''"
    r'|"(?:\\.|[^"\\\n])*"'
    r"|'[^'\n]*'"
    r"|#[^\n]*|[\[\]{}]|\n",
    re.DOTALL,
)


def lines_of(text: str) -> dict[Path, int]:
    """Return the line, counted from 1, of every table header and key of a valid TOML text.

    Keys inside inline tables are not listed; what holds them is.
    """
    lines: dict[Path, int] = {}
    counts: dict[Path, int] = {}
    table: Path = ()
    for number, line in _statements(text):
        if header := HEADER.match(line):
            brackets, name = header.groups()
            table = _numbered(_split(name), counts)
            if brackets == "[[":
                counts[table] = counts.get(table, -1) + 1
                lines.setdefault(table, number)
                table = (*table, counts[table])
            lines.setdefault(table, number)
        elif pair := PAIR.match(line):
            lines.setdefault((*table, *_split(pair.group(1))), number)
    return lines


def line_of(path: Path, lines: dict[Path, int]) -> int | None:
    """Return the line of `path`, or of the nearest thing around it that has one."""
    for length in range(len(path), 0, -1):
        if path[:length] in lines:
            return lines[path[:length]]
    return None


def _statements(text: str) -> list[tuple[int, str]]:
    """Return (line number, first line) of each header and key = value outside brackets."""
    text = text.replace("\r\n", "\n")
    lines = text.split("\n")
    found = [(1, lines[0])]
    depth, number = 0, 1
    for token in TOKEN.findall(text):
        number += token.count("\n")
        if token in "[{":
            depth += 1
        elif token in "]}":
            depth -= 1
        elif token == "\n" and depth == 0:
            found.append((number, lines[number - 1]))
    return found


def _split(name: str) -> Path:
    return tuple(key.strip("\"'") for key in re.findall(KEY, name))


def _numbered(names: Path, counts: dict[Path, int]) -> Path:
    """Return the path with the current position after each list of tables but the last."""
    path: Path = ()
    for position, name in enumerate(names):
        path = (*path, name)
        if position < len(names) - 1 and path in counts:
            path = (*path, counts[path])
    return path
