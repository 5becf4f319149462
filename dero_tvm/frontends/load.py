"""`load`: any supported model, from a file or from memory."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, cast

import tvm

from dero_tvm.boundary.errors import UserError, internal_errors
from dero_tvm.boundary.one_at_a_time import one_at_a_time
from dero_tvm.boundary.plugins import load_installed

from .cut import Cut, Names
from .loaded import LoadedModel
from .pytorch import load_exported_program, read_exported_program
from .registered import frontend_of, registered_formats
from .relax_module import load_relax

if TYPE_CHECKING:
    import onnx
    from torch.export import ExportedProgram

_FORMATS = "ONNX (.onnx), TFLite (.tflite) and PyTorch's exported programs (.pt2)"
_ZIP = b"PK\x03\x04"
_TFLITE = b"TFL3"  # from byte 4 on
_HDF5 = b"\x89HDF\r\n\x1a\n"

_NO_SIGNATURES = "only TFLite files have signatures"
_ADVICE = {
    ".h5": "a Keras model; convert it with tf.lite.TFLiteConverter.from_keras_model",
    ".keras": "a Keras model; convert it with tf.lite.TFLiteConverter.from_keras_model",
    ".pb": "a TensorFlow graph; convert it with tf.lite.TFLiteConverter",
    ".pt": "a PyTorch checkpoint; write the model with torch.export.save instead",
    ".pth": "a PyTorch checkpoint; write the model with torch.export.save instead",
    ".safetensors": "weights without a network; export the whole model to ONNX",
    ".npz": "a file of arrays without a network; give the model file",
    ".tar": "no model; `tvmc run` and `tvmc report` take what tvmc compile wrote",
}


@one_at_a_time
@internal_errors
def load(
    source: str | os.PathLike[str] | bytes | onnx.ModelProto | tvm.IRModule | ExportedProgram,
    *,
    input_shapes: Mapping[str, Sequence[int]] | None = None,
    inputs: Names | None = None,
    outputs: Names | None = None,
    signature: str | None = None,
) -> LoadedModel:
    """Import a trained network, or a part of it.

    Parameters
    ----------
    source
        A path, the bytes of a file, or a model in memory.  A file's content says what it is, its
        suffix only helps to explain a damaged one.
    input_shapes
        Sizes for the inputs whose dimensions the model leaves open, by the input's name.
    inputs, outputs
        Tensors of the model, by name, from which and up to which it is imported: a sequence, or a
        text with commas.
    signature
        The key of one of the signatures of a TFLite file that has several; None for the first.

    Raises
    ------
    UserError
        For anything about the model or `input_shapes` that the user can put right.
    """
    load_installed()
    cut = Cut(inputs, outputs, signature)
    if isinstance(source, bytes):
        return _from_bytes(source, "the model in memory", "model", "", None, input_shapes, cut)
    if signature is not None and not isinstance(source, (str, os.PathLike)):
        raise UserError(f"there is no signature {signature!r}: {_NO_SIGNATURES}")
    if type(source).__name__ == "ModelProto":
        from .onnx import load_onnx

        model = cast("onnx.ModelProto", source)
        name = model.graph.name or "model"
        return load_onnx(
            model, label=f"the ONNX model {name!r}", name=name, input_shapes=input_shapes, cut=cut
        )
    if isinstance(source, tvm.IRModule):
        if cut:
            raise UserError(
                "the module: inputs and outputs can be chosen of files and exported programs; of a "
                "Relax module, rewrite main"
            )
        return load_relax(source, label="the module", name="model", input_shapes=input_shapes)
    if isinstance(source, (str, os.PathLike)):
        path = Path(source)
        data = model_bytes(path)
        return _from_bytes(
            data, str(path), path.stem, path.suffix.lower(), path.parent, input_shapes, cut
        )
    if type(source).__name__ == "ExportedProgram":
        return load_exported_program(
            source, label="the exported program", name="model", input_shapes=input_shapes, cut=cut
        )
    raise UserError(
        f"a model cannot be loaded from a {type(source).__name__}; give a path, bytes, an "
        "onnx.ModelProto, a torch.export.ExportedProgram or a tvm.IRModule"
    )


def model_bytes(path: Path) -> bytes:
    """The content of a model file; UserError if it is none."""
    if path.is_dir():
        raise UserError(f"{path} is a folder; give the model file itself: {_FORMATS}")
    try:
        if stat.S_ISCHR(path.stat().st_mode):  # which may never end
            raise UserError(f"{path} is a device; give a model file: {_FORMATS}")
        data = path.read_bytes()
    except FileNotFoundError:
        raise UserError(f"{path} does not exist") from None
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror or error}") from None
    if not data:
        raise UserError(f"{path} is empty")
    return data


def _from_bytes(
    data: bytes,
    label: str,
    name: str,
    suffix: str,
    folder: Path | None,
    input_shapes: Mapping[str, Sequence[int]] | None,
    cut: Cut,
) -> LoadedModel:
    if (frontend := frontend_of(data, suffix)) is not None:
        return frontend.read(data, label=label, name=name, folder=folder, input_shapes=input_shapes)
    # Only one of the readers is imported, with the package for its files.
    if data[4:8] == _TFLITE or suffix == ".tflite":
        from .tflite import load_tflite

        return load_tflite(data, label=label, name=name, input_shapes=input_shapes, cut=cut)
    if cut.signature is not None:
        raise UserError(f"{label} has no signature {cut.signature!r}: {_NO_SIGNATURES}")
    if data.startswith(_HDF5) or (suffix in _ADVICE and not _is_onnx(data, label)):
        raise UserError(f"{label} is {_ADVICE.get(suffix, _ADVICE['.h5'])}")
    if data.startswith(_ZIP) or suffix == ".pt2":
        program = read_exported_program(data, label)
        return load_exported_program(
            program, label=label, name=name, input_shapes=input_shapes, cut=cut
        )
    from .onnx import load_onnx, parse_onnx

    if suffix != ".onnx" and not _is_onnx(data, label):
        known = ", ".join([_FORMATS, *registered_formats()])
        raise UserError(f"{label} is not a model of a known format; known are {known}")
    return load_onnx(
        parse_onnx(data, label),
        label=label,
        name=name,
        folder=folder,
        input_shapes=input_shapes,
        cut=cut,
    )


def _is_onnx(data: bytes, label: str) -> bool:
    from .onnx import parse_onnx

    try:
        parse_onnx(data, label)
    except UserError:
        return False
    return True
