"""``tvmc tune``, which is an option of ``tvmc compile`` here."""

from __future__ import annotations

import click

from dero_tvm.boundary.errors import UserError


class _AnyArguments(click.Command):
    """Whatever the old command was given."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        ctx.params["words"] = tuple(args)
        return []


@click.command("tune", cls=_AnyArguments, add_help_option=False)
def tune_command(words: tuple[str, ...]) -> None:
    """Say what takes its place."""
    models = [word for word in words if word.endswith((".onnx", ".tflite", ".pt2"))]
    model = models[0] if models else "MODEL"
    raise UserError(
        "kernels are measured in QEMU while a model is compiled, and the figures kept: type "
        f"`tvmc compile {model} --target mps2-an500 --tune -o model.tar` (tvmc boards lists "
        "other boards)"
    )
