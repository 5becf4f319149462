"""The driver: from a model to a chosen plan, its code and its report."""
