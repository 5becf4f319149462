"""From a rewritten module to a planning problem: cascades, their row schedules, their buffers."""
