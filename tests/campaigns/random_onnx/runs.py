"""Random ONNX networks through the whole compiler, as C, against ONNX Runtime.

Each network is compiled with whole tensors, accumulated and streamed, many networks in one C file.
What comes out is compared with ONNX Runtime's outputs (`oracle`): float32 to `TOLERANCE`, and
quantized networks bit by bit.
"""

from __future__ import annotations

import re
import tempfile
import traceback
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from dero_tvm import UserError
from dero_tvm.driver.dero_levels import Dero
from tests.c_batch import CBatch, programs_of
from tests.campaigns.random_onnx.forms import Network, random_network
from tests.campaigns.random_onnx.minimise import described, smallest_failing

TOLERANCE = 1e-5  # of the greatest magnitude in an output
MODES = (Dero.NONE, Dero.ACCUMULATE, Dero.STREAM)


@dataclass
class Summary:
    """What a run of many networks showed."""

    networks: int = 0
    programs: int = 0
    counts: Counter[str] = field(default_factory=Counter)  # of networks: form, "refused: why"
    operators: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)

    def __iadd__(self, other: Summary) -> Summary:
        self.networks += other.networks
        self.programs += other.programs
        self.counts += other.counts
        self.operators += other.operators
        self.failures += other.failures
        return self

    @property
    def refused(self) -> int:
        """Networks that the compiler refuses in a line of its own."""
        return sum(n for what, n in self.counts.items() if what.startswith("refused"))

    def text(self) -> str:
        """A few lines for people."""
        return "\n".join(
            [
                f"{self.networks:,} networks, {self.programs:,} programs, {self.refused:,} refused,"
                f" {len(self.failures)} failures",
                *(f"{number:5} {what}" for what, number in self.counts.most_common()),
                *self.failures,
            ]
        )


def check_networks(seeds: Iterable[int]) -> Summary:
    """Compile and run the networks of `seeds`; what fails is in the summary, minimised."""
    summary = Summary()
    networks = {f"n{seed}": random_network(seed) for seed in seeds}
    for name, verdict in verdicts(networks, summary).items():
        if verdict is not None:
            small, reason = smallest_failing(networks[name], verdict, verdicts)
            summary.failures.append(f"seed {name[1:]}: {reason}\n{described(small)}")
    return summary


def verdicts(
    networks: Mapping[str, Network], summary: Summary | None = None
) -> dict[str, str | None]:
    """For each network what is wrong with it, None if nothing; refused networks are in `summary`.

    All are compiled into one C file.
    """
    summary = Summary() if summary is None else summary
    batch, found, ways = CBatch(), {}, {}
    for name, network in networks.items():
        summary.networks += 1
        summary.operators.update(node.op_type for node in network.model.graph.node)
        try:
            ways[name] = programs_of(network.model, MODES)
            for mode, program in ways[name].items():
                batch.add(f"{name}_{mode.value}", program)
        except UserError as error:
            ways.pop(name, None)
            found[name] = None
            summary.counts[f"refused: {_reason(error)}"] += 1
        except Exception:
            ways.pop(name, None)
            found[name] = traceback.format_exc(limit=-3)
        else:
            summary.counts[network.form] += 1
            summary.programs += len(ways[name])
    with tempfile.TemporaryDirectory() as folder:
        library = batch.build(Path(folder))
        for name, programs in ways.items():
            found[name] = None
            try:
                for mode in programs:
                    outputs, _ = library.run(f"{name}_{mode.value}", networks[name].inputs)
                    _compare(mode.value, networks[name], outputs)
            except AssertionError as error:
                found[name] = str(error)
    return found


def _compare(label: str, network: Network, outputs: Mapping[str, np.ndarray]) -> None:
    for (name, wanted), actual in zip(network.expected.items(), outputs.values(), strict=True):
        assert (actual.dtype, actual.shape) == (wanted.dtype, wanted.shape), (
            f"{label}: output {name} is {actual.dtype}{list(actual.shape)},"
            f" not {wanted.dtype}{list(wanted.shape)}"
        )
        if name in network.exact or wanted.dtype.kind != "f":
            unequal = int((actual != wanted).sum())
            assert unequal == 0, f"{label}: {unequal} of {wanted.size} elements of {name} differ"
            continue
        worst = np.abs(actual.astype("float64") - wanted).max()
        scale = max(np.abs(wanted).max(), 1e-3)
        assert worst <= TOLERANCE * scale, f"{label}: {name} differs by {worst / scale:.2g}"


def _reason(error: UserError) -> str:
    """The kind of refusal: its line without names and numbers."""
    line = re.sub(r"^(the ONNX model )?'?random'?: ", "", str(error).splitlines()[0])
    return re.sub(r"'[^']*'|\[[^]]*\]|\d+", "_", line)[:120]
