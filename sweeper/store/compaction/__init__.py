"""Compaction of a store: many small parts become few large ones."""
