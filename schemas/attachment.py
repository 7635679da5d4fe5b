"""Files that belong to a statement (xAPI 1.0.3, Data 2.4.11)."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from schemas.formats import Iri, LanguageMap, MediaType, Sha2
from schemas.xapi import Absent, Part

SIGNATURE = "http://adlnet.gov/expapi/attachments/signature"


class Attachment(Part):
    """A file that belongs to the statement; its bytes travel elsewhere."""

    usageType: Iri
    display: LanguageMap
    description: Absent[LanguageMap] = None
    contentType: MediaType
    length: Annotated[int, Field(ge=0)]
    sha2: Sha2
    fileUrl: Absent[Iri] = None

    @model_validator(mode="after")
    def _signature(self) -> Self:
        if self.usageType == SIGNATURE and self.contentType != "application/octet-stream":
            raise ValueError("contentType of a signature is application/octet-stream (Data 2.6)")
        return self
