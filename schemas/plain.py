"""A quick yes: statements of the usual kind, of which it is plain that the full model takes them.

Nearly all that match are agents who did something with an activity. To see that costs a quarter of what the model
(schemas/statement.py) does; whatever is not plainly so is for the model to judge.
"""

from collections.abc import Iterable, Mapping
from itertools import chain
from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct, UnsetType, ValidationError, convert

from schemas.formats import USUAL, is_iri, is_language_tag, is_mbox, is_timestamp, is_uuid, is_version
from schemas.statement import VOIDED

Text = Annotated[str, Meta(max_length=USUAL - 1)]
"""What is remembered once it was looked at is short."""

Texts = dict[Text, str] | UnsetType
Extensions = dict[Text, Any] | UnsetType


class _Part(Struct, forbid_unknown_fields=True, gc=False):
    """Only what is named, in its type, and no null; a part that is missing is UNSET."""


class _Account(_Part):
    homePage: Text
    name: str


class _Agent(_Part):
    objectType: Literal["Agent"] | UnsetType = UNSET
    name: str | UnsetType = UNSET
    mbox: Text | UnsetType = UNSET
    account: _Account | UnsetType = UNSET


class _Verb(_Part):
    id: Text
    display: Texts = UNSET


class _Definition(_Part):
    name: Texts = UNSET
    description: Texts = UNSET
    type: Text | UnsetType = UNSET
    moreInfo: Text | UnsetType = UNSET
    extensions: Extensions = UNSET


class _Activity(_Part):
    id: Text
    objectType: Literal["Activity"] | UnsetType = UNSET
    definition: _Definition | UnsetType = UNSET


class _Around(_Part):
    parent: list[_Activity] | UnsetType = UNSET
    grouping: list[_Activity] | UnsetType = UNSET
    category: list[_Activity] | UnsetType = UNSET
    other: list[_Activity] | UnsetType = UNSET


class _Context(_Part):
    registration: str | UnsetType = UNSET
    contextActivities: _Around | UnsetType = UNSET
    revision: str | UnsetType = UNSET
    platform: str | UnsetType = UNSET
    language: Text | UnsetType = UNSET
    extensions: Extensions = UNSET


class _Score(_Part):
    scaled: Annotated[float, Meta(ge=-1, le=1)] | UnsetType = UNSET


class _Result(_Part):
    score: _Score | UnsetType = UNSET
    success: bool | UnsetType = UNSET
    completion: bool | UnsetType = UNSET
    response: str | UnsetType = UNSET
    extensions: Extensions = UNSET


class _Statement(_Part):
    actor: _Agent
    verb: _Verb
    object: _Activity
    id: str | UnsetType = UNSET
    result: _Result | UnsetType = UNSET
    context: _Context | UnsetType = UNSET
    timestamp: Text | UnsetType = UNSET
    stored: Text | UnsetType = UNSET
    authority: _Agent | UnsetType = UNSET
    version: Text | UnsetType = UNSET


def is_plain(statement: Mapping[str, Any]) -> bool:
    """Tell whether a decoded statement (plain dots in its keys) is one that the full model takes without a doubt.

    Decoded from JSON or from BSON. False says nothing about it.
    """
    try:
        return _holds(convert(statement, _Statement))
    except (ValidationError, TypeError, ValueError):  # what BSON has besides JSON: code for a text, say
        return False


def _holds(plain: _Statement) -> bool:
    context = plain.context or None
    around = (context and context.contextActivities) or None
    activities = [plain.object, *(_all_of(around) if around else ())]
    definitions = [activity.definition for activity in activities if activity.definition]
    iris: list[str] = [plain.verb.id, *(activity.id for activity in activities)]
    languages: Iterable[str] = plain.verb.display or ()
    for definition in definitions:
        iris += [it for it in (definition.type, definition.moreInfo) if it is not UNSET]
        iris += definition.extensions or ()
        languages = chain(languages, definition.name or (), definition.description or ())
    if plain.result:
        iris += plain.result.extensions or ()
    if context:
        iris += context.extensions or ()
        if context.language is not UNSET:
            languages = chain(languages, (context.language,))
        if context.registration is not UNSET and not is_uuid(context.registration):
            return False
    return (
        _is_identified(plain.actor, iris)
        and (plain.authority is UNSET or _is_identified(plain.authority, iris))
        and plain.verb.id != VOIDED
        and (plain.id is UNSET or is_uuid(plain.id))
        and (plain.timestamp is UNSET or is_timestamp(plain.timestamp))
        and (plain.stored is UNSET or is_timestamp(plain.stored))
        and (plain.version is UNSET or is_version(plain.version))
        and all(map(is_iri, iris))
        and all(map(is_language_tag, languages))
    )


def _all_of(around: _Around) -> Iterable[_Activity]:
    return chain(around.parent or (), around.grouping or (), around.category or (), around.other or ())


def _is_identified(agent: _Agent, iris: list[str]) -> bool:
    """Tell whether an agent has exactly one identifier, as good as its account's IRI, which goes to the others."""
    if agent.account:
        iris.append(agent.account.homePage)
        return agent.mbox is UNSET
    return agent.mbox is not UNSET and is_mbox(agent.mbox)
