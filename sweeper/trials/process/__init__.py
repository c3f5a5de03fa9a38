"""Settings and services of a worker process: precision, memory, compilation, random bits."""
