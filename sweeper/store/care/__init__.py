"""The care of a store: its full check, its repair, the union of two stores, and the removal of what nothing needs."""
