"""The comparison with other libraries: all learn the same, take turns, and are found in the tables."""

from __future__ import annotations

import importlib.util
import json
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.harness.record import Record
from benchmarks.numpy_mlp.plain import NumpyMLP
from benchmarks.peers import (
    command,
    driver,
    findings,
    limits,
    pictures,
    report,
    rounds,
    searching,
    tables,
    training,
)
from benchmarks.peers.driver import Peer, PeerError, process, together
from benchmarks.peers.exercise import Network, load
from benchmarks.peers.libraries import LIBRARIES, OURS
from benchmarks.peers.rounds import OutOfTime, Session
from benchmarks.peers.tasks import alone, memory, predict, search, sizes, startup, train
from benchmarks.peers.timing import median_time, peak_memory
from benchmarks.peers.worker import Worker
from nbnet.engine.jit import linker

needs_jit = pytest.mark.skipif(linker.DISABLE_JIT, reason="trains hundreds of steps")


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rounds, "PAUSE", 0.0)


def session(folder: Path, **changes: Any) -> Session:
    given: dict[str, Any] = {"names": [OURS, "torch"], "pythons": {}, "rounds": 3, "seconds": 0.1, "folder": folder}
    return Session(record=Record(folder / "task.jsonl"), quick=True, **given | changes)


def seconds(value: float) -> findings.Found:
    return {"seconds": value, "epochs": 1, "steps": 1, "setting": "fit"}


def fails() -> findings.Found:
    raise PeerError("torch: out of memory")


# Training


def test_an_exercise_survives_its_file(tmp_path: Path) -> None:
    made = training.exercise("digits", 40, hidden_dropout=0.25, batchwise=True)
    found = load(made.save(tmp_path / "digits.npz"))
    assert found.network == made.network
    assert found.network.rates() == [0.0, 0.25, 0.25]
    assert (len(found.x), found.steps) == (40, 2)
    assert set(found.y) == set(range(10))
    for a, b in zip([found.x, found.y, *found.weights], [made.x, made.y, *made.weights], strict=True):
        np.testing.assert_array_equal(a, b)


def reference(made: Any, epochs: int) -> list[float]:
    net = made.network
    model = NumpyMLP(net.sizes, made.weights[::2], made.weights[1::2], dtype=net.dtype)
    order = np.arange(len(made.x))
    return [model.train_epoch(made.x, made.y, order, net.batch_size) for _ in range(epochs)]


@needs_jit
@pytest.mark.filterwarnings("ignore")  # of other libraries
@pytest.mark.parametrize("name", LIBRARIES)
def test_a_library_learns_what_numpy_learns_and_starts_again(name: str) -> None:
    library = LIBRARIES[name]
    for needed in (library.imports.split(".")[0], name.split("-")[-1]):
        if importlib.util.find_spec(needed) is None:
            pytest.skip(f"{library.label}: {needed} is missing (the extra 'peers')")
    if name.startswith("keras-") or name == "jax":
        pytest.skip(f"{library.label} needs variables of its process: see the slow test")
    # Adam's epsilon stands elsewhere in PyTorch; with this one it makes no difference.
    made = training.exercise("digits", 80, dtype="float64", hidden_dropout=0.0, shuffle=False, epsilon=1e-12)
    expected = reference(made, 2)
    module = library.load()
    setting = next(iter(module.settings(made.network).values()))
    learner = module.start(made, **setting)
    for _ in range(2):
        assert learner.train(2) == pytest.approx(expected, rel=1e-3)
        learner.reset()
    learner.train(2)
    for way in learner.predictors(3).values():
        np.testing.assert_allclose(np.sum(way(made.x[:3]), axis=1), 1, rtol=1e-6)


@needs_jit
def test_shared_masks_and_penalties_reach_nbnet() -> None:
    module = LIBRARIES[OURS].load()
    made = training.exercise("digits", 64, batchwise=True, penalty=0.1)
    learner = module.start(made)
    dropped = [layer for layer in learner.model.layers if layer.name.startswith("dropout")]
    assert [layer.get_config()["batchwise"] for layer in dropped] == [True, True]
    plain = module.start(replace(made, network=replace(made.network, penalty=0.0).without_dropout()))
    assert learner.train(1)[0] > plain.train(1)[0] + 1


# Processes


