"""C tables of a model's inputs and outputs, for programs that move their bytes.

For the prefix ``harness``: ``harness_inputs`` and ``harness_outputs``, arrays of
``struct harness_tensor``; ``harness_set_addresses``, which makes their addresses valid; and
``harness_run_model``.
"""

from __future__ import annotations

from collections.abc import Sequence

from .unpacked_archive import Archive, Tensor, maps_io, tensor_bytes


def port_tables(archive: Archive, prefix: str, *, copy_io: bool = False, named: bool) -> str:
    """The tables and functions; `named` entries end with the tensor's C name as a string.

    With `copy_io`, or if the model has no place for them, inputs and outputs are arrays outside
    the arena; otherwise they are where the model keeps them.
    """
    return "\n".join(
        (
            _tensors(archive.name, prefix, "input", archive.inputs, named),
            _tensors(archive.name, prefix, "output", archive.outputs, named),
            _set_addresses(archive, prefix, copy_io),
            f"int32_t {prefix}_run_model(void) {{\n"
            f"  return tvmgen_{archive.name}_run(&inputs, &outputs);\n}}\n",
        )
    )


def size_checks(archive: Archive) -> str:
    """Assertions that the header of the model has the sizes of the archive's metadata."""
    sizes = {"WORKSPACE": sum(archive.arena_bytes.values())}
    for tensor in (*archive.inputs, *archive.outputs):
        sizes[tensor.c_name.upper()] = tensor_bytes(tensor)
    return "".join(
        f"_Static_assert(TVMGEN_{archive.name.upper()}_{item}_SIZE == {size},\n"
        '               "header and metadata disagree");\n'
        for item, size in sizes.items()
    )


def _tensors(name: str, prefix: str, kind: str, tensors: Sequence[Tensor], named: bool) -> str:
    entries = "".join(
        f"    {{&{kind}s.{_pointer(t)}, {tensor_bytes(t)}"
        + (f', "{t.c_name}"' if named else "")
        + "},\n"
        for t in tensors
    )
    if not entries:  # C has no empty arrays
        entries = "    {0, 0, 0},\n" if named else "    {0, 0},\n"
    return (
        f"static struct tvmgen_{name}_{kind}s {kind}s;\n"
        f"const struct {prefix}_tensor {prefix}_{kind}s[] = {{\n{entries}}};\n"
        f"const uint32_t {prefix}_{kind}_count = {len(tensors)};\n"
    )


def _pointer(tensor: Tensor) -> str:
    """The member that has the address of a tensor's values."""
    return tensor.context if tensor.row_size else tensor.c_name


def _set_addresses(archive: Archive, prefix: str, copy_io: bool) -> str:
    in_place = maps_io(archive) and not copy_io
    parts, assignments = [], []
    if in_place:
        assignments.append(f"  tvmgen_{archive.name}_map_io(&inputs, &outputs);\n")
    for kind, tensors in (("input", archive.inputs), ("output", archive.outputs)):
        for t in tensors:
            if in_place and not t.row_size:
                continue
            array = f"{kind}_{t.c_name}"
            parts.append(
                f"static __attribute__((aligned(16))) uint8_t {array}[{tensor_bytes(t)}];\n"
            )
            assignments.append(f"  {kind}s.{_pointer(t)} = {array};\n")
            if t.row_size:
                parts.append(_row_function(kind, t))
                assignments.append(f"  {kind}s.{t.c_name} = {array}_row;\n")
    head = f"\nvoid {prefix}_set_addresses(void) {{\n"
    return "".join(parts) + head + "".join(assignments) + "}\n"


def _row_function(kind: str, tensor: Tensor) -> str:
    """The application's function for one port: it copies a row from or to the array."""
    size = tensor.row_size
    place = f"(uint8_t*)context + (size_t)row * {size}u"
    if kind == "input":
        head, copy = "void* destination", f"memcpy(destination, {place}, {size})"
    else:
        head, copy = "const void* source", f"memcpy({place}, source, {size})"
    return (
        f"static int32_t {kind}_{tensor.c_name}_row(void* context, int32_t row, {head}) {{\n"
        f"  {copy};\n  return 0;\n}}\n"
    )
