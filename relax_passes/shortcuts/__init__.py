"""Shortcuts of reorganized networks, made part of their convolutions."""
