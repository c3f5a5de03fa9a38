"""Intervals and contrasts of gains, counted by training runs."""
