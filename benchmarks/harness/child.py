"""Measurements in a child process that leaves a traceback, and a core file, if it crashes."""

from __future__ import annotations

import faulthandler
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

#: Where Linux says how core files are named.
_CORE_PATTERN = Path("/proc/sys/kernel/core_pattern")


def record_crashes() -> None:
    """Have this process write the tracebacks of all threads, and a core file as large as it may be, if it crashes."""
    faulthandler.enable(all_threads=True)
    try:
        import resource
    except ImportError:  # Windows has no limits of this kind.
        return
    _, most = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (most, most))


def core_place(folder: Path) -> str:
    """Return the place of the core file of a process that runs in a folder, as far as the system says it."""
    pattern = _CORE_PATTERN.read_text().strip() if _CORE_PATTERN.exists() else ""
    if not pattern:
        return "this system does not say where core files are"
    if pattern.startswith("|"):
        return f"core files are handed to the program {pattern[1:].split()[0]}"
    return f"core file: {folder / pattern} (pattern; %p is the process, and its number may be added)"


def run_child(module: str, arguments: Sequence[str]) -> str:
    """Run ``python -m module arguments`` in a child process, and return its output.

    Raises
    ------
    RuntimeError
        If the child ends with an error: with its status or the signal that ended it, the place of the core file, and
        what the child has written to its standard error.

    Examples
    --------
    >>> run_child("platform", ["--terse"]) != ""
    True
    """
    command = [sys.executable, "-X", "faulthandler", "-m", module, *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        out, err = child.communicate()
    if child.returncode == 0:
        sys.stderr.write(err)
        return out
    reason = f"status {child.returncode}"
    if child.returncode < 0:
        name = signal.Signals(-child.returncode).name
        reason = f"signal {name}; {core_place(Path(os.getcwd()))}"
    raise RuntimeError(f"process {child.pid} of {module} has ended with {reason}\n{out}{err}")
