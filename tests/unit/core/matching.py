"""What the tests of matching are asked through."""

from processor.core.identity import Identification

PLAIN = Identification()
MATCHING = {"verb": {"id": "http://example.org/did"}}
"""What the journeys of the builders ask for."""
