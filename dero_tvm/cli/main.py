"""Entry point of ``tvmc``."""

from __future__ import annotations

import sys

import click
from rich.console import Console
from rich.text import Text

from dero_tvm.errors import UserError

_EPILOG = """\b
Examples:
  tvmc compile model.tflite --dero -o model.tar
  tvmc run model.tar --device qemu:mps2-an500 --inputs in.npz
  tvmc report model.tar
"""


@click.group(
    epilog=_EPILOG,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(package_name="dero-tvm", prog_name="tvmc")
def tvmc() -> None:
    """Compile trained networks with residual connections into C for microcontrollers."""


def _add_commands() -> None:
    from .boards import boards
    from .compile import compile_command
    from .report import report
    from .run import run_command

    for command in (compile_command, run_command, report, boards):
        tvmc.add_command(command)


_add_commands()


def main() -> None:
    """Run the command line; errors that the user can mend are one line on stderr."""
    try:
        tvmc(standalone_mode=False)
    except click.exceptions.Abort:
        _fail("interrupted", 130)
    except click.ClickException as error:
        _fail(error.format_message(), error.exit_code)
    except UserError as error:
        _fail(str(error), 1)
    except KeyboardInterrupt:
        _fail("interrupted", 130)


def _fail(message: str, code: int) -> None:
    line = Text.assemble(("tvmc: error: ", "bold red"), " ".join(message.split()))
    Console(stderr=True, soft_wrap=True).print(line)
    sys.exit(code)


if __name__ == "__main__":
    main()
