"""How much memory other tools plan for the same networks: `python -m benchmarks.peers`.

Each tool is installed from the package index into a virtual environment of its own, and a small
program in `programs/` asks it there.  A tool that cannot be installed or asked makes a row with
the reason.
"""
