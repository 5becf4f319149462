"""Cascades that run row by row: which rows, in which order, and where to cut."""
