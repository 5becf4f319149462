"""``tvmc report``."""

from __future__ import annotations

import json
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click

from dero_tvm.aot.archive import load_archive
from dero_tvm.boundary.atomic_write import staged_write, write_atomically
from dero_tvm.boundary.errors import UserError
from dero_tvm.boundary.json_text import LARGEST, parsed_json
from dero_tvm.boundary.whole_file import whole_file
from dero_tvm.report import Report
from dero_tvm.report.comparison import compare
from dero_tvm.report.comparison_table import print_comparison
from dero_tvm.report.plot_file import check_plot
from dero_tvm.report.text_table import print_report
from dero_tvm.report.tuning_table import print_tuning

from .command import Command
from .console import stdout_console
from .option_kinds import file_argument, file_option, say_written
from .outputs import check_distinct, check_output
from .sweep import refuse_sweep_options, show_sweep, sweep_options


@click.command("report", cls=Command)
@file_argument("source")
@file_argument("other", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of tables.")
@file_option(
    "--html", help="Write charts, graph and tables as one HTML file that needs no network."
)
@file_option(
    "--plot", help="Draw bytes alive at each step, or with --sweep the plans: an .svg or .png."
)
@file_option("--trace", help="Write steps and arena bytes as a trace (.json) for Perfetto.")
@click.option(
    "--sweep",
    is_flag=True,
    help="Compare all plans of SOURCE, a model file: bytes of the arena against instructions.",
)
@sweep_options
def report_command(
    source: Path,
    other: Path | None,
    as_json: bool,
    html: Path | None,
    plot: Path | None,
    trace: Path | None,
    sweep: bool,
    **options: Any,
) -> None:
    """Show what is in memory when, for SOURCE: an archive, or a JSON file of --report.

    With OTHER, one more of them, the two are put side by side: what a change has changed.
    With --sweep, SOURCE is a model, and the plans between fastest and smallest are compared.

    \b
    Examples:
      tvmc report model.tar
      tvmc report model.tar --html report.html
      tvmc report report.json --plot memory.svg --trace memory.json
      tvmc report before.tar after.tar --html changes.html
      tvmc report --sweep model.tflite --plot sweep.svg
    """  # noqa: D301 (click reads the escape)
    if other is not None:
        refusals = {"--plot": plot, "--trace": trace, "--sweep": sweep or None}
        for flag, given in refusals.items():
            if given is not None:
                raise UserError(f"{flag} is for one SOURCE, two are compared: leave one out")
        refuse_sweep_options()
        _show_comparison(source, other, as_json=as_json, html=html)
        return
    if sweep:
        for flag, given in (("--html", html), ("--trace", trace)):
            if given is not None:
                raise UserError(f"{flag} is for one plan, --sweep compares several: leave one out")
        show_sweep(source, as_json=as_json, plot=plot, **options)
        return
    refuse_sweep_options()
    files = {"--html": html, "--plot": plot, "--trace": trace}
    wanted = {flag: path for flag, path in files.items() if path is not None}
    if plot is not None:
        check_plot(plot)
    for path in wanted.values():
        check_output(path, "report")
    check_distinct({"SOURCE": source, **files})
    found = read_report(source)
    with ExitStack() as written:  # all of them appear, or none
        for flag, path in wanted.items():
            written.enter_context(staged_write(path, _content(flag, found, path)))
    if as_json:
        click.echo(found.to_json(), nl=False)
        return
    console = stdout_console()
    if not wanted:
        print_report(found, console, steps=True)
        if found.tuning is not None:
            print_tuning(found.tuning, console)
    say_written(console, *wanted.values())


def _show_comparison(source: Path, other: Path, *, as_json: bool, html: Path | None) -> None:
    """Put two reports side by side on the terminal, or in a file."""
    if html is not None:
        check_output(html, "report")
    check_distinct({"SOURCE": source, "--html": html})
    check_distinct({"OTHER": other, "--html": html})
    names = (source.name, other.name)
    titles = names if names[0] != names[1] else (str(source), str(other))
    found = compare(read_report(source), read_report(other), titles)
    if html is not None:
        from dero_tvm.report.html import comparison_page

        write_atomically(html, comparison_page(found).encode(errors="backslashreplace"))
    if as_json:
        click.echo(json.dumps(found.to_dict(), indent=2))
        return
    console = stdout_console()
    if html is None:
        print_comparison(found, console)
    else:
        say_written(console, html)


def _content(flag: str, report: Report, path: Path) -> bytes:
    """The file that a flag asks for.  What draws it is imported when it is needed."""
    if flag == "--html":
        return report_page(report)
    if flag == "--plot":
        from dero_tvm.report.timeline_plot import plot_timeline

        return plot_timeline(report, path)
    from dero_tvm.report.trace import chrome_trace

    return chrome_trace(report).encode()


def report_page(report: Report) -> bytes:
    """The HTML file of a report."""
    from dero_tvm.report.html import html_page

    return html_page(report).encode(errors="backslashreplace")


def read_report(source: Path) -> Report:
    """The report in an archive or JSON file."""
    if source.suffix != ".json":
        return parsed_report(source, load_archive(source).report)
    try:
        data = parsed_json(whole_file(source, LARGEST))
    except FileNotFoundError:
        raise UserError(f"{source}: no such file") from None
    except ValueError as error:
        raise UserError(f"{source}: not readable as JSON ({error})") from None
    return parsed_report(source, data)


def parsed_report(source: Path, data: object) -> Report:
    """The report that `data` holds; UserError if it is none, or of another version."""
    try:
        return Report.from_dict(data)  # type: ignore[arg-type]
    except (TypeError, ValueError, RecursionError):
        raise UserError(
            f"{source}: not a report of this version of tvmc; compile the model again"
        ) from None
