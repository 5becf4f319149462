"""Residual networks, their plain twins and reorganized ones on Fashion-MNIST.

`python -m benchmarks.fashion_mnist` trains them all in pieces, quantizes, compiles and compares.
"""
