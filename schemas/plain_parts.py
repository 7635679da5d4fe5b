"""The parts of a plain statement (`plain.py`): their types, and what else makes the full model take them."""

from collections.abc import Sequence
from itertools import chain
from typing import Annotated, Literal, Protocol

from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from schemas.formats import USUAL, are_timestamps, are_uuids, is_iri, is_language_tag, is_mbox, is_version
from schemas.statement import VOIDED

Text = Annotated[str, Meta(max_length=USUAL - 1)]
"""What is remembered once it was looked at is short."""

Texts = dict[Text, str] | UnsetType
Scalar = str | int | float | bool | None
Flat = Scalar | list[Scalar] | dict[str, Scalar]
Nested = Scalar | list[Flat] | dict[str, Flat]
Deeper = Scalar | list[Nested] | dict[str, Nested]
Extensions = dict[Text, Scalar | list[Deeper] | dict[str, Deeper]] | UnsetType
"""So no plain statement is deeper than a record may be (semantics.md, section 1)."""


class Part(Struct, forbid_unknown_fields=True, gc=False):
    """Only what is named, in its type, and no null; a part that is missing is UNSET."""


class Judged(Protocol):
    """A part that is judged by itself; the others are by `all_hold`."""

    def holds(self) -> bool:
        """Tell whether the full model takes it, beyond the types."""


class Account(Part):
    """An agent's account."""

    homePage: Text
    name: Annotated[str, Meta(min_length=1)]  # without one, the structural check of a record knows nobody


class Agent(Part):
    """With exactly one identifier."""

    objectType: Literal["Agent"] | UnsetType = UNSET
    name: str | UnsetType = UNSET
    mbox: Text | UnsetType = UNSET
    account: Account | UnsetType = UNSET

    def holds(self) -> bool:
        """Tell by the one identifier."""
        if self.account:
            return self.mbox is UNSET and is_iri(self.account.homePage)
        return self.mbox is not UNSET and is_mbox(self.mbox)


class Verb(Part):
    """Any but the one that voids."""

    id: Text
    display: Texts = UNSET

    def holds(self) -> bool:
        """Tell by its IRI and languages."""
        return self.id != VOIDED and is_iri(self.id) and all(map(is_language_tag, self.display or ()))


class Definition(Part):
    """An activity's, without an interaction."""

    name: Texts = UNSET
    description: Texts = UNSET
    type: Text | UnsetType = UNSET
    moreInfo: Text | UnsetType = UNSET
    extensions: Extensions = UNSET

    def holds(self) -> bool:
        """Tell by its IRIs and languages."""
        iris = (it for it in (self.type, self.moreInfo) if it is not UNSET)
        return all(map(is_iri, chain(iris, self.extensions or ()))) and all(
            map(is_language_tag, chain(self.name or (), self.description or ()))
        )


class Activity(Part):
    """The object of a plain statement, or one around it."""

    id: Text
    objectType: Literal["Activity"] | UnsetType = UNSET
    definition: Definition | UnsetType = UNSET

    def holds(self) -> bool:
        """Tell by its IRI and its definition."""
        return is_iri(self.id) and (self.definition is UNSET or self.definition.holds())


class Around(Part):
    """Context activities."""

    parent: list[Activity] | UnsetType = UNSET
    grouping: list[Activity] | UnsetType = UNSET
    category: list[Activity] | UnsetType = UNSET
    other: list[Activity] | UnsetType = UNSET

    def holds(self) -> bool:
        """Tell by all of them."""
        every = chain(self.parent or (), self.grouping or (), self.category or (), self.other or ())
        return all(activity.holds() for activity in every)


class AnyContext(Part):
    """What both readings of a context have in common; see `all_hold`."""

    registration: str | UnsetType = UNSET
    revision: str | UnsetType = UNSET
    platform: str | UnsetType = UNSET
    language: Text | UnsetType = UNSET
    extensions: Extensions = UNSET


class Context(AnyContext):
    """Read whole."""

    contextActivities: Around | UnsetType = UNSET


class RawContext(AnyContext):
    """With its activities, which come again and again, as bytes."""

    contextActivities: Raw | UnsetType = UNSET


class Score(Part):
    """A score without a range."""

    scaled: Annotated[float, Meta(ge=-1, le=1)] | UnsetType = UNSET


class Result(Part):
    """A result without a duration; see `all_hold`."""

    score: Score | UnsetType = UNSET
    success: bool | UnsetType = UNSET
    completion: bool | UnsetType = UNSET
    response: str | UnsetType = UNSET
    extensions: Extensions = UNSET


class AnyStatement(Part, kw_only=True):
    """What both readings of a statement have in common: what is another in every one; see `all_hold`."""

    id: str | UnsetType = UNSET
    result: Result | UnsetType = UNSET
    timestamp: Text | UnsetType = UNSET
    stored: Text | UnsetType = UNSET
    version: Text | UnsetType = UNSET


class Statement(AnyStatement, kw_only=True):
    """Read whole."""

    actor: Agent
    verb: Verb
    object: Activity
    context: Context | UnsetType = UNSET
    authority: Agent | UnsetType = UNSET


class RawStatement(AnyStatement, kw_only=True):
    """With its actor, and what comes again and again, as bytes."""

    actor: Raw
    verb: Raw
    object: Raw
    context: RawContext | UnsetType = UNSET
    authority: Raw | UnsetType = UNSET


def all_hold(statements: Sequence[AnyStatement], contexts: Sequence[AnyContext]) -> bool:
    """Tell whether the full model takes all of these, beyond the types and but for the parts that hold by themselves.

    What is asked of each is asked of all at once, and once of a version, a language or an IRI that several say.
    """
    extensions = [it.result.extensions for it in statements if it.result and it.result.extensions]
    extensions += [it.extensions for it in contexts if it.extensions]
    ids = [it.id for it in statements if it.id is not UNSET]
    ids += [it.registration for it in contexts if it.registration is not UNSET]
    times = [it.timestamp for it in statements if it.timestamp is not UNSET]
    times += [it.stored for it in statements if it.stored is not UNSET]
    return (
        are_uuids(ids)
        and are_timestamps(times)
        and all(map(is_version, {it.version for it in statements if it.version is not UNSET}))
        and all(map(is_language_tag, {it.language for it in contexts if it.language is not UNSET}))
        and all(map(is_iri, set(chain.from_iterable(extensions))))  # with `&46;` for a dot, too
    )
