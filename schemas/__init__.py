"""The nouns: xAPI statements, journeys, progress documents, events. Only pydantic, bson and the standard library."""
