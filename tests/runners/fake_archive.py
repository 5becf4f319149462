"""A hand-written model with the interface of generated code: y = 3 * x + bias."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

_HEADER = """
#ifndef TVMGEN_DEFAULT_H
#define TVMGEN_DEFAULT_H
#include <stdint.h>
#define TVMGEN_DEFAULT_WORKSPACE_SIZE @total@
#define TVMGEN_DEFAULT_X_SIZE @x_bytes@
#define TVMGEN_DEFAULT_BIAS_SIZE 16
#define TVMGEN_DEFAULT_Y_SIZE 32
struct tvmgen_default_inputs { void* x; void* bias; };
struct tvmgen_default_outputs { void* y; };
@arenas@
@map_io@
int32_t tvmgen_default_run(struct tvmgen_default_inputs*, struct tvmgen_default_outputs*);
#endif
"""

_DATA = """
#include <stdint.h>
extern const int32_t tvmgen_default_factor[4];
const int32_t tvmgen_default_factor[4] = {3, 3, 3, 3};
"""

_MAP_IO_DECLARATION = (
    "void tvmgen_default_map_io(struct tvmgen_default_inputs*, struct tvmgen_default_outputs*);"
)

_MAP_IO = """void tvmgen_default_map_io(struct tvmgen_default_inputs* inputs,
                           struct tvmgen_default_outputs* outputs) {
  inputs->x = &@first@[0];
  inputs->bias = &@first@[16];
  outputs->y = &@last@[@y@];
}
"""

_CODE = """
#include <string.h>
#include "tvmgen_default.h"
extern const int32_t tvmgen_default_factor[4];
@globals@
static void own(uint8_t* arena) { @body@ (void)arena; }
@map_io@
int32_t tvmgen_default_run(struct tvmgen_default_inputs* inputs,
                           struct tvmgen_default_outputs* outputs) {
  int8_t x[8];
  int32_t bias[4], y[8];
  memcpy(x, inputs->x, sizeof x);
  memcpy(bias, inputs->bias, sizeof bias);
  for (int i = 0; i < 8; i++) {
    y[i] = tvmgen_default_factor[i % 4] * x[i] + bias[i % 4];
  }
  memcpy(outputs->y, y, sizeof y);
  own(@first@);
  return @status@;
}
"""


@dataclass(frozen=True)
class FakeTensor:
    name: str
    c_name: str
    shape: tuple[int, ...]
    dtype: str
    row_size: int = 0
    context: str = ""


@dataclass(frozen=True)
class FakeArchive:
    """`body` is C that each inference executes, with `arena`, the address of the first arena."""

    body: str = ""
    globals: str = ""
    status: str = "0"
    arena_bytes: Mapping[str, int] = field(default_factory=lambda: {"default": 71})
    external_io: bool = False  # inputs and outputs lie in the caller's memory alone
    suffix: bool | None = None  # the arena's C name has the region's; None: if there are several
    x_bytes_in_header: int = 8
    name: str = "default"
    inputs: tuple[FakeTensor, ...] = (
        FakeTensor("serving:x", "x", (2, 4), "int8"),
        FakeTensor("bias", "bias", (4,), "int32"),
    )
    outputs: tuple[FakeTensor, ...] = (FakeTensor("y", "y", (2, 4), "int32"),)

    def _symbols(self) -> list[str]:
        suffix = len(self.arena_bytes) > 1 if self.suffix is None else self.suffix
        if not suffix:
            return ["tvmgen_default_workspace"]
        return [f"tvmgen_default_workspace_{region}" for region in self.arena_bytes]

    def c_sources(self) -> dict[str, bytes]:
        code = _replace(
            _CODE,
            map_io="" if self.external_io else _MAP_IO,
            body=self.body,
            globals=self.globals,
            status=self.status,
            first=self._symbols()[0],
            last=self._symbols()[-1],
            y="32" if len(self.arena_bytes) == 1 else "0",
        )
        return {"default_lib0.c": _DATA.encode(), "default_lib1.c": code.encode()}

    def c_headers(self) -> dict[str, bytes]:
        header = _replace(
            _HEADER,
            map_io="" if self.external_io else _MAP_IO_DECLARATION,
            total=str(sum(self.arena_bytes.values())),
            x_bytes=str(self.x_bytes_in_header),
            arenas="".join(
                f"extern uint8_t {symbol}[{size}];\n"
                for symbol, size in zip(self._symbols(), self.arena_bytes.values())
            ),
        )
        return {"tvmgen_default.h": header.encode()}


def _replace(template: str, **values: str) -> str:
    for key, value in values.items():
        template = template.replace(f"@{key}@", value)
    return template


def some_inputs(count: int) -> list[dict[str, np.ndarray]]:
    """Random inputs of `count` inferences, the same in each call."""
    random = np.random.default_rng(7)
    return [
        {
            "serving:x": random.integers(-128, 128, (2, 4), dtype=np.int8),
            "bias": random.integers(-1000, 1000, (4,), dtype=np.int32),
        }
        for _ in range(count)
    ]


def expected_output(values: dict[str, np.ndarray]) -> np.ndarray:
    return 3 * values["serving:x"].astype(np.int32) + values["bias"]
