"""``python -m nbnet run``: a script runs as with plain Python."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def run(folder: Path, *arguments: str, nbnet: bool = True) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *(["-m", "nbnet", "run"] if nbnet else []), *arguments]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120)


OLD_SCRIPT = """
import numpy as np
from keras.layers.core import Dense, Dropout
from keras.models import Sequential
from keras.optimizers import SGD
from keras.utils import np_utils

x, y = np.random.rand(40, 4), np_utils.to_categorical(np.arange(40) % 3, 3)
model = Sequential()
model.add(Dense(output_dim=8, init="uniform", input_dim=4, activation="relu"))
model.add(Dropout(p=0.2))
model.add(Dense(3, activation="softmax"))
model.compile(SGD(lr=0.1, decay=1e-3), "categorical_crossentropy", metrics=["accuracy"])
history = model.fit(x, y, nb_epoch=2, verbose=0)
print(len(history.history["acc"]), model.predict_classes(x).shape)
"""


def test_a_script_for_keras_1_runs_and_each_old_name_is_told_once(tmp_path: Path) -> None:
    (tmp_path / "old.py").write_text(OLD_SCRIPT)
    done = run(tmp_path, "old.py")
    assert (done.returncode, done.stdout) == (0, "2 (40,)\n"), done.stderr
    told = [line.partition("DeprecationWarning: ")[2] for line in done.stderr.splitlines() if "Deprecation" in line]
    assert "keras.utils.np_utils is an old name: today it is keras.utils" in told
    assert "Dense(output_dim=...) is an old name: today it is units=..." in told
    assert len(told) == len(set(told)) == 10


#: Each prints, or ends with, what it would under plain Python.
SAME = {
    "arguments": "import sys; print(sys.argv, __name__, __package__, __spec__, sys.path[0])",
    "exit status": "import sys; print('before'); sys.exit(7)",
    "exit message": "raise SystemExit('no data')",
    "error": "def f(x):\n    return 1 / x\n\n\nif __name__ == '__main__':\n    f(0)\n",
    "chained error": "try:\n    {}['a']\nexcept KeyError as error:\n    raise ValueError('b') from error\n",
    "syntax error": "print('a'\nx = 1\n",
    "beside": "import beside; print(beside.VALUE)",
    "pickle": "import pickle\nclass A: pass\nprint(type(pickle.loads(pickle.dumps(A()))) is A)",
    "at exit": "import atexit\nvalue = 3\natexit.register(lambda: print(value))",
    "interrupt": "import os, signal\nos.kill(os.getpid(), signal.SIGINT)\n",
    "spawn": "import multiprocessing as mp\ndef f(x):\n    return x + 1\n"
    "if __name__ == '__main__':\n    with mp.get_context('spawn').Pool(1) as p:\n        print(p.map(f, [1, 2]))\n",
}


@pytest.mark.parametrize("name", SAME)
def test_all_else_is_as_with_plain_python(tmp_path: Path, name: str) -> None:
    (tmp_path / "beside.py").write_text("VALUE = 5\n")
    (tmp_path / "script.py").write_text(SAME[name])
    ours, plain = (
        run(tmp_path, "script.py", "a", "-b", "--help"),
        run(tmp_path, "script.py", "a", "-b", "--help", nbnet=False),
    )
    assert (ours.returncode, ours.stdout, ours.stderr) == (plain.returncode, plain.stdout, plain.stderr)


@pytest.mark.parametrize("arguments", [("-m", "part"), ("-m", "package", "x"), ("-m", "package.part")])
def test_modules_run_as_with_plain_python(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    (tmp_path / "package").mkdir()
    text = "import sys; print(sys.argv, __name__, __package__, __spec__.name, __file__)"
    for name in ("part.py", "package/__main__.py", "package/part.py"):
        (tmp_path / name).write_text(text)
    (tmp_path / "package" / "__init__.py").write_text("")
    ours, plain = run(tmp_path, *arguments), run(tmp_path, *arguments, nbnet=False)
    assert ours.returncode == 0
    assert (ours.stdout, ours.stderr) == (plain.stdout, plain.stderr)


def test_processes_that_a_script_spawns_find_nbnet(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(
        "import multiprocessing as mp\nimport tensorflow as tf\nfrom keras import layers\n"
        "def f(units):\n    return type(layers.Dense(units)).__module__, tf.keras.layers.Dense is layers.Dense\n"
        "if __name__ == '__main__':\n    with mp.get_context('spawn').Pool(1) as p:\n        print(p.map(f, [1]))\n"
    )
    done = run(tmp_path, "script.py")
    assert done.stdout == "[('nbnet.layers.dense', True)]\n", done.stderr


def test_nbnet_alone_loads_nothing_of_it_and_an_installation_only_the_tables(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(
        "import sys, nbnet\n"
        "def loaded():\n    return sorted(m[15:] for m in sys.modules if m.startswith('nbnet.as_keras.'))\n"
        "print(loaded())\nnbnet.install_as_keras()\nprint(loaded())\n"
    )
    done = run(tmp_path, "script.py", nbnet=False)
    assert done.stdout == "[]\n['finder', 'old_keras', 'places', 'tf', 'tf.tensors']\n", done.stderr


@pytest.mark.parametrize(
    ("arguments", "status", "text"),
    [
        ((), 2, "usage"),
        (("-x",), 2, "usage"),
        (("-m",), 2, "usage"),
        (("nowhere.py",), 2, "can't open file"),
        (("-m", "no_such_module"), 1, "No module named no_such_module"),
    ],
)
def test_what_cannot_be_run_is_refused(tmp_path: Path, arguments: tuple[str, ...], status: int, text: str) -> None:
    done = run(tmp_path, *arguments)
    assert done.returncode == status
    assert text in done.stderr
