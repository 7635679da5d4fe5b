"""Writes the JSON Schema files and the AsyncAPI document: `python -m schemas.export` (`make docs`).

A test fails when the files in `json/` differ from what this would write.
"""

import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from schemas.asyncapi import asyncapi_document
from schemas.events import EventHeaders, ProgressUpdated
from schemas.journey import Journey
from schemas.progress import Progress
from schemas.records import DeadLetterHeaders, StatementHeaders
from schemas.statement import Statement
from schemas.statement_document import StatementDocument

DIRECTORY = Path(__file__).parent / "json"
DIALECT = "https://json-schema.org/draft/2020-12/schema"
ASYNCAPI = "asyncapi.json"
VERSION = "1.0.0"
"""Version of the interfaces, not of the package: it changes when one of the files does."""

NOUNS: dict[str, type[BaseModel]] = {
    "statement": Statement,
    "statement-headers": StatementHeaders,
    "statement-document": StatementDocument,
    "journey": Journey,
    "progress": Progress,
    "progress-updated": ProgressUpdated,
    "progress-updated-headers": EventHeaders,
    "dead-letter-headers": DeadLetterHeaders,
}
"""What is exported, by the name of its file; the `$id`s are stable, as subscribers may hold on to them."""


class _Plain(GenerateJsonSchema):
    """Leaves out what says nothing: titles made of field names, and `"default": null` for a key that may be absent."""

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002
        return False

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        written = super().default_schema(schema)
        if written.get("default", ...) is None:
            del written["default"]
        return written


def schema_of(name: str) -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of a noun, by its name in `NOUNS`."""
    schema = NOUNS[name].model_json_schema(schema_generator=_Plain)
    return {"$schema": DIALECT, "$id": f"urn:journey-progress:schema:{name}:v1", **schema}


def files() -> dict[str, str]:
    """Return every file by its name, as text."""
    documents = {f"{name}.schema.json": schema_of(name) for name in NOUNS}
    documents[ASYNCAPI] = asyncapi_document("journey-progress", VERSION)
    return {name: json.dumps(document, indent=2, ensure_ascii=False) + "\n" for name, document in documents.items()}


def main() -> None:
    """Write the files."""
    DIRECTORY.mkdir(exist_ok=True)
    for name, text in files().items():
        (DIRECTORY / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
