"""Runnable scripts, and the models they use."""
