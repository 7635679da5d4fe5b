"""In-memory fakes of the adapters, for tests and the simulation; they pass the same contract tests."""
