"""The event-driven processor behind journey progress: statements in, progress-updated events out."""
