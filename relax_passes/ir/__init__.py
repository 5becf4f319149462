"""Reading and writing Relax functions: what all passes share."""
