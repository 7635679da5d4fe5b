"""What is computed (semantics.md), as pure functions: no I/O, no clock, no logging, no coroutines."""
