"""Training of models from random or given weights."""
