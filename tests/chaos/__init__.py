"""Real faults on real servers: `make chaos`, and a short form within `make test-apache`."""
