"""The phases of :func:`relax_passes.canonicalize.Canonicalize`, each a module pass of its own."""
