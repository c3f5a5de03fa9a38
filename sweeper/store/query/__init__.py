"""Read-only SQL over the checked parts of a store."""
