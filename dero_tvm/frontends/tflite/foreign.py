"""Files whose operators were made for another machine or program: custom operators, by name."""

from __future__ import annotations

from dero_tvm.boundary.errors import UserError

_ACCELERATORS = {
    # the custom operator's name: for what the file was made, and by what
    "ethos-u": "an Arm Ethos-U, by Vela",
    "edgetpu-custom-op": "a Coral Edge TPU, by the Edge TPU compiler",
    "NeutronGraph": "an eIQ Neutron accelerator, by NXP's converter",
}
_PREFIXES = {"XC_": "an xcore processor, by XMOS' optimizer"}


def refuse_accelerator(custom_name: str, label: str) -> None:
    """Raises :class:`UserError` if the custom operator holds a program for an accelerator.

    Such files are told apart before their tensors are looked at, which follow rules of their own.
    """
    made = _ACCELERATORS.get(custom_name)
    for prefix, machine in _PREFIXES.items():
        made = machine if custom_name.startswith(prefix) else made
    if made is not None:
        raise UserError(
            f"{label} is compiled for {made} (its custom operator {custom_name!r} is machine "
            "code for it); give the file from which it was made"
        )
