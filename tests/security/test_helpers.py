"""Processes that compile or read HDF5 for another run nothing that it would not, and their answers are checked."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import textwrap
import zipfile
from collections import deque
from collections.abc import Callable
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import numpy as np
import pytest

import nbnet as nb
from nbnet.base import processes
from nbnet.engine.jit import compile_pool, compiler, disk_cache, linker
from nbnet.engine.jit.compiler import compile_function, is_object, object_key, object_symbol
from nbnet.engine.jit.function import Function, Kernel
from nbnet.engine.kernels.abi import device, vec
from tests.engine.toys import F32, compiled_only

pytestmark = compiled_only
ROOT = Path(nb.__file__).parents[1]

#: Names of modules that Python, the worker, NumPy or Numba import, or might.
BAIT = (
    "pickle", "json", "signal", "threading", "struct", "site", "sitecustomize", "usercustomize", "numba", "numpy",
    "llvmlite", "cloudpickle", "yaml", "colorama", "scipy", "encodings/__init__", "importlib/__init__",
    "nbnet/__init__", "nbnet/engine/jit/compile_pool", "_posixsubprocess", "gc", "atexit", "runpy", "h5py", "math",
    "hashlib", "secrets", "resource", "subprocess", "typing", "re", "nbnet/base/hdf5_file", "_h5py", "mpi4py",
)  # fmt: skip

# Has a worker compile a kernel; prints True if it did. It runs on earlier versions, too.
COMPILE = """
import hashlib, os, sys
sys.path.insert(0, {root!r})
from collections import deque
from queue import SimpleQueue
import numpy as np
from numba import cloudpickle
from nbnet.engine.jit import compile_pool, linker
from nbnet.engine.jit.compiler import environment
from nbnet.engine.kernels.abi import kernel, vec

@kernel
def add(mem, ins, step):
    vec(mem, ins, 0)[0] += 1.0

def main():
    dtype, ready = np.dtype("float32"), SimpleQueue()
    symbol = "nbnet_" + hashlib.sha256((environment() + linker.fingerprint(add, dtype)).encode()).hexdigest()
    compile_pool._feed_worker([add], dtype, [symbol], deque([add]), ready)
    print(ready.get()[1] is not None)
"""


# Has a helper read HDF5; prints True if it did.
READ = """
import os, runpy, sys
sys.path.insert(0, {root!r})
import numpy as np
from nbnet.base.hdf5_file import write_hdf5
from nbnet.base.hdf5_file import read_hdf5
content = write_hdf5({{"a": np.arange(3.0)}})

def main():
    print(read_hdf5(content, "some.h5").arrays["a"].sum() == 3.0)
