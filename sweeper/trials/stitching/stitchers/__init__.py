"""Stitchers: small maps from A's activation to B's input; `spec.cards.stitchers` describes each of them."""
