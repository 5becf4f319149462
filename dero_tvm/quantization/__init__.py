"""Post-training quantization of float32 ONNX models, through ONNX Runtime."""

from .quantizer import Quantized, quantize

__all__ = ["Quantized", "quantize"]
