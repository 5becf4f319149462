"""Top-1 accuracy of an ONNX classifier, by ONNX Runtime."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import onnx

from dero_tvm.boundary.errors import UserError

LABELS = "labels"
"""Name of the array with the class of each input."""


def top_1(
    model: onnx.ModelProto, feeds: Iterable[Mapping[str, np.ndarray]], labels: np.ndarray
) -> float:
    """The share of inputs whose largest output, of the first one, is at their label's place."""
    import onnxruntime

    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    right = 0
    for feed, label in zip(feeds, labels):
        scores = np.ravel(session.run(None, dict(feed))[0])
        if not 0 <= label < scores.size:
            raise UserError(
                f"the label {label} is none of the {scores.size} classes that the model tells apart"
            )
        right += int(np.argmax(scores) == label)
    return right / len(labels)
