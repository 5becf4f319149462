"""Groups of operations in which only a window of columns exists: memory for work."""
