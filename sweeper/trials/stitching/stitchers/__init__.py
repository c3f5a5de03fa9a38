"""Stitchers: small maps from A's activation to B's input. What each is stands in `spec.cards.stitchers`."""
