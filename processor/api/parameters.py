"""Parameters of the interfaces: what they are called and say in the documentation, and their JSON read."""

import asyncio
from collections.abc import Callable
from typing import Annotated, Any

import orjson
from bson import ObjectId
from fastapi import Path, Request
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from processor.api.callers import Known
from processor.api.within import Here
from processor.core.queries import (
    BY_ID,
    Model,
    Projection,
    Query,
    Sort,
    filter_from,
    projection_from,
    rest_filter_from,
    selection_from,
    sort_from,
    sort_from_text,
)
from processor.errors import InvalidInput, NotFound
from schemas.ids import parse_object_id

LARGEST = 2**31 - 1

SHORT = 1_000
"""Characters of parameters that take a millisecond at most, if there is no regular expression."""

MARKS = ("$reg", "~", "\\")
"""One of these stands wherever there is a regular expression; the last may spell the others."""

Number = Annotated[int | None, BeforeValidator(lambda text: None if text == "" else text)]
Key = Annotated[str, Path(description="Id of the document, 24 hex digits.", examples=["59c23b28f6463f3569446bdc"])]


class PageParameters(BaseModel):
    """What the connection interface takes."""

    model_config = ConfigDict(extra="ignore")

    filter: str | None = Field(
        None,
        description='JSON: a Mongo query in the language of conditions, with `{"$oid": …}` and `{"$dte": …}`.',
        examples=['{"journey": {"$oid": "59c23527bdf9ac67b2ab5ee6"}, "isCompleted": true}'],
    )
    sort: str | None = Field(
        None,
        description='JSON: fields and 1 or -1; `{"_id": 1}` by default. Not by lists, or thousands of letters.',
        examples=['{"updatedAt": -1}'],
    )
    project: str | None = Field(
        None,
        description='JSON: fields and 1 (wanted) or 0 (not wanted), or `"$path"` of another field.',
        examples=['{"owner": 1, "completedAt": 1}'],
    )
    hint: str | None = Field(None, description="JSON: the index to use, by its keys or its name.")
    first: Number = Field(None, ge=0, le=LARGEST, description="How many from the beginning; 10 by default; capped.")
    last: Number = Field(None, ge=0, le=LARGEST, description="How many from the end, where `first` is not given.")
    after: str | None = Field(None, description="A cursor: only what comes after it.")
    before: str | None = Field(None, description="A cursor: only what comes before it; alone, the last ones before it.")

    def query(self, model: Model) -> Query:
        """Read it. Raises `InvalidInput` naming the parameter and the path."""
        sort = _json(self.sort, "sort") if self.sort else {}
        return Query(
            filter=filter_from(_json(self.filter, "filter"), model) if self.filter is not None else {},
            sort=sort_from(sort, model),
            named=sort,
            project=projection_from(_json(self.project, "project"), model) if self.project else None,
            hint=_hint(self.hint),
        )


class FindParameters(BaseModel):
    """What the REST interface takes; `query` and `skip` for `/count`, too."""

    model_config = ConfigDict(extra="ignore")

    query: str | None = Field(
        None,
        description="JSON: as `filter`; a string may begin with `~` (regular expression), `>`, `>=`, `<`, `<=`, `!=`.",
        examples=['{"updatedAt": ">=2026-01-01T00:00:00Z"}'],
    )
    sort: str | None = Field(None, description="JSON, or names with a minus to descend.", examples=["-updatedAt"])
    skip: Number = Field(None, ge=0, le=LARGEST, description="How many to pass over.")
    limit: Number = Field(None, ge=0, le=LARGEST, description="How many at most; capped.")
    select: str | None = Field(None, description="JSON, or names; with a minus: all but these.", examples=["owner"])
    distinct: str | None = Field(None, description="A field: answer with its different values.", examples=["journey"])

    def asked(self, model: Model, cap: int) -> Query:
        """Read it. Raises `InvalidInput` naming the parameter and the path."""
        if self.distinct:
            model.check_path(self.distinct, "distinct")
        return Query(
            filter=rest_filter_from(_json(self.query, "query"), model) if self.query is not None else {},
            sort=_rest_sort(self.sort, model),
            project=selection(self.select, model),
            skip=self.skip or 0,
            limit=min(self.limit or cap, cap),
        )


async def compiled(written: BaseModel, read: Callable[[], Query], here: Here) -> Query:
    """Return what `read` makes of these parameters: beside the event loop, unless a thread costs more.

    Raises what `read` raises.
    """
    texts = [value for _, value in written if isinstance(value, str)]
    if sum(map(len, texts)) <= SHORT and not any(mark in text for text in texts for mark in MARKS):
        return read()
    async with here.compiling:
        return await asyncio.to_thread(read)


async def once(request: Request, _caller: Known) -> None:
    """Raise `InvalidInput` when a parameter is given twice: which is meant, nobody knows. Strangers get 401 first."""
    for name in request.query_params:
        if (times := len(request.query_params.getlist(name))) > 1:
            raise InvalidInput(f"{name:.60}: given {times} times, say it once")


def selection(text: str | None, model: Model) -> Projection | None:
    """Read `select`: JSON, or names. Raises `InvalidInput`."""
    if not text:
        return None
    if text.lstrip().startswith("{"):
        return projection_from(_json(text, "select"), model, "select")
    return selection_from(text, model)


def key_from(text: str) -> ObjectId:
    """Read the id in a path. One that cannot be is unknown: raises `NotFound`, as Learning Locker does."""
    try:
        return parse_object_id(text)
    except ValueError as error:
        raise NotFound(str(error)) from None


def _rest_sort(text: str | None, model: Model) -> Sort:
    if not text:
        return BY_ID
    if text.lstrip().startswith("{"):
        return sort_from(_json(text, "sort"), model)
    return sort_from_text(text, model)


def _hint(text: str | None) -> str | dict[str, Any] | None:
    if not text:
        return None
    hint = _json(text, "hint") if text.lstrip().startswith(("{", '"')) else text
    if isinstance(hint, dict) and not all(wish in (1, -1) for wish in hint.values()):
        raise InvalidInput("hint: an index is given by its name, or by its keys with 1 or -1")
    if not isinstance(hint, dict | str) or not hint:
        raise InvalidInput("hint: an index is given by its name, or by its keys with 1 or -1")
    return hint


def _json(text: str, parameter: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise InvalidInput(f"{parameter}: not JSON: {error}") from None
