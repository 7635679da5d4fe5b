"""How it went: results and scores (xAPI 1.0.3, Data 2.4.5)."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from schemas.formats import DurationText, Extensions
from schemas.xapi import Absent, Part


class Score(Part):
    """`scaled` within -1 and 1, `raw` within `min` and `max` (Data 2.4.5.1)."""

    scaled: Absent[Annotated[float, Field(ge=-1, le=1)]] = None
    raw: Absent[float] = None
    min: Absent[float] = None
    max: Absent[float] = None

    @model_validator(mode="after")
    def _in_bounds(self) -> Self:
        if self.min is not None and self.max is not None and self.min >= self.max:
            raise ValueError("min must be below max")
        if self.raw is not None and self.min is not None and self.raw < self.min:
            raise ValueError("raw is below min")
        if self.raw is not None and self.max is not None and self.raw > self.max:
            raise ValueError("raw is above max")
        return self


class Result(Part):
    """How it went."""

    score: Absent[Score] = None
    success: Absent[bool] = None
    completion: Absent[bool] = None
    response: Absent[str] = None
    duration: Absent[DurationText] = None
    extensions: Absent[Extensions] = None
