"""The command line: `sardonyx demo`, also `python -m sardonyx demo`."""

import argparse
from collections.abc import Sequence

from .builder import demo
from .version import __version__


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit status.

    `demo` and everything after it go to the demo's own parser.
    """
    parser = argparse.ArgumentParser(prog="sardonyx", description="Deep learning on NumPy, shipped as ONNX.")
    parser.add_argument("--version", action="version", version=f"sardonyx {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    commands.add_parser("demo", add_help=False, help="train a digit classifier in every style and ship it as ONNX")
    _, rest = parser.parse_known_args(arguments)
    return demo.main(rest) or 0


if __name__ == "__main__":
    raise SystemExit(main())
