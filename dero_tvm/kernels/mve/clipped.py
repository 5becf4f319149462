"""The taps of a sliding window that lie inside the image, as statements of C."""

from __future__ import annotations

from dataclasses import dataclass

from relax_passes.operators import Signature


@dataclass(frozen=True)
class Axis:
    """One spatial axis of a sliding window."""

    name: str  # row or column: names the variables first_<name> and end_<name>
    length: int  # of the image
    kernel: int
    stride: int
    before: int
    dilation: int
    positions: int
    named: bool = False  # texts have names of `numbers` in place of them

    @staticmethod
    def both(s: Signature, kernel: tuple[int, int]) -> tuple[Axis, Axis]:
        """The axes of an operator with strides, padding and dilation."""
        rows, columns = (
            Axis(
                name,
                s.inputs[0].shape[1 + axis],
                kernel[axis],
                s["strides"][axis],
                s["padding"][axis],
                s["dilation"][axis],
                s.output.shape[1 + axis],
            )
            for axis, name in enumerate(("row", "column"))
        )
        return rows, columns

    @property
    def numbers(self) -> dict[str, int]:
        """What texts need of the axis, by name."""
        numbers = {"length": self.length, "stride": self.stride, "before": self.before}
        return {f"{self.name}_{name}": number for name, number in numbers.items()}

    def text(self, name: str) -> str:
        """One of the numbers in a text: `name` is length, stride or before."""
        name = f"{self.name}_{name}"
        return name if self.named else str(self.numbers[name])

    @property
    def span(self) -> int:
        """Distance from the first tap to the last."""
        return (self.kernel - 1) * self.dilation

    @property
    def clipped(self) -> bool:
        """True if some window reaches beyond the image."""
        last = (self.positions - 1) * self.stride - self.before + self.span
        return bool(self.before or last >= self.length)

    def origin(self, position: str) -> str:
        """The coordinate of the first tap."""
        return f"{position} * {self.text('stride')} - {self.text('before')}"

    def inside(self, origin: str) -> str:
        """Declares the range of the taps inside the image; it may be empty."""
        first, end = f"first_{self.name}", f"end_{self.name}"
        if not self.clipped:
            return f"const int32_t {first} = 0, {end} = {self.kernel};"
        return f"""\
int32_t {first} = 0, {end} = {self.kernel};
while ({first} < {self.kernel} && {origin} + {first} * {self.dilation} < 0) {{
  ++{first};
}}
while ({end} > {first} && {origin} + ({end} - 1) * {self.dilation} >= {self.text("length")}) {{
  --{end};
}}"""
