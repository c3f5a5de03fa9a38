"""Similarities of two activations without training. What each is stands in `spec.cards.measures`."""
