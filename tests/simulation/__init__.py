"""A seeded world in one thread over the shipped fakes: the real loops, every fault, every guarantee checked by name."""
