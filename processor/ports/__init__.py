"""What the loops need from the world, as protocols; `store`, `transport` and `testing` provide it.

Every method may raise `Unavailable` (retriable): the operation may or may not have been done, and repeating it is
harmless. Real adapters and the fakes in `processor.testing` pass the same tests in `tests/contract`.

By what they are about: `stream`, `progress`, `recalculation`, `interfaces`.
"""
