"""Sums, differences, products of int16 tensors: the bits of portable kernels on all cores."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from relax_passes.operators import TensorSpec
from tests.kernels.core_cases import CORES, check_on_cores
from tests.kernels.mve_cases import Case

EXTREMES = np.array([-(1 << 15), (1 << 15) - 1, -1, 0, 1])
LIMITS = [(None, None), (0, None), (-500, 3000)]


class Of16Bits(Case):
    """A case whose data often have the least and the largest numbers."""

    @property
    def data(self) -> list[np.ndarray]:
        rng = np.random.default_rng(self.seed)
        return [
            np.where(
                rng.random(spec.shape) < 0.3,
                rng.choice(EXTREMES, spec.shape),
                rng.integers(-(1 << 15), 1 << 15, spec.shape),
            ).astype(np.int16)
            for spec in self.inputs
        ]


def case(name: str, seed: int) -> Case:
    rng = np.random.default_rng(seed)
    shape = (1, *rng.integers(1, 4, 2).tolist(), int(rng.integers(1, 20)))
    spec = TensorSpec(shape, "int16", shape[-1] + 2 * (seed % 3 == 0))
    low, high = LIMITS[seed % len(LIMITS)]
    attrs: dict[str, Any] = {"minimum": low, "maximum": high}
    attrs["rounding"] = ("double", "single")[seed // 3 % 2]
    if name == "multiply":
        attrs["multiplier"] = int(rng.integers(1 << 30, 1 << 31)) | seed % 2
        attrs["shift"] = -int(rng.choice([0, 1, 14, 16, 30]))
    else:
        multipliers = [1 << 30, *rng.integers(1 << 30, 1 << 31, 2).tolist()]
        attrs |= {"left_shift": 15, "multipliers": tuple(multipliers)}
        attrs["shifts"] = (0, -int(rng.integers(1, 6)), -int(rng.choice([0, 1, 13, 14, 30])))
    return Of16Bits(name, (spec, spec), {}, attrs, seed)


def test_on_all_cores(tmp_path: Path) -> None:
    drawn = [
        (case(n, seed), seed % 3) for n in ("add", "subtract", "multiply") for seed in range(16)
    ]
    found = check_on_cores(drawn, tmp_path)
    assert [len(cases) for cases in found] == [len(drawn)] * len(CORES)
