"""Versions of a store: the lists of parts by which the same rows are read again later."""
