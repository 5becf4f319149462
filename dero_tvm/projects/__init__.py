"""Complete projects around a generated network: for Zephyr, for Arduino, and for a bare board."""

from .create import KINDS, create_project

__all__ = ["KINDS", "create_project"]