def test_a_process_answers_and_survives_a_mistake(tmp_path: Path) -> None:
    made = training.exercise("tiny", 32).save(tmp_path / "tiny.npz")
    peer = Peer(OURS)
    try:
        assert set(peer.ask("versions")) >= {"python", "nbnet", "numpy"}
        with pytest.raises(PeerError, match=r"nbnet: AttributeError: .*nonsense"):
            peer.ask("nonsense")
        assert peer.ask("start", exercise=str(made)) == {"setting": "fit", "tried": {}}
        found = peer.ask("train", epochs=2)
        assert found["seconds"] > 0
        assert found["times"] == 1
        assert found["loss"] > 0
        assert peer.ask("losses", epochs=1)[0] > 0
        assert peer.ask("predict", way="predict", rows=1, seconds=0.0)["seconds"] > 0
        outputs = peer.ask("probabilities", rows=3)
        assert list(outputs) == ["predictor", "predict"]
        for found in outputs.values():
            np.testing.assert_allclose(np.sum(found, axis=1), 1, rtol=1e-5)
        assert peer.ask("alone", what="adam", arguments=[[[3, 2], [2]]]) == ["apply", "program"]
        assert peer.ask("time", way="program", seconds=0.0)["seconds"] > 0
    finally:
        peer.close()


def test_libraries_that_are_not_there_are_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    nowhere = str(tmp_path / "python")
    dies = tmp_path / "dies"
    dies.write_text("#!/bin/sh\necho dead on arrival >&2\nexit 3\n")
    dies.chmod(0o755)
    with together(["torch", "jax"], {"torch": nowhere, "jax": str(dies)}) as (peers, missing):
        assert not peers
    assert nowhere in missing["torch"]
    assert "ended with 3: dead on arrival" in missing["jax"]
    doing = session(tmp_path).without(missing).without(missing)
    assert doing.present == [OURS]
    assert capsys.readouterr().out.count("left out: torch") == 1


def test_processes_that_fail_say_why() -> None:
    assert process({}, OURS, "-c", "print(7)") == "7\n"
    with pytest.raises(PeerError, match="nbnet: the process ended with 1: ValueError: no"):
        process({}, OURS, "-c", "raise ValueError('no')")


def hangs(seconds: float) -> list[str]:
    """Of a process that starts another one, which both take their time."""
    code = "import subprocess, sys, time; subprocess.Popen(['sleep', '{0}']); print('begun'); time.sleep({0})"
    return ["-c", code.format(seconds)]


def test_who_does_not_answer_is_given_up_and_begun_anew(tmp_path: Path) -> None:
    made = training.exercise("tiny", 32).save(tmp_path / "tiny.npz")
    peer = Peer(OURS)
    try:
        peer.ask("start", exercise=str(made))
        with pytest.raises(PeerError, match=r"nbnet: no answer to predict within 0\.2 seconds"):
            peer.ask("predict", 0.2, way="predict", rows=1, seconds=60)
        with pytest.raises(PeerError, match="'Worker' object has no attribute"):
            peer.ask("train", epochs=1)
        assert peer.ask("start", exercise=str(made))["setting"] == "fit"
    finally:
        peer.close()
    began = time.monotonic()
    with pytest.raises(PeerError, match=r"did not end within 0\.3 seconds"):
        process({}, OURS, *hangs(60), patience=0.3)
    assert time.monotonic() - began < 30


def test_processes_take_all_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NBNET_NUM_THREADS", "1")
    assert process({}, OURS, "-c", "import os; print(os.environ.get('NBNET_NUM_THREADS'))") == "None\n"


def test_time_and_memory() -> None:
    calls: list[int] = []
    assert median_time(calls.append, 0.0, [(1,), (2,)]) >= 0
    assert calls == [1]
    peak = peak_memory()
    assert peak is None or 10 < peak < 1e6


# Rounds


