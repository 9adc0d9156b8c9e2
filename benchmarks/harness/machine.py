"""The machine and the software that a measurement was made with."""

from __future__ import annotations

import os
import platform
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_info

PACKAGES = ("nbnet", "numpy", "numba", "llvmlite")


def describe(*others: str) -> dict[str, Any]:
    """Processor, load, versions, those of other packages too, and the BLAS that NumPy and nbnet multiply with."""
    packages = (*PACKAGES, *others)
    return {
        "processor": _processor(),
        "processors": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "load": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
        "system": platform.platform(terse=True),
        "versions": {"python": platform.python_version()} | {name: _version(name) for name in packages},
        "blas": _blas(),
    }


def lines(machine: dict[str, Any]) -> list[str]:
    """The same for a reader."""
    return [
        f"{machine['processor']}, {machine['processors']} processors, load {machine['load']}, {machine['system']}",
        ", ".join(f"{name} {version}" for name, version in machine["versions"].items()),
        blas(machine),
    ]


def blas(machine: dict[str, Any]) -> str:
    """Its BLAS, for a reader."""
    found = machine["blas"]
    return f"BLAS {found['name']} {found['version']} ({found['architecture']}), {found['threads']} threads"


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:  # run from its folder, not installed
        return str(getattr(__import__(package), "__version__", "?"))


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _blas() -> dict[str, Any]:
    """NumPy's; SciPy may have brought one of its own."""
    loaded = [info for info in threadpool_info() if info["user_api"] == "blas"]
    folders = [str(Path(np.__file__).parent), str(Path(np.__file__).parent.parent / "numpy.libs")]
    numpys = [info for info in loaded if str(info["filepath"]).startswith(tuple(folders))]
    info: dict[str, Any] = next(iter([*numpys, *loaded]), {})
    return {
        "name": info.get("internal_api", "unknown"),
        "version": info.get("version") or "?",
        "architecture": info.get("architecture", "?"),
        "threads": info.get("num_threads", 0),
    }
