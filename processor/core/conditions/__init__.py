"""The condition language: Mongo queries over a statement document, compiled (semantics.md, section 3).

`compile_conditions` turns a query into a predicate that means what a mongod would say; `required` tells an index what
a match makes necessary; `explain` says clause by clause what was asked and found, through the same predicates.
"""

from processor.core.conditions.compiled import Clause, Conditions, Finding
from processor.core.conditions.invalid import InvalidConditions
from processor.core.conditions.narrowed import any_of, narrowed
from processor.core.conditions.parse import compile_conditions
from processor.core.conditions.paths import Path, Step, parse_path
from processor.core.conditions.required import Place, Requirement, Requirements, keys_at, one_of
from processor.core.conditions.texts import ACTIVITY, ACTIVITY_TYPE, VERB, Texts, texts_of
from processor.core.conditions.values import key_of
from processor.core.conditions.warnings import warnings_of

__all__ = [
    "ACTIVITY",
    "ACTIVITY_TYPE",
    "VERB",
    "Clause",
    "Conditions",
    "Finding",
    "InvalidConditions",
    "Path",
    "Place",
    "Requirement",
    "Requirements",
    "Step",
    "Texts",
    "any_of",
    "compile_conditions",
    "key_of",
    "keys_at",
    "narrowed",
    "one_of",
    "parse_path",
    "texts_of",
    "warnings_of",
]
