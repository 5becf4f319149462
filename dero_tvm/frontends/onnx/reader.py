"""An ONNX file as a checked, self-contained ModelProto."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import onnx
from google.protobuf.descriptor import FieldDescriptor  # type: ignore[import-untyped]
from google.protobuf.message import DecodeError, Message  # type: ignore[import-untyped]
from onnx import external_data_helper

from dero_tvm.boundary.errors import UserError, first_line
from dero_tvm.boundary.printable import printable

_LONGEST_NAME = 120
_MOST_SHARED = 1 << 27  # bytes of tensors kept in files that do not have as many


def parse_onnx(data: bytes, label: str) -> onnx.ModelProto:
    """The model in `data`; :class:`UserError` if it is damaged or no ONNX model."""
    model = onnx.ModelProto()
    try:
        model.ParseFromString(data)
    except DecodeError as error:
        raise UserError(f"{label} is not a readable ONNX model ({first_line(error)})") from None
    if not model.graph.node and not model.graph.output:
        raise UserError(f"{label} is not a readable ONNX model (it has no graph)")
    if not model.opset_import or not model.ir_version:
        raise UserError(
            f"{label} is not a readable ONNX model (it does not say its version; is it truncated?)"
        )
    return model


def load_external_data(model: onnx.ModelProto, label: str, folder: Path | None) -> None:
    """Load tensors kept in other files, which must lie in `folder` or below.

    `folder` None means that the model is not from a file and may not refer to one.
    """
    loaded = 0
    files: dict[Path, int] = {}
    for tensor in _all_tensors(model):
        if not external_data_helper.uses_external_data(tensor):
            continue
        entries = {entry.key: entry.value for entry in tensor.external_data}
        location = entries.get("location", "")
        shown = printable(location, _LONGEST_NAME)
        where = f"{label}: the tensor {tensor.name!r} is kept in {shown!r}"
        if folder is None:
            raise UserError(f"{where}; load the model by its path so that this file can be found")
        home = folder.resolve()
        try:
            target = (home / location).resolve()
            exists = target.is_file()
        except (OSError, ValueError):  # too long, or with a zero in it
            raise UserError(f"{where}, which is no name of a file") from None
        if not location or not target.is_relative_to(home):
            raise UserError(f"{where}, which is outside the model's folder; move it there")
        if not exists:
            raise UserError(f"{where}, which does not exist beside the model")
        files[target] = target.stat().st_size
        loaded += _external_bytes(entries, files[target])
        if loaded > max(_MOST_SHARED, 2 * sum(files.values())):
            raise UserError(
                f"{where}, of which its tensors together want {loaded:,} bytes, many times what "
                "there are; the file is damaged"
            )
        try:
            external_data_helper.load_external_data_for_tensor(tensor, str(home))
        except Exception as error:  # bounds and value errors of several onnx versions
            raise UserError(f"{where}, which cannot be read: {first_line(error)}") from error
        tensor.data_location = onnx.TensorProto.DEFAULT
        del tensor.external_data[:]


def _external_bytes(entries: Mapping[str, str], size: int) -> int:
    """What a tensor wants of a file of `size` bytes; all of it if it does not say."""
    try:
        return min(max(int(entries.get("length", size)), 0), size)
    except ValueError:
        return size


def complaint(model: onnx.ModelProto) -> str | None:
    """What the checker of the onnx package has against `model`, or None.

    Not a reason to refuse by itself: it also minds what does no harm, such as a missing shape.
    """
    try:
        onnx.checker.check_model(model)
    except Exception as error:  # ValidationError, or a protobuf error of a huge model
        return first_line(error)
    return None


def _all_tensors(model: onnx.ModelProto) -> Iterator[onnx.TensorProto]:
    """Every tensor of the file, wherever one can stand: whatever message holds it."""
    waiting: list[Message] = [model]
    while waiting:
        message = waiting.pop()
        if isinstance(message, onnx.TensorProto):
            yield message
            continue
        for field, value in message.ListFields():
            if field.cpp_type == FieldDescriptor.CPPTYPE_MESSAGE:
                waiting.extend([value] if isinstance(value, Message) else value)
