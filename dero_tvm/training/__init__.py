"""Reorganized networks as PyTorch: a readable module, start weights, ONNX, a report."""
