"""Asks other tools for the memory of the same networks, and prints it beside this project's.

    python -m benchmarks.peers [--write] [--only TOOL ...]

The first run installs the tools, some GB, below build/peers.  With --write the table, the versions
and the date go into docs/comparison.md, and the chart into docs/images.
"""

from __future__ import annotations

import argparse
import sys
from datetime import date
from importlib.metadata import version
from pathlib import Path

from benchmarks.page_parts import with_part
from benchmarks.published import ROOT
from dero_tvm.boundary.errors import first_line

from .environment import Environment
from .networks import Network, networks
from .page import OWN, chart, tables
from .result import Answer, ToolFailed
from .tools import TOOLS, Own, Tool, own

FOLDER = ROOT / "build" / "peers"


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.peers", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--write", action="store_true", help="write the documentation's page")
    names = [tool.name for tool in TOOLS]
    parser.add_argument("--only", nargs="+", choices=names, default=names, metavar="TOOL")
    arguments = parser.parse_args()
    tools = [tool for tool in TOOLS if tool.name in arguments.only]
    if arguments.write and len(tools) < len(TOOLS):
        parser.error("--write writes the whole page: leave out --only")
    versions = {OWN: version("dero-tvm")}
    environments: dict[str, Environment | str] = {
        tool.name: installed(tool, versions) for tool in tools
    }
    rows = []
    for network in networks(FOLDER / "models"):
        reference = own(network)
        answers = {OWN: reference.answer}
        for tool in tools:
            if network.form in tool.forms:
                print(f"{network.title}: {tool.name}", file=sys.stderr)
                answers[tool.name] = asked(tool, environments[tool.name], network, reference)
        rows.append((network, answers))
    text = tables(rows, tools, versions, date.today().isoformat())
    print(text)
    if arguments.write:
        page = ROOT / "docs" / "comparison.md"
        page.write_text(with_part(page.read_text(), "measured", text))
        for theme in ("light", "dark"):
            chart(rows, ROOT / "docs" / "images" / f"peers-{theme}.svg", theme)


def installed(tool: Tool, versions: dict[str, str]) -> Environment | str:
    """The tool's environment, or why there is none; adds its version."""
    if not tool.package:  # beside this project
        versions[tool.name] = version("apache-tvm")
        return Environment(Path(sys.prefix), ())
    environment = Environment(FOLDER / tool.package, tool.requirements)
    print(f"installing {tool.name}", file=sys.stderr)
    try:
        environment.install()
        versions[tool.name] = environment.version(tool.package)
    except ToolFailed as error:
        return f"not installed: {error}"
    return environment


def asked(tool: Tool, environment: Environment | str, network: Network, own: Own) -> Answer:
    """The tool's answer, or why there is none."""
    if isinstance(environment, str):
        return Answer(failure=environment)
    folder = FOLDER / "work" / tool.name.split()[0].lower()
    folder.mkdir(parents=True, exist_ok=True)
    try:
        return tool.ask(environment, network, own, folder)
    except ToolFailed as error:
        return Answer(failure=f"failed: {first_line(error)}")


if __name__ == "__main__":
    main()
