"""The plan of a job: its tasks, the packs that they run in, their cost. Pure functions."""
