"""The command line: ``warmup`` compiles kernels ahead of their first use, ``run`` runs a script written for Keras."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence

from nbnet.base.console import show
from nbnet.engine.jit import disk_cache
from nbnet.warmup import warmup


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command; see ``--help``."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    if given[:1] == ["run"]:
        # The arguments after the script are the script's.
        from nbnet.as_keras.run import run

        run(given[1:])
        return
    parser = argparse.ArgumentParser(prog="python -m nbnet", description="Commands of nbnet.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    commands.add_parser("run", help="run a script written for Keras or TensorFlow, unchanged")
    command = commands.add_parser("warmup", help="compile the kernels of dense networks, once for this user")
    command.add_argument("--dtypes", nargs="+", choices=("float32", "float64"), default=["float32"])
    command.add_argument("--everything", action="store_true", help="all kernels; takes minutes")
    options = parser.parse_args(given)
    began = time.perf_counter()
    place = disk_cache.folder() or "memory only: there is no cache folder that is safe to write to"
    try:
        compiled = warmup(options.dtypes, options.everything)
    except KeyboardInterrupt:
        parser.exit(130, f"\ninterrupted; the kernels compiled so far are kept in {place}\n")
    show(f"{compiled} kernels compiled in {time.perf_counter() - began:.1f} s; they are kept in {place}")


if __name__ == "__main__":
    main()
