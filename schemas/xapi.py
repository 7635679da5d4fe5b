"""What the parts of a statement share: exact keys, exact types, no nulls (xAPI 1.0.3, Data 2.2)."""

from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, GetCoreSchemaHandler
from pydantic_core import CoreSchema

T = TypeVar("T")


class Part(BaseModel):
    """A part of a statement. Keys it does not know, wrong types and nulls are refused; nothing is coerced."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class _NotNull:
    """Takes the null out of what `T | None` accepts, in validation and in JSON Schema alike."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        schema = handler(source)
        assert schema["type"] == "nullable"
        inner: CoreSchema = schema["schema"]
        return inner


Absent = Annotated[T | None, _NotNull()]
"""An optional key: left out it reads as None, but null it may not be (Data 2.2: nulls stand in extensions only)."""