"""


class Trap:
    """A folder with modules of well-known names, which leave a note when they run, and a clean folder."""

    def __init__(self, folder: Path, code: str) -> None:
        self.bait, self.clean, self.notes = folder / "bait", folder / "clean", folder / "notes.txt"
        self.clean.mkdir(parents=True)
        self.code = code.format(root=str(ROOT))
        for name in BAIT:
            path = self.bait / f"{name}.py"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"with open({str(self.notes)!r}, 'a') as notes:\n    notes.write({name!r} + ' ')\n")
        self.chdir = f"os.chdir({str(self.bait)!r})\n"

    def write(self, name: str, code: str) -> Path:
        path = self.clean / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(code)
        return path

    def run(self, *arguments: str, cwd: Path | None = None, stdin: str = "", **environment: str) -> str:
        """The output of Python, started in the folder of traps or another one."""
        merged = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
        process = subprocess.run(
            [sys.executable, *arguments], cwd=cwd or self.bait, input=stdin, capture_output=True, text=True,
            timeout=300, env=merged | environment, check=False,
        )  # fmt: skip
        assert process.returncode == 0, process.stderr
        return process.stdout.strip()

    def ran(self) -> str:
        return self.notes.read_text() if self.notes.exists() else ""


@pytest.fixture
def trap(tmp_path: Path) -> Trap:
    return Trap(tmp_path, COMPILE)


def script(trap: Trap) -> str:
    return trap.run(str(trap.write("script.py", trap.code + "main()")))


def command_that_isolates(trap: Trap) -> str:
    return trap.run("-I", "-c", trap.code + "main()")


def safe_path(trap: Trap) -> str:
    return trap.run("-P", "-c", trap.code + "main()")


def safe_path_by_variable(trap: Trap) -> str:
    return trap.run("-c", trap.code + "main()", PYTHONSAFEPATH="1")


def command_that_moves(trap: Trap) -> str:
    """The first entry of the path is the empty one."""
    return trap.run("-c", trap.code + trap.chdir + "main()", cwd=trap.clean)


def standard_input_that_moves(trap: Trap) -> str:
    return trap.run("-", stdin=trap.code + trap.chdir + "main()", cwd=trap.clean)


def module_that_moves(trap: Trap) -> str:
    trap.write("package/run.py", trap.code + trap.chdir + "main()")
    return trap.run("-m", "package.run", cwd=trap.clean)


def notebook_that_moves(trap: Trap) -> str:
    """IPython puts the empty entry first."""
    code = "import sys\nsys.path.insert(0, '')\n" + trap.code + trap.chdir + "main()"
    return trap.run(str(trap.write("script.py", code)), cwd=trap.clean)


def zip_of_an_application(trap: Trap) -> str:
    with zipfile.ZipFile(trap.clean / "app.pyz", "w") as archive:
        archive.writestr("__main__.py", trap.code + "main()")
    return trap.run(str(trap.clean / "app.pyz"))


def relative_zip_that_moves(trap: Trap) -> str:
    with zipfile.ZipFile(trap.clean / "app.pyz", "w") as archive:
        archive.writestr("__main__.py", trap.code + trap.chdir + "main()")
    return trap.run("app.pyz", cwd=trap.clean)


def path_of_here(trap: Trap) -> str:
    code = trap.code + "sys.path.insert(0, '.')\n" + trap.chdir + "main()"
    return trap.run(str(trap.write("script.py", code)), cwd=trap.clean, PYTHONPATH=".")


def empty_entries_of_the_variable(trap: Trap) -> str:
    code = trap.code + trap.chdir + "main()"
    return trap.run(str(trap.write("script.py", code)), cwd=trap.clean, PYTHONPATH=os.pathsep)


def variables_that_are_ignored(trap: Trap) -> str:
    bait = str(trap.bait)
    variables = {
        "PYTHONPATH": bait,
        "PYTHONHOME": bait,
        "PYTHONSTARTUP": str(trap.bait / "pickle.py"),
        "PYTHONBREAKPOINT": "yaml.load",
        "PYTHONUSERBASE": bait,
    }
    return trap.run("-E", str(trap.write("script.py", trap.code + "main()")), **variables)


def run_as_keras(trap: Trap) -> str:
    made = trap.write("script.py", trap.code + "main()")
    return trap.run("-P", "-m", "nbnet", "run", str(made), PYTHONPATH=str(ROOT))


def without_site(trap: Trap) -> str:
    code = f"import sys\nsys.path += {[path for path in sys.path if 'site-packages' in path]}\n{trap.code}main()"
    return trap.run("-S", str(trap.write("script.py", code)))


def path_that_comes_late(trap: Trap) -> str:
    """This process has imported its modules, and would not look there for another one of that name."""
    code = f"{trap.code}\nsys.path.insert(0, {str(trap.bait)!r})\nmain()"
    for name in ("yaml", "colorama", "scipy", "cloudpickle"):  # those this process has not imported
        (trap.bait / f"{name}.py").unlink()
    return trap.run(str(trap.write("script.py", code)))


@pytest.mark.parametrize(
    "start",
    [
        script, safe_path, command_that_moves, path_that_comes_late,
        *(
            pytest.param(way, marks=pytest.mark.slow)
            for way in (
                command_that_isolates, safe_path_by_variable, standard_input_that_moves, module_that_moves,
                notebook_that_moves, zip_of_an_application, relative_zip_that_moves, path_of_here,
                empty_entries_of_the_variable, variables_that_are_ignored, run_as_keras, without_site,
            )
        ),
    ],
)  # fmt: skip
@pytest.mark.parametrize("code", [COMPILE, READ], ids=["compile", "read"])
def test_a_helper_runs_nothing_of_the_working_directory(
    start: Callable[[Trap], str], code: str, tmp_path: Path
) -> None:
    trap = Trap(tmp_path, code)
    assert start(trap) == "True"
    assert trap.ran() == ""


def signals_of_children(trap: Trap, handler: str) -> str:
    return trap.run("-c", f"import os, signal\nsignal.signal(signal.SIGCHLD, {handler})\n{trap.code}main()")


#: Ways to start Python in which a helper must do its work, too.
ODD: dict[str, Callable[[Trap], str]] = {
    "warnings": lambda trap: trap.run("-W", "error", "-bb", "-c", trap.code + "main()", PYTHONWARNINGS="error"),
    "encodings": lambda trap: trap.run("-c", trap.code + "main()", LC_ALL="C", PYTHONUTF8="0", PYTHONIOENCODING="gbk"),
    "optimized": lambda trap: trap.run("-OO", "-v", "-X", "importtime", "-c", trap.code + "main()"),
    "children ignored": lambda trap: signals_of_children(trap, "signal.SIG_IGN"),
    "children reaped": lambda trap: signals_of_children(trap, "lambda *_: os.waitpid(-1, os.WNOHANG)"),
    "memory limited": lambda trap: trap.run(
        "-c", f"import resource\nresource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))\n{trap.code}main()"
    ),
    "time limited": lambda trap: trap.run(
        "-c", f"import resource\nresource.setrlimit(resource.RLIMIT_CPU, (30, 30))\n{trap.code}main()"
    ),
    "nothing open": lambda trap: trap.run(
        "-c", f"import os\nout = os.dup(1)\nfor k in range(3): os.close(k)\n{trap.code}"
        "import contextlib, io\nwith contextlib.redirect_stdout(io.StringIO()) as said: main()\n"
        "os.write(out, said.getvalue().encode())",
    ),
}  # fmt: skip


@pytest.mark.skipif(sys.platform == "win32", reason="limits and signals of POSIX")
@pytest.mark.parametrize("way", ODD)
def test_hdf5_is_read_however_python_was_started(way: str, tmp_path: Path) -> None:
    trap = Trap(tmp_path / "é", READ)
    trap.bait = trap.clean
    assert ODD[way](trap) == "True"


@pytest.mark.slow
def test_a_first_training_runs_nothing_of_the_working_directory(trap: Trap, tmp_path: Path) -> None:
    code = f"""
        import sys
        sys.path.insert(0, {str(ROOT)!r})
        import numpy as np
        import nbnet as nb

        model = nb.Sequential([nb.Input((3,)), nb.layers.Dense(4, "relu"), nb.layers.Dropout(0.5), nb.layers.Dense(1)])
        model.compile("adam", "mse")
        print(model.fit(np.ones((8, 3)), np.ones(8), verbose=0).history["loss"][0] >= 0)
    """
    made = trap.write("script.py", textwrap.dedent(code))
    assert trap.run(str(made), NBNET_CACHE_DIR=str(tmp_path / "cache"), NBNET_NUM_THREADS="4") == "True"
    assert trap.ran() == ""


@pytest.mark.skipif(not Path("/proc/self/cwd").exists(), reason="reads the working directory in /proc")
def test_a_worker_has_left_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    worker = compile_pool._start()
    try:
        assert Path(os.readlink(f"/proc/{worker.pid}/cwd")) == Path(sys.executable).parent.resolve()
    finally:
        processes.end_helper(worker)


def test_a_worker_starts_where_there_is_no_working_directory(trap: Trap) -> None:
    gone = trap.clean / "gone"
    gone.mkdir()
    code = trap.code + f"os.chdir({str(gone)!r})\nos.rmdir({str(gone)!r})\nmain()"
    assert trap.run("-c", code, cwd=trap.clean) == "True"


def test_modules_are_looked_for_where_this_process_has_found_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine_for_a_test.py").write_text("")
    monkeypatch.setattr(sys, "path", ["", "relative", *sys.path])
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "mine_for_a_test", raising=False)
    __import__("mine_for_a_test")
    monkeypatch.chdir(tmp_path.parent)
    places = processes._places(["numba"])
    del sys.modules["mine_for_a_test"]
    assert places["mine_for_a_test"] == [str(tmp_path)]
    assert places["numpy"] == [str(Path(np.__file__).parents[1])]
    assert places["numba"]
    assert not places.keys() & {"json", "pickle", "encodings", "__main__"}
    assert all(os.path.isabs(folder) for folders in places.values() for folder in folders)


# ---- what a worker is handed, and what it answers -----------------------------------------------------------------


@device
def half(v: Any) -> Any:
    return v * 0.5


def scaled(factor: float) -> Kernel:
    def made(mem: Any, ins: Any, step: Any) -> None:
        x, y = vec(mem, ins, 0), vec(mem, ins, 1)
        for i in range(x.size):
            y[i] = half(x[i]) * factor

    return Kernel(made, "scaled")


def symbol(function: Function) -> str:
    return object_symbol(object_key(function, F32))


def test_a_worker_compiles_only_what_was_asked_for() -> None:
    made, other = scaled(3.0), scaled(5.0)
    code = compile_pool._compiled(made, F32, symbol(made))
    assert is_object(code, symbol(made))
    assert compile_pool._compiled(made, F32, symbol(other)) == b""


# Programs in place of a worker, which find the real answer, and a file to leave a note in, in the environment.
ANSWERS = {
    "the right code": "send(right)",
    "a pickle that runs code": """
        import os, pickle
        class Note:
            def __reduce__(self):
                return open, (os.environ["NBNET_TEST_NOTE"], "w")
        answer = pickle.dumps(Note())
        sys.stdout.buffer.write(answer)
    """,
    "a pickle in a frame": """
        import os, pickle
        class Note:
            def __reduce__(self):
                return open, (os.environ["NBNET_TEST_NOTE"], "w")
        send(pickle.dumps(Note()))
    """,
    "an endless message": "sys.stdout.buffer.write(b'\\xff' * 100)",
    "half of a message": "sys.stdout.buffer.write((1000).to_bytes(8, 'little') + b'x' * 500)",
    "no object": "send(b'x' * 1000)",
    "nothing": "send(b'')",
    "an object of another processor": "send(right[:18] + b'\\x08\\x00' + right[20:])",
    "the code of another kernel": "send(other)",
    "an archive": "send(b'!<arch>' + right)",
}


@pytest.mark.parametrize("answer", ANSWERS)
def test_what_a_worker_answers_is_checked(answer: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made, another = scaled(7.0), scaled(11.0)
    for name, function in (("right", made), ("other", another)):
        (tmp_path / name).write_bytes(compile_function(function, F32, symbol(function)))
    head = """
        import os, pathlib, sys, time
        folder = pathlib.Path(os.environ["NBNET_TEST_NOTE"]).parent
        right, other = (folder / "right").read_bytes(), (folder / "other").read_bytes()

        def send(content):
            sys.stdout.buffer.write(len(content).to_bytes(8, "little") + content)
    """
    code = textwrap.dedent(head) + textwrap.dedent(ANSWERS[answer])
    monkeypatch.setenv("NBNET_TEST_NOTE", str(tmp_path / "note"))
    # It reads on, so that what it is sent arrives.
    monkeypatch.setattr(processes, "_SCRIPT", code + "\nsys.stdout.flush()\nos.close(1)\nsys.stdin.buffer.read()")
    ready: SimpleQueue[tuple[Function, bytes | None]] = SimpleQueue()
    compile_pool._feed_worker([made], F32, [symbol(made)], deque([made]), ready)
    right = (tmp_path / "right").read_bytes() if answer == "the right code" else None
    assert ready.get(timeout=60) == (made, right)
    assert not (tmp_path / "note").exists()


def test_the_check_accepts_what_is_right() -> None:
    made = scaled(13.0)
    code = compile_function(made, F32, symbol(made))
    assert is_object(code, symbol(made))
    for damaged in (b"", code[:10], b"\0" + code, pickle.dumps(code)):
        assert not is_object(damaged, symbol(made))


def test_sealed_bytes_that_are_no_object_are_compiled_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    linker.link([scaled(1.0)], F32)  # with what every kernel needs
    monkeypatch.setenv("NBNET_CACHE_DIR", str(tmp_path / "cache"))
    disk_cache.folder.cache_clear()
    try:
        made = scaled(17.0)
        disk_cache.write(made.name, object_key(made, F32), b"x" * 500)
        before = linker.compiled_count
        (address,) = linker.link([made], F32)
        assert address
        assert linker.compiled_count > before
        assert is_object(disk_cache.read(made.name, object_key(made, F32)) or b"", symbol(made))
    finally:
        disk_cache.folder.cache_clear()


@pytest.mark.parametrize("address", [0, None])
def test_a_symbol_without_an_address_is_refused(address: Any) -> None:
    with pytest.raises(linker.KernelError, match=r"nbnet_test: expected the address of a function, got (0|None)"):
        compiler.define_symbol("nbnet_test", address)
