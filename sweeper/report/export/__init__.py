"""A store as runs of experiment trackers."""
