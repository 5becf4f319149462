"""``tvmc report``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from dero_tvm.aot.archive import load_archive
from dero_tvm.errors import UserError
from dero_tvm.report import Report
from dero_tvm.report.table import print_report

from .command import Command
from .sweep import refuse_sweep_options, show_sweep, sweep_options


@click.command("report", cls=Command)
@click.argument("source", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of tables.")
@click.option(
    "--sweep",
    is_flag=True,
    help="Compare all plans of SOURCE, a model file: bytes of the arena against instructions.",
)
@sweep_options
def report_command(source: Path, as_json: bool, sweep: bool, **options: Any) -> None:
    """Show what is in memory when, for SOURCE: an archive, or a JSON file of --report.

    With --sweep, SOURCE is a model, and the plans between fastest and smallest are compared.

    \b
    Examples:
      tvmc report model.tar
      tvmc report report.json --json
      tvmc report --sweep model.tflite --plot sweep.svg
    """  # noqa: D301 (click reads the escape)
    if sweep:
        show_sweep(source, as_json=as_json, **options)
        return
    refuse_sweep_options()
    found = read_report(source)
    if as_json:
        click.echo(found.to_json(), nl=False)
    else:
        print_report(found, Console(), steps=True)


def read_report(source: Path) -> Report:
    """The report in an archive or JSON file."""
    if source.suffix != ".json":
        return _parsed(source, load_archive(source).report)
    try:
        data = json.loads(source.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{source}: no such file") from None
    except IsADirectoryError:
        raise UserError(f"{source}: is a folder; give a file") from None
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{source}: not readable as JSON ({error})") from None
    return _parsed(source, data)


def _parsed(source: Path, data: object) -> Report:
    try:
        return Report.from_dict(data)  # type: ignore[arg-type]
    except (KeyError, TypeError, ValueError):
        raise UserError(
            f"{source}: not a report of this version of tvmc; compile the model again"
        ) from None
