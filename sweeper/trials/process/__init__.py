"""How a worker process computes: precision, memory, compilation, random bits."""