def test_rounds_are_played_in_turn_and_go_on_where_they_stopped(tmp_path: Path) -> None:
    order: list[str] = []

    def turn(name: str) -> findings.Found:
        order.append(name)
        return seconds(len(order))

    turns = {name: partial(turn, name) for name in (OURS, "torch", "jax")}
    first = {name: turns[name] for name in (OURS, "torch")}
    session(tmp_path, rounds=2).play("a", first, {})
    assert order == ["torch", OURS, OURS, "torch"]
    doing = session(tmp_path)
    assert doing.due(["a"]) == [OURS, "torch"]
    doing.play("a", first, {})
    assert doing.due(["a"]) == []
    assert doing.due(["a", "b"]) == [OURS, "torch"]
    # A library that comes later takes turns with nbnet again.
    assert doing.due(["a"], [OURS, "torch", "jax"]) == [OURS, "jax"]
    session(tmp_path, rounds=1).play("a", turns, {})
    assert order[4:] == ["torch", OURS, OURS, "jax"]
    assert findings.cases(doing.record) == ["a"]
    found = findings.values(doing.record, "a", lambda found: found["seconds"])
    assert found == {OURS: [2, 3, 6, 7], "torch": [1, 4, 5, None], "jax": [None, None, None, 8]}


def test_who_fails_has_no_more_turns_and_is_named(tmp_path: Path) -> None:
    calls: list[int] = []

    def turn() -> findings.Found:
        calls.append(1)
        return fails()

    doing = session(tmp_path)
    turns = {OURS: lambda: seconds(2e-6), "torch": turn}
    doing.play("a", turns, {OURS: {"nbnet": "0"}})
    assert len(calls) == 1
    assert doing.due(["a"]) == []
    assert findings.errors(doing.record, "a") == {"torch": "torch: out of memory"}
    assert findings.values(doing.record, "a", training.step_time)["torch"] == [None] * 3
    assert "out of memory" in tables.detailed(doing.record, ["a"], training.step_time, "µs")
    again = replace(doing, retry=True)
    assert again.due(["a"]) == [OURS, "torch"]
    again.play("a", turns | {"torch": lambda: seconds(4e-6)}, {})
    assert again.due(["a"]) == []
    assert findings.errors(doing.record, "a") == {}


def test_ways_count_as_turns_of_their_library(tmp_path: Path) -> None:
    doing = session(tmp_path, rounds=1)
    doing.play("a", {OURS: lambda: seconds(1), "torch, 1 thread": lambda: seconds(2), "torch, traced": fails}, {})
    assert doing.due(["a"]) == []
    assert list(findings.errors(doing.record, "a")) == ["torch, traced"]


def test_no_round_begins_that_would_not_be_over_in_time(tmp_path: Path) -> None:
    doing = session(tmp_path, deadline=time.monotonic() + 0.1)
    with pytest.raises(OutOfTime):
        doing.play("a", {OURS: lambda: time.sleep(0.06) or seconds(1)}, {})
    assert len(findings.rounds(doing.record, "a")) == 1
    with pytest.raises(OutOfTime):
        training.start(replace(doing, deadline=0.0), "tiny", training.exercise("tiny", 32), {OURS: None})  # type: ignore[dict-item]


# Tables


def test_tables_hold_medians_and_ratios_of_rounds(tmp_path: Path) -> None:
    doing = session(tmp_path)
    mine, theirs = iter([1e-6, 2e-6, 3e-6]), iter([2e-6, 6e-6, 30e-6])
    doing.play("a", {OURS: lambda: seconds(next(mine)), "torch": lambda: seconds(next(theirs))}, {})
    # The first round is torch's first, and nobody's other.
    lines = tables.overview(doing.record, ["a"], training.step_time, "µs").splitlines()
    assert lines[0] == "| µs | a |"
    assert lines[2:] == ["| nbnet | 2.00 |", "| PyTorch | 6.00 (3.00) |"]
    detail = tables.detailed(doing.record, ["a"], training.step_time, "µs").splitlines()[-1]
    assert detail == "| a | PyTorch | fit | 6.00 [2.00 - 30.00] | 3.00 [2.00 - 10.00] | 3 |"


def test_labels() -> None:
    assert tables.label("keras-jax, predict") == "Keras on JAX, predict"
    assert tables.label("BLAS alone") == "BLAS alone"
    assert tables.in_order(["BLAS alone", "jax", "torch, traced", OURS, "jax"]) == [
        OURS,
        "torch, traced",
        "jax",
        "BLAS alone",
    ]


def test_the_summary_shows_the_fastest_keras(tmp_path: Path) -> None:
    doing = session(tmp_path, rounds=2)
    turns = {OURS: lambda: seconds(1.0), "keras-jax": lambda: seconds(9.0), "keras-torch": lambda: seconds(20.0)}
    doing.play("a", turns | {"torch": lambda: seconds(3.0)}, {})
    assert tables.summary(doing.record, ["a"], training.step_time).splitlines() == [
        "| network | nbnet | PyTorch | JAX | Keras | scikit-learn |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
        "| a | 1,000,000 | 3,000,000 (3.00) | - | 9,000,000 (9.00) | - |",
    ]


