"""A remark for images that are declared channels-first and are in the arena at the peak.

A row of the operators lies within all channels, so it is complete only when the last channel of a
channels-first image is there: such an image stays whole until it has been transposed.
"""

from __future__ import annotations

from collections.abc import Collection

from dero_tvm.schedule.network import Network, Operation

_TO_CHANNELS_LAST = (0, 2, 3, 1)
_BEFORE_IT = frozenset({"dero.quantize", "dero.dequantize", "dero.flip_sign_bit"})


def channels_first_notes(network: Network, at_peak: Collection[str]) -> list[str]:
    """One line for each input among the buffers `at_peak` that is transposed before it is used."""
    return [
        f"the input {port.name} is channels-first and stays whole until it has been transposed; "
        "with --input-layout nhwc the caller hands it over channels-last, and it can be streamed"
        for port in network.inputs
        if network.values[port.value].buffer in at_peak and _is_transposed(network, port.value)
    ]


def _is_transposed(network: Network, value: str) -> bool:
    """Whether all that reads `value` transposes it to channels-last, if need be once quantized."""
    readers = [
        operation
        for cascade in network.cascades
        for operation in cascade.operations
        if value in operation.operands
    ]
    return bool(readers) and all(_leads_to_channels_last(network, reader) for reader in readers)


def _leads_to_channels_last(network: Network, operation: Operation) -> bool:
    if operation.signature.operator == "dero.transpose":
        return tuple(operation.signature["axes"]) == _TO_CHANNELS_LAST
    return operation.signature.operator in _BEFORE_IT and _is_transposed(network, operation.result)
