"""What the parts of a statement share: exact keys, exact types, no nulls (xAPI 1.0.3, Data 2.2)."""

from typing import Any

from pydantic import BaseModel, ConfigDict, model_validator


class Part(BaseModel):
    """A part of a statement. Keys it does not know, wrong types and nulls are refused; nothing is coerced."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _without_nulls(cls, value: Any) -> Any:
        if isinstance(value, dict):
            for key, child in value.items():
                if child is None:
                    raise ValueError(f"{key} is null; leave it out")
        return value
