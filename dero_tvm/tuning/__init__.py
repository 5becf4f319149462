"""Choosing kernels by measurement: all candidates of a request run on the board's core.

`trial` says what competes, `program` makes one program of many trials, `measure` runs it, `cache`
keeps the figures, `tuner` puts them together.  `plan_counter` measures whole plans likewise.
"""

from ..driver.plan_counter import PlanCounter
from .cache import default_cache
from .tuner import Tuner

__all__ = ["PlanCounter", "Tuner", "default_cache"]
