"""Raw extracts of a district: the data dictionary, reading, checking."""

from homevisit_eval.sources.columns import Column, Reference, TableSchema
from homevisit_eval.sources.dictionary import data_dictionary
from homevisit_eval.sources.extracts import Sources
from homevisit_eval.sources.problems import Problem, SourceFile, SourceReport
from homevisit_eval.sources.read import check_sources, read_sources
from homevisit_eval.sources.rule_catalogue import RULES, Rule
from homevisit_eval.sources.schema import SCHEMAS, schema_of

__all__ = [
    "RULES",
    "SCHEMAS",
    "Column",
    "Problem",
    "Reference",
    "Rule",
    "SourceFile",
    "SourceReport",
    "Sources",
    "TableSchema",
    "check_sources",
    "data_dictionary",
    "read_sources",
    "schema_of",
]
