"""What a data dictionary is made of: columns, references between tables, tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

__all__ = ["Column", "Kind", "Reference", "TableSchema"]

Kind = Literal["identifier", "text", "code", "grade", "date", "boolean", "integer", "number"]


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a raw table.

    Parameters
    ----------
    name
        The header of the column. Case and spaces of a delivered header do not matter.
    kind
        ``"identifier"`` and ``"text"`` stay text (leading zeros are kept); ``"code"`` is one of
        `allowed`; ``"grade"`` becomes an integer (PK is -1, KG is 0); ``"date"`` is written as
        2014-08-25; ``"boolean"`` as 1 or 0; ``"integer"`` and ``"number"`` are numbers.
    description
        What a row says in this column, in one sentence.
    unit
        Of a number or date, for example ``"days"``.
    required
        Whether the column must be in the file. A missing optional column counts as all empty.
    nullable
        Whether a cell may be empty.
    descriptive
        Whether no analysis needs the column: an optional one may then be missing without a word.
    allowed
        The codes of a ``"code"`` or ``"grade"`` column.
    synonyms
        Other spellings that are read as one of `allowed`, and counted.
    minimum, maximum
        Limits of a number, both allowed.
    ceds
        Name (and number) of the element of the Common Education Data Standards that this column
        is aligned with; empty if there is none.
    """

    name: str
    kind: Kind
    description: str
    unit: str = ""
    required: bool = True
    nullable: bool = False
    descriptive: bool = False
    allowed: tuple[str, ...] = ()
    synonyms: Mapping[str, str] = field(default_factory=dict)
    minimum: float | None = None
    maximum: float | None = None
    ceds: str = ""


@dataclass(frozen=True, slots=True)
class Reference:
    """Values of `columns` must be found in the columns `target_columns` of table `target`.

    Cells that are empty refer to nothing and are not checked.
    """

    columns: tuple[str, ...]
    target: str
    target_columns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TableSchema:
    """One raw table: one file, ``NAME.csv`` or ``NAME.parquet``.

    Parameters
    ----------
    name
        The table and the stem of its file.
    description
        What one row is.
    required
        Whether the study cannot run without it.
    columns
        In the order of the data dictionary; the order in a file does not matter.
    key
        Columns that together identify a row.
    references
        Columns that point to other tables.
    rules
        Names of the further rules that are checked, see `RULES`.
    """

    name: str
    description: str
    required: bool
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    references: tuple[Reference, ...] = ()
    rules: tuple[str, ...] = ()

    def column(self, name: str) -> Column:
        """Return the column called `name`.

        Raises
        ------
        KeyError
            If the table has no such column.
        """
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(name)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all columns."""
        return tuple(column.name for column in self.columns)
