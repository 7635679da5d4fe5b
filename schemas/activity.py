"""What it was done with: Activities and their definitions (xAPI 1.0.3, Data 2.4.4.1)."""

from typing import Literal, Self

from pydantic import model_validator

from schemas.formats import Extensions, Iri, LanguageMap
from schemas.xapi import Part

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
    description: LanguageMap | None = None


class ActivityDefinition(Part):
    """What an Activity is."""

    name: LanguageMap | None = None
    description: LanguageMap | None = None
    type: Iri | None = None
    moreInfo: Iri | None = None
    extensions: Extensions | None = None
    interactionType: InteractionType | None = None
    correctResponsesPattern: list[str] | None = None
    choices: list[InteractionComponent] | None = None
    scale: list[InteractionComponent] | None = None
    source: list[InteractionComponent] | None = None
    target: list[InteractionComponent] | None = None
    steps: list[InteractionComponent] | None = None

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

    objectType: Literal["Activity"] | None = None
    id: Iri
    definition: ActivityDefinition | None = None
