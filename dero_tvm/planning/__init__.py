"""Memory planning: an order for the steps of a network and an address for every buffer.

Pure functions on frozen dataclasses; nothing here imports TVM.
"""
