"""What it was done with: Activities and their definitions (xAPI 1.0.3, Data 2.4.4.1)."""

from typing import Literal, Self

from pydantic import model_validator

from schemas.formats import Extensions, Iri, LanguageMap
from schemas.xapi import Absent, Part

InteractionType = Literal[
    "true-false",
    "choice",
    "fill-in",
    "long-fill-in",
    "matching",
    "performance",
    "sequencing",
    "likert",
    "numeric",
    "other",
]

COMPONENTS = {
    "choice": ("choices",),
    "sequencing": ("choices",),
    "likert": ("scale",),
    "matching": ("source", "target"),
    "performance": ("steps",),
}
"""Which component lists an interaction type may have; the others have none."""


class InteractionComponent(Part):
    """One choice, step, … of an interaction."""

    id: str
    description: Absent[LanguageMap] = None


class ActivityDefinition(Part):
    """What an Activity is; with an `interactionType`, an interaction such as those of a test."""

    name: Absent[LanguageMap] = None
    description: Absent[LanguageMap] = None
    type: Absent[Iri] = None
    moreInfo: Absent[Iri] = None
    extensions: Absent[Extensions] = None
    interactionType: Absent[InteractionType] = None
    correctResponsesPattern: Absent[list[str]] = None
    choices: Absent[list[InteractionComponent]] = None
    scale: Absent[list[InteractionComponent]] = None
    source: Absent[list[InteractionComponent]] = None
    target: Absent[list[InteractionComponent]] = None
    steps: Absent[list[InteractionComponent]] = None

    @model_validator(mode="after")
    def _fitting_components(self) -> Self:
        if self.correctResponsesPattern is not None and self.interactionType is None:
            raise ValueError("correctResponsesPattern needs an interactionType")
        allowed = COMPONENTS.get(self.interactionType or "", ())
        for name in ("choices", "scale", "source", "target", "steps"):
            components = getattr(self, name)
            if components is None:
                continue
            if name not in allowed:
                raise ValueError(f"{name} does not belong to interactionType {self.interactionType}")
            if len({component.id for component in components}) < len(components):
                raise ValueError(f"{name}: two components have the same id")
        return self


class Activity(Part):
    """Something that was done, or done with."""

    objectType: Absent[Literal["Activity"]] = None
    id: Iri
    definition: Absent[ActivityDefinition] = None
