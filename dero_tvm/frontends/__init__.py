"""Model files as Relax modules."""
