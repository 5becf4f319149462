"""Planning with rows as the unit: each lives from when it is made to when it is last read."""
