"""Residual architectures for `benchmarks/reorganize_families.py`: builders, measures, the table."""
