"""Networks with published shapes and seeded random weights, built without a training framework."""
