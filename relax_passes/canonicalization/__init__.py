"""The phases of :func:`.canonicalize.Canonicalize`, each a module pass of its own."""
