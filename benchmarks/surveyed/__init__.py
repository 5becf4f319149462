"""Networks that people use, each built with random weights and compiled: which compile, and how.

`architectures.py` in the folder above is the command.
"""
