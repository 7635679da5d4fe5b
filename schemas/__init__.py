"""The nouns: xAPI statements, journeys, progress documents, events. No I/O: only what reads, checks and writes data."""
