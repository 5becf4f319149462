"""A network of Keras as a TFLite file, in a Python that has TensorFlow and nothing else.

python -m benchmarks.surveyed.keras_files NAME int8|int16x8|float16 FILE.tflite
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

_SAMPLES = 8


def main() -> None:
    """Convert one."""
    name, dtype, file = sys.argv[1:]
    import tensorflow as tf

    from benchmarks.surveyed.keras_networks import NETWORKS

    tf.keras.utils.set_random_seed(0)
    model = NETWORKS[name](tf.keras)
    rng = np.random.default_rng(0)
    for layer in model.layers:
        if isinstance(layer, tf.keras.layers.BatchNormalization):
            layer.set_weights([_statistic(rng, weight) for weight in layer.get_weights()])
    Path(file).write_bytes(_converted(tf, model, dtype, rng))


def _statistic(rng: Any, weight: np.ndarray) -> np.ndarray:
    """A scale, an offset, a mean or a variance that is not the neutral one."""
    low, high = (0.6, 1.4) if weight.mean() > 0.5 else (-0.2, 0.2)
    return rng.uniform(low, high, weight.shape)


def _converted(tf: Any, model: Any, dtype: str, rng: Any) -> bytes:
    shape = (1, *model.inputs[0].shape[1:])

    def samples() -> Iterator[list[np.ndarray]]:
        for _ in range(_SAMPLES):
            yield [rng.standard_normal(shape).astype("float32")]

    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if dtype == "float16":
        converter.target_spec.supported_types = [tf.float16]
        return converter.convert()
    converter.representative_dataset = samples
    sets = tf.lite.OpsSet
    if dtype == "int8":
        converter.target_spec.supported_ops = [sets.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = converter.inference_output_type = tf.int8
    else:
        ops = sets.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8
        converter.target_spec.supported_ops = [ops]
        converter.inference_input_type = converter.inference_output_type = tf.int16
    return converter.convert()


if __name__ == "__main__":
    main()
