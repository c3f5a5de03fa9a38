"""Checks of a job whose types are right: one module for each kind of mistake."""
