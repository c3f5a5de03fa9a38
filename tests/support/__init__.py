"""Helpers of the tests: toy jobs, packs, rows and stores, planted networks, processes."""