def test_text_between_markers(tmp_path: Path) -> None:
    doing = session(tmp_path)
    doing.play("tiny", {OURS: lambda: seconds(1e-6)}, {OURS: {"nbnet": "1.2"}})
    text = "a\n<!-- peers train:begin -->\nold\n<!-- peers train:end -->\nb\n"
    text += "<!-- peers summary:begin -->\n<!-- peers summary:end -->\n"
    empty = Record(tmp_path / "none.jsonl")
    assert report.filled(text, {"train": (train, empty)}) == text
    found = report.filled(text, {"train": (train, doing.record), "predict": (predict, empty)})
    assert found.startswith("a\n<!-- peers train:begin -->\n| µs/step | tiny |")
    assert "<!-- peers train:end -->\nb\n" in found
    assert "| tiny | 1.00 | - |" in found
    text = "<!-- peers pictures:begin -->\n<!-- peers pictures:end -->\n"
    drawn = report.filled(text, {"train": (train, empty)}, ["results/width.svg"])
    assert drawn.splitlines()[1] == "![width](results/width.svg)"
    assert "nbnet 1.2" in found
    assert "old" not in found
    everything = report.section(train, doing.record)
    assert everything.startswith("## Training")
    assert train.NOTES in everything


# Limits and pictures


def test_limits_are_times() -> None:
    net = sizes.network("width 16")
    assert (net.sizes, net.batch_size) == ((16, 16, 16, 10), 128)
    assert sizes.network("batch 4").sizes[0] == 256
    for limit in (limits.blas_limit, limits.memory_limit):
        assert 0 < limit(net, 0.0) < 1


def test_the_memory_limit_is_a_share_of_a_copy(monkeypatch: pytest.MonkeyPatch) -> None:
    copied = []
    monkeypatch.setattr(limits, "_copy", lambda numbers, threads, seconds: copied.append(numbers) or 1.0)
    assert limits.memory_limit(Network((3, 2), 1), 0.0) == limits.PASSES / 4
    assert set(copied) == {2 * (3 + 1) * 2}


