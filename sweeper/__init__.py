"""Sweeper: which network's representations are better, and which are the same? Asked by model stitching."""
