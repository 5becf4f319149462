"""Windows of columns: groups of operators of which only parts of rows exist at a time."""
