"""The AsyncAPI 3.0 document: what the processor reads and writes on Kafka, by topic (semantics.md, sections 1 and 7).

Topics have their default names; settings may give others. Payloads and headers are those of the JSON Schema files.
"""

from typing import Any

JSON_SCHEMA = "application/schema+json;version=draft-2020-12"


def asyncapi_document(title: str, version: str) -> dict[str, Any]:
    """Return the document; the schema files are referred to by their names, beside it."""
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": title,
            "version": version,
            "description": "Turns xAPI statements into progress through Learning Locker journeys.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "channels": {
            "statements": _channel(
                "xapi.statements",
                "Statement documents, bare xAPI statements, arrays of either, or CloudEvents around any of these.",
                "statementDocument",
                "statement",
            ),
            "deadLetters": _channel(
                "xapi.statements.dead-letters",
                "Records that could not be used, as they came, with the reason in their headers. Publishing one to "
                "the statements topic again is harmless.",
                "deadLetter",
            ),
            "progressUpdated": _channel(
                "journey.progress-updated",
                "CloudEvents 1.0 in the binary binding; the key is the progress id. Published at least once, in the "
                "order of ce_sequence: skip what is not above the highest one seen for its key.",
                "progressUpdated",
            ),
        },
        "operations": {
            "readStatements": _operation("receive", "statements"),
            "parkDeadLetters": _operation("send", "deadLetters"),
            "publishProgress": _operation("send", "progressUpdated"),
        },
        "components": {
            "messages": {
                "statementDocument": _message("Learning Locker statement document", None, "statement-document"),
                "statement": _message("Bare xAPI statement, 1.0.x or 2.0", "statement-headers", "statement"),
                "deadLetter": _message("Record that could not be used", "dead-letter-headers", None),
                "progressUpdated": _message("Progress updated", "progress-updated-headers", "progress-updated"),
            }
        },
    }


def _channel(topic: str, description: str, *messages: str) -> dict[str, Any]:
    references = {name: {"$ref": f"#/components/messages/{name}"} for name in messages}
    return {"address": topic, "description": description, "messages": references}


def _operation(action: str, channel: str) -> dict[str, Any]:
    return {"action": action, "channel": {"$ref": f"#/channels/{channel}"}}


def _message(title: str, headers: str | None, payload: str | None) -> dict[str, Any]:
    message: dict[str, Any] = {"title": title}
    if headers:
        message["headers"] = _schema(headers)
    if payload:
        message["payload"] = _schema(payload)
    return message


def _schema(name: str) -> dict[str, Any]:
    return {"schemaFormat": JSON_SCHEMA, "schema": {"$ref": f"./{name}.schema.json"}}
