"""The loops. They know the ports and the core, never a server; the order of durable effects is written out in each."""
