"""Residual joins: found, classified, and accumulated or concatenated in place."""
