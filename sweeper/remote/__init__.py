"""The start of a job on a cluster from a machine that is not a part of it. Nothing here imports Ray."""
