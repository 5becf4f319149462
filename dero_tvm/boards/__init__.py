"""Boards: their descriptions, and which of them are meant."""