def test_pictures(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is missing (the extra 'plot')")
    doing = session(tmp_path, rounds=1)
    for case in ("batch 1", "batch 4"):
        doing.play(case, {OURS: lambda: seconds(1e-6), "BLAS alone": lambda: seconds(1e-7)}, {})
    report.draw({"sizes": (sizes, doing.record)}, tmp_path / "pictures")
    assert [path.name for path in (tmp_path / "pictures").iterdir()] == ["batch.svg"]
    before = (tmp_path / "pictures" / "batch.svg").read_text()
    report.draw({"sizes": (sizes, doing.record)}, tmp_path / "pictures")
    assert (tmp_path / "pictures" / "batch.svg").read_text() == before
    figure = pictures.growth({OURS: {1: 2.0, 4: 3.0}, "BLAS alone": {1: 1.0}}, "rows", ["BLAS alone"])
    (axes,) = figure.axes
    assert [line.get_label() for line in axes.lines] == ["nbnet", "BLAS alone"]
    assert axes.get_xscale() == axes.get_yscale() == "log"


# The command line


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["swim"], "TASK"),
        (["train", "--cases", "huge"], "--cases"),
        (["train", "--python", "torch"], "--python"),
        (["train", "--rounds", "0"], "--rounds"),
        (["train", "--minutes", "0"], "--minutes"),
        (["train", "--quick"], "--results"),
        (["train", "--peers", "theano"], "--peers"),
    ],
)
def test_arguments_are_checked(arguments: list[str], word: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        command.parse(arguments)
    assert word in capsys.readouterr().err


def test_nbnet_always_takes_part_and_comes_first() -> None:
    options = command.parse(["train", "--peers", "jax", "torch", "--python", "jax=/a"])
    assert options.peers == [OURS, "torch", "jax"]
    assert options.python == {OURS: sys.executable, "jax": "/a"}


def test_every_task_is_one() -> None:
    for name in command.TASKS:
        task = command.load(name)
        assert task.TITLE
        assert task.NOTES
        assert task.CASES
        assert task.VALUES
        assert callable(task.measure)


@needs_jit
@pytest.mark.slow
def test_a_quick_comparison(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    readme = tmp_path / "README.md"
    readme.write_text("<!-- peers train:begin -->\n<!-- peers train:end -->\n")
    arguments = ["--cases", "digits", "--peers", "sklearn", "--rounds", "2", "--seconds", "0.1", "--quick"]
    where = ["--results", str(tmp_path), "--readme", str(readme)]
    command.main(["train", *arguments, *where])
    first = capsys.readouterr().out
    assert "digits, round 2: nbnet" in first
    assert "scikit-learn" in readme.read_text()
    lines = [json.loads(line) for line in (tmp_path / "train.jsonl").read_text().splitlines()]
    checks = {line["run"]["check"]: line for line in lines if "check" in line["run"]}
    assert set(checks) == {"float32", "float64"}
    assert all(0 <= line["found"]["sklearn"] <= line["allowed"] for line in checks.values())
    command.main(["train", *arguments, *where])
    assert "round" not in capsys.readouterr().out.split("##")[0]


@needs_jit
def test_a_search_by_hand_goes_through_all_settings_and_folds(monkeypatch: pytest.MonkeyPatch) -> None:
    made = training.exercise("digits", 203)
    grid = {"hidden_layer_sizes": [[4], [8, 4]], "batch_size": [20], "alpha": [0.1], "learning_rate_init": [0.01, 0.1]}
    wanted = list(searching.networks(made, grid))
    assert [net.sizes for net in wanted] == [(64, 4, 10)] * 2 + [(64, 8, 4, 10)] * 2
    assert [net.learning_rate for net in wanted] == [0.01, 0.1] * 2
    assert wanted[0].penalty == pytest.approx(0.005)
    module = LIBRARIES[OURS].load()
    begun: list[tuple[Network, int]] = []
    monkeypatch.setattr(
        module, "start", lambda made: begun.append((made.network, len(made.x))) or module.NbnetLearner(made)
    )
    score = searching.best(module, {}, made, grid, folds=2, epochs=5)
    assert begun == [(net, 101) for net in wanted for _ in range(2)]
    assert 0.1 < score <= 1


class InProcess:
    """A peer without a process."""

    def __init__(self, name: str, python: str = "", dtype: str = "float32") -> None:
        self.worker = Worker(name)

    def ask(self, do: str, patience: float = 0.0, **arguments: Any) -> Any:
        return json.loads(json.dumps(getattr(self.worker, do)(**json.loads(json.dumps(arguments)))))

    def close(self) -> None:
        pass


@pytest.fixture
def in_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(driver, "Peer", InProcess)
    monkeypatch.setattr(training, "MOST", 2)


@needs_jit
@pytest.mark.usefixtures("in_process")
@pytest.mark.parametrize(
    ("task", "case"),
    [
        (train, "tiny"),
        (train, "digits"),
        (predict, "digits, 1 row"),
        (sizes, "batch 1"),
        (sizes, "width 16"),
        (search, "digits"),
    ],
    ids=lambda value: value if isinstance(value, str) else value.__name__.split(".")[-1],
)
def test_tasks_find_a_number_for_each_library(
    task: Any, case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sizes, "LIMITS", {"BLAS alone": lambda net, seconds: 1e-6})
    monkeypatch.setattr(search, "SETTINGS", {name: values[:1] for name, values in search.SETTINGS.items()})
    doing = session(tmp_path, names=[OURS, "sklearn"], rounds=2)
    # GridSearchCV would start processes.
    monkeypatch.setattr("benchmarks.peers.with_sklearn.choices", lambda: [1])
    task.measure(doing, [case])
    assert doing.due([case]) == []
    assert findings.errors(doing.record, case) == {}
    for value in task.VALUES.values():
        found = findings.values(doing.record, case, value)
        assert {OURS, "sklearn"} <= set(found) <= {OURS, "sklearn", "BLAS alone", "nbnet, predict"}
        assert all(one is not None and one > 0 for times in found.values() for one in times)
    lines = len(doing.record.runs())
    task.measure(doing, [case])
    assert len(doing.record.runs()) == lines


@needs_jit
@pytest.mark.usefixtures("in_process")
def test_who_learns_something_else_is_not_timed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.peers.with_sklearn.SklearnLearner.train", lambda self, epochs: [0.5] * epochs)
    doing = session(tmp_path, names=[OURS, "sklearn"], rounds=1)
    train.measure(doing, ["digits"])
    assert "without dropout differ from nbnet's: 0.7" in findings.errors(doing.record, "digits")["sklearn"]


@needs_jit
@pytest.mark.usefixtures("in_process")
def test_who_predicts_something_else_is_not_timed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = {"predict_proba": lambda x: np.full((len(x), 10), 0.1)}
    monkeypatch.setattr("benchmarks.peers.with_sklearn.SklearnLearner.predictors", lambda self, rows: wrong)
    doing = session(tmp_path, names=[OURS, "sklearn"], rounds=1)
    predict.measure(doing, ["digits, 1 row"])
    assert "differs from nbnet's by 0." in findings.errors(doing.record, "digits, 1 row")["sklearn"]


@pytest.mark.usefixtures("in_process")
def test_updates_and_dropout_alone(tmp_path: Path) -> None:
    doing = session(tmp_path, names=[OURS, "sklearn"], rounds=1)
    cases = ["Adam, tiny", "dropout, 32 x 128"]
    alone.measure(doing, cases)
    assert doing.due([cases[0]], [OURS]) == []
    assert list(findings.values(doing.record, cases[0], alone.VALUES["µs"])) == ["nbnet, apply", "nbnet"]
    assert list(findings.values(doing.record, cases[1], alone.VALUES["µs"])) == ["nbnet, tape", "nbnet"]


@pytest.mark.usefixtures("in_process")
def test_start_up_is_timed_in_whole_processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run: list[tuple[str, str, str]] = []

    def process(pythons: Any, name: str, *arguments: str, **variables: str) -> str:
        if "settings" in arguments[-1]:
            return "slow\nfast\n"
        run.append((name, arguments[-1], Path(variables["NBNET_CACHE_DIR"]).name.split("-")[0]))
        time.sleep(0.02 if arguments[-1] == "slow" else 0.0)
        return ""

    monkeypatch.setattr(startup, "process", process)
    doing = replace(session(tmp_path, names=[OURS], rounds=2), quick=False)
    startup.measure(doing, startup.CASES)
    assert run[:3] == [(OURS, "import nbnet", "warm")] * 3
    # A process that does not count, each setting, then a round in one order and a round in the other.
    assert [setting for _, setting, _ in run[3:6]] == ["slow", "slow", "fast"]
    assert {cache for *_, cache in run[3:6]} == {"warm"}
    assert [cache for *_, cache in run[6:]] == ["empty", "warm", "warm", "empty"]
    assert training.settings(doing, "first epoch") == {OURS: "fast"}
    found = findings.values(doing.record, "first epoch", startup.VALUES["s"])
    assert list(found) == [OURS, startup.EMPTY]


@pytest.mark.usefixtures("in_process")
def test_memory_is_that_of_a_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "process", lambda *_: json.dumps({"before": 50.0, "peak": 100.0, "loss": 1.0}))
    doing = session(tmp_path, names=[OURS], rounds=1)
    memory.measure(doing, memory.CASES)
    for unit, expected in (("MB", 100.0), ("MB loaded", 50.0)):
        assert findings.values(doing.record, "mnist", memory.VALUES[unit]) == {OURS: [expected]}


def test_settings_that_fail_are_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    worker = Worker(OURS)
    made = training.exercise("tiny", 32)

    def start(made: Any, broken: bool) -> Any:
        if broken:
            raise OSError("no compiler")
        return start_whole(made)

    start_whole = worker.module.start
    monkeypatch.setattr(worker.module, "settings", lambda network: {"a": {"broken": True}, "b": {"broken": False}})
    monkeypatch.setattr(worker.module, "start", start)
    found = worker.start(str(made.save(tmp_path / "tiny.npz")))
    assert found["setting"] == "b"
    assert found["tried"]["a"] == "OSError: no compiler"
    assert found["tried"]["b"] > 0
    trained: list[int] = []
    monkeypatch.setattr(worker.learner, "train", lambda epochs: trained.append(epochs) or [0.5] * epochs)
    assert [worker.train(3)["loss"] for _ in range(2)] == [0.5, 0.5]
    assert trained == [3, 3, 3]
    assert worker.train(2, seconds=0.01)["times"] > 1
