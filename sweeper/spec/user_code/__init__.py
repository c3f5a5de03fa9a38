"""A user's own code that a job names: its digest, and its import where it was trusted."""
