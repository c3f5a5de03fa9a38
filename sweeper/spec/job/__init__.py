"""The job: its file, its checks, and its resolved form."""
