"""Files of one line, ``sines N``: N sines of an image, one of the other."""

from pathlib import Path

from tvm import relax

from dero_tvm import UserError
from dero_tvm.frontends import Frontend, register_frontend
from dero_tvm.frontends.relax_module import load_relax

_MAGIC = b"sines "


def _read(data, *, label, name, folder: Path | None, input_shapes):
    count = data.removeprefix(_MAGIC).decode().strip()
    if not count.isdigit():
        raise UserError(f"{label}: {count!r} is not a number of sines")
    builder = relax.BlockBuilder()
    image = relax.Var("image", relax.TensorType((1, 6, 5, 4), "float32"))
    with builder.function("main", [image]):
        with builder.dataflow():
            value = image
            for _ in range(int(count)):
                value = builder.emit(relax.op.sin(value))
            result = builder.emit_output(value)
        builder.emit_func_output(result)
    return load_relax(builder.get(), label=label, name=name, input_shapes=input_shapes)


register_frontend(Frontend("sines (.sines)", (".sines",), _read, lambda d: d.startswith(_MAGIC)))
