"""Some fields of a JSON value, decoded into structs made for the purpose; everything else is passed over.

What must be there is a tree of `Field`s; what is only looked for is added to it as paths. A value of another kind than
its field's is an error.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from keyword import iskeyword
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from processor.core.conditions import Path
from schemas.decoding import Absent

Scalar = str | bool | Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)] | float | None
"""Of integers beyond 64 bits orjson makes floats, msgspec none."""


@dataclass(slots=True)
class Field:
    """What may be under a key: a value of the `kind`; without one a document with the `fields`.

    Where a field `is_free`, scalars and arrays of documents and scalars may be there as well.
    """

    kind: Any = None
    is_required: bool = False
    is_free: bool = False
    fields: dict[str, "Field"] = field(default_factory=dict)


def add_path(root: Field, path: Path, absent: Iterable[str] = ()) -> None:
    """Add what is looked for at a path, in both spellings of its dots; what stands there already stays as it is.

    Documents on the way must not have the keys that are to be absent.
    """
    nodes = [root]
    for step in path:
        keys = (step.key, step.encoded) if step.encoded else (step.key,)
        nodes = [node.fields.setdefault(key, Field(is_free=True)) for node in nodes if not node.kind for key in keys]
        for node in nodes:
            node.fields.update((key, Field(Absent)) for key in absent)


def struct_of(root: Field) -> type[Struct]:
    """Make the struct that a document with these fields is decoded into."""
    required = [(_attribute(key), _type_of(it)) for key, it in root.fields.items() if it.is_required]
    optional = [
        (_attribute(key), _type_of(it) | UnsetType, UNSET) for key, it in root.fields.items() if not it.is_required
    ]
    names = {_attribute(key): key for key in root.fields}
    return msgspec.defstruct("Fields", [*required, *optional], rename=names, frozen=True, gc=False)


def _type_of(it: Field) -> Any:
    if it.kind is not None:
        return it.kind
    inner: Any = struct_of(it)
    return inner | list[inner | Scalar] | Scalar if it.is_free else inner


def _attribute(key: str) -> str:
    is_plain = key.isascii() and key.isidentifier() and not key.startswith(("__", "hex_")) and not iskeyword(key)
    return key if is_plain else f"hex_{key.encode().hex()}"


def values_in(path: Path) -> Callable[[Struct], list[Any]]:
    """Return what finds the values at a path, in arrays too; a document that stands there comes as its struct.

    There may be more values than a condition would find, never fewer.
    """
    names = [(_attribute(step.key), _attribute(step.encoded or step.key)) for step in path]

    def found(seen: Struct) -> list[Any]:
        nodes: list[Any] = [seen]
        for plain, encoded in names:
            values = [getattr(node, plain, UNSET) for node in nodes]
            if encoded is not plain:
                values += [getattr(node, encoded, UNSET) for node in nodes]
            nodes = [it for value in values for it in (value if type(value) is list else (value,)) if it is not UNSET]
        return nodes

    return found
