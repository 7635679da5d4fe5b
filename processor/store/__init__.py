"""MongoDB: progress documents, their locks and outboxes, and the journeys."""
