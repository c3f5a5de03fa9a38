"""Similarity measures of two networks' activations and outputs."""
