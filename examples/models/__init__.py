"""Networks with published shapes and seeded random weights, built without a training framework.

The `options` of a network are those of `layers.NetworkBuilder`.
"""
