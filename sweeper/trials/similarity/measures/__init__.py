"""Similarity measures of two activations, without training. `spec.cards.measures` describes each of them."""
