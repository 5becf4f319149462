"""Choosing kernels by measurement: all candidates of a request run on the board's core.

`trial` says what competes, `program` makes one program of many trials, `measure` runs it, `cache`
keeps the figures, `tuner` puts them together.  `driver.plan_counter` measures whole plans likewise.
"""

from .cache import default_cache
from .tuner import Tuner

__all__ = ["Tuner", "default_cache"]
