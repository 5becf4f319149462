"""Generated C reads a value where the kernel reads it, not where the same text stood before."""

from __future__ import annotations

import ctypes
import random

import numpy as np
import pytest
import tvm
from tvm.script import tirx as T

from dero_tvm.aot.kernels import Kernel, Parameter
from tests.compiled.compiled_kernels import compile_kernels

SIZE = 6
KERNELS = 30
# Bodies over the int32 elements A[0] to A[5] and a local array B of two.
WRITTEN = {
    "a store between two operands": ["A[0] = T.max(A[0], A[1])", "A[2] = T.max(A[0], 0)"],
    "a store in a scope within": [
        "A[3] = T.min(A[0], 50)",
        "for i in range(3):",
        "    A[0] = T.min(A[0], 50) + 1",
    ],
    "a store by the loop's last turn": ["for i in range(3):", "    A[0] = T.max(A[0] - i, 0) + 7"],
    "a local array": ["B[0] = A[0]", "B[0] = T.max(B[0], A[1])", "A[5] = T.min(B[0], 3)"],
    "another element": [
        "A[0] = T.max(A[T.min(A[1], 1) % 2], 2)",
        "A[1] = T.max(A[T.min(A[1], 1) % 2], 3)",
    ],
    "bits of another type": [
        'A[0] = T.reinterpret("int32", T.max(T.reinterpret("float32", A[0]), T.float32(1)))',
        'A[1] = T.reinterpret("int32", T.max(T.reinterpret("float32", A[0]), T.float32(2)))',
    ],
    "a bound that the loop changes": [
        "A[0] = 4",
        "for i in range(A[0]):",
        "    A[0] = A[0] - 1",
        "    A[1] = A[1] + 1",
    ],
    "a least index that the loop changes": [
        "A[0] = 1",
        "for i in range(A[0], T.max(A[0], 4)):",
        "    A[0] = A[0] + 2",
        "    A[1] = A[1] + 1",
    ],
    "a condition": [
        "A[0] = 0",
        "while T.max(A[0], A[1]) < 40:",
        "    A[0] = T.max(A[0], A[1]) + 9",
        "    A[2] = T.max(A[0], A[1])",
    ],
    "branches": [
        "A[3] = T.max(A[0], 2)",
        "if A[1] > 0:",
        "    A[0] = T.max(A[0], 2) + 1",
        "else:",
        "    A[0] = T.max(A[0], 2) - 5",
        "A[4] = T.if_then_else(A[1] > 3, T.max(A[0], 2), T.min(A[0], 2))",
    ],
}


class _Writer:
    """Random bodies; loops and numbers stay small."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def body(self, depth: int = 0) -> list[str]:
        return [line for _ in range(self.random.randint(2, 4)) for line in self._statement(depth)]

    def _statement(self, depth: int) -> list[str]:
        kind = self.random.choice(["store"] * 5 + ["for", "if"] * (depth < 2))
        if kind == "store":
            return [f"{self._element()} = T.truncmod({self._value(2)}, 64)"]
        inner = [f"    {line}" for line in self.body(depth + 1)]
        if kind == "for":
            return [f"for i{depth} in range(T.max(T.min({self._value(1)}, 3), 0)):", *inner]
        other = [f"    {line}" for line in self.body(depth + 1)]
        return [f"if {self._value(2)} > {self._value(1)}:", *inner, "else:", *other]

    def _element(self) -> str:
        return self.random.choice(["A[0]", "A[1]", "A[2]", "B[0]", "B[1]"])

    def _value(self, depth: int) -> str:
        if not depth or self.random.random() < 0.2:
            return self.random.choice([self._element()] * 3 + [str(self.random.randint(-9, 9))])
        a, b, c = (self._value(depth - 1) for _ in range(3))
        return self.random.choice(
            [f"T.max({a}, {b})", f"T.min({a}, {b})", f"({a} + {b})", f"({a} - {b})"]
            + [f"T.Select({a} > {b}, {b}, {c})", f"T.if_then_else({a} < {b}, {a}, {c})"]
        )


def _kernel(name: str, body: list[str]) -> Kernel:
    lines = [
        "@T.prim_func(private=True, s_tir=True)",
        f'def {name}(a: T.handle("int32")):',
        f'    A = T.decl_buffer(({SIZE},), "int32", data=a)',
        '    B = T.alloc_buffer((2,), "int32")',
        "    B[0] = 5",
        "    B[1] = -3",
        *(f"    {line}" for line in body),
        "    A[5] = A[5] + B[0] - B[1]",
    ]
    function = tvm.script.from_source("\n".join(lines), {"T": T})
    return Kernel(name, function, (Parameter("a", "int32", read_only=False),), name)


@pytest.fixture(scope="module")
def library() -> ctypes.CDLL:
    bodies = {f"written_{i}": body for i, body in enumerate(WRITTEN.values())}
    bodies |= {f"random_{seed}": _Writer(seed).body() for seed in range(KERNELS)}
    return compile_kernels({name: _kernel(name, body) for name, body in bodies.items()})


def _assert_equal(library: ctypes.CDLL, name: str) -> None:
    rng = np.random.default_rng(1)
    for _ in range(20):
        data = rng.integers(-20, 20, SIZE).astype(np.int32)
        results = []
        for function in (library[name], library[f"{name}_by_llvm"]):
            memory = data.copy()
            function(ctypes.c_void_p(memory.ctypes.data))
            results.append(memory)
        np.testing.assert_array_equal(*results, err_msg=f"of {data}")


@pytest.mark.parametrize("case", WRITTEN)
def test_written_kernels_are_what_llvm_makes_of_them(library, case):
    _assert_equal(library, f"written_{list(WRITTEN).index(case)}")


@pytest.mark.parametrize("seed", range(KERNELS))
def test_random_kernels_are_what_llvm_makes_of_them(library, seed):
    _assert_equal(library, f"random_{seed}")
