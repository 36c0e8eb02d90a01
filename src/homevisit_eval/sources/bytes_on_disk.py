"""What the bytes of a delivered file show: checksum, text encoding, line ends."""

from __future__ import annotations

import codecs
import hashlib
from dataclasses import dataclass
from pathlib import Path

__all__ = ["FileBytes", "blank_lines_at_end", "decode_to", "examine_bytes"]

CHUNK = 1 << 20
UNDEFINED_IN_CP1252 = bytes((0x81, 0x8D, 0x8F, 0x90, 0x9D))
MARKS = (
    (codecs.BOM_UTF32_LE, ""),
    (codecs.BOM_UTF32_BE, ""),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


@dataclass(frozen=True, slots=True)
class FileBytes:
    """Facts about the bytes of one file.

    Parameters
    ----------
    sha256
        Checksum, 64 hexadecimal digits.
    size
        In bytes.
    encoding
        ``"utf-8"``, ``"utf-8-sig"``, ``"utf-16"``, ``"cp1252"``, or empty if it cannot be decided.
    lines
        Physical lines, the last one counted whether or not it has a line end. Right for the
        encodings in which a line end is the byte 10.
    old_line_ends
        Whether there are carriage returns without a line feed.
    quotes
        Whether there are quotation marks.
    """

    sha256: str
    size: int
    encoding: str
    lines: int
    old_line_ends: bool
    quotes: bool


def examine_bytes(path: Path) -> FileBytes:
    """Read a file once and return the facts about its bytes.

    A byte-order mark decides; without one a file that is valid UTF-8 is UTF-8, and any other is
    Windows-1252 (cp1252), the encoding in which Excel saves CSV files on Windows. Zero bytes, and
    bytes that cp1252 does not define, leave the encoding undecided.

    Raises
    ------
    OSError
        If the file cannot be read.
    """
    digest = hashlib.sha256()
    utf8 = codecs.getincrementaldecoder("utf-8")()
    size = feeds = returns = pairs = 0
    valid_utf8 = defined_in_cp1252 = True
    zeros = quotes = False
    start = last = b""
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
            start = start or chunk[:4]
            size += len(chunk)
            feeds += chunk.count(b"\n")
            returns += chunk.count(b"\r")
            pairs += chunk.count(b"\r\n") + (last == b"\r" and chunk[:1] == b"\n")
            last = chunk[-1:]
            quotes = quotes or b'"' in chunk
            zeros = zeros or b"\0" in chunk
            if not chunk.isascii():
                defined_in_cp1252 = defined_in_cp1252 and not any(
                    byte in chunk for byte in UNDEFINED_IN_CP1252
                )
            valid_utf8 = valid_utf8 and _accepts(utf8, chunk)
    valid_utf8 = valid_utf8 and _accepts(utf8, b"", final=True)
    encoding = _decide(start, valid_utf8, defined_in_cp1252, zeros)
    lines = feeds + (last not in (b"", b"\n"))
    return FileBytes(digest.hexdigest(), size, encoding, lines, returns > pairs, quotes)


def _accepts(decoder: codecs.IncrementalDecoder, chunk: bytes, final: bool = False) -> bool:
    try:
        decoder.decode(chunk, final)
    except UnicodeDecodeError:
        return False
    return True


def _decide(start: bytes, valid_utf8: bool, defined_in_cp1252: bool, zeros: bool) -> str:
    for mark, encoding in MARKS:
        if start.startswith(mark):
            return "" if encoding == "utf-8-sig" and (not valid_utf8 or zeros) else encoding
    if zeros:
        return ""
    if valid_utf8:
        return "utf-8"
    return "cp1252" if defined_in_cp1252 else ""


def blank_lines_at_end(path: Path) -> int:
    """Return how many empty lines stand after the last line of a text file, up to 1,000 or so.

    Raises
    ------
    OSError
        If the file cannot be read.
    """
    with path.open("rb") as file:
        file.seek(-min(path.stat().st_size, 1000), 2)
        end = file.read()
    spaces = end[len(end.rstrip(b"\r\n")) :]
    return max(spaces.count(b"\n") - 1, 0)


def decode_to(path: Path, encoding: str, target: Path) -> int:
    """Write a text file again as UTF-8 with line feeds and return its number of lines.

    Parameters
    ----------
    path, encoding
        What to read.
    target
        What to write, a file in a private folder.

    Raises
    ------
    OSError
        If a file cannot be read or written.
    UnicodeDecodeError
        If the bytes do not have the encoding after all.
    """
    feeds = 0
    last = ""
    with (
        path.open(encoding=encoding, newline=None) as source,
        target.open("w", encoding="utf-8", newline="\n") as out,
    ):
        while text := source.read(CHUNK):
            feeds += text.count("\n")
            last = text[-1]
            out.write(text)
    return feeds + (last not in ("", "\n"))
