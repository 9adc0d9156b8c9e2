"""A large number in place of any argument in a saved model: loading takes little memory and time, whatever it says.

All public layers, metrics, losses, optimizers and initializers are walked.
"""

from __future__ import annotations

import copy
import inspect
import os
import resource
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest

import nbnet as nb
from nbnet.base.hdf5_file import read_hdf5
from nbnet.saving import keras_files
from tests.layers.test_every_layer import CASES, IMAGE, LINE, Case
from tests.security.mutation import samples
from tests.security.mutation.container import Parts
from tests.security.mutation.samples import averaged, graph, scored, towers
from tests.security.mutation.trial import MEMORY, SECONDS, forget_peak, peak

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="peak memory is read from /proc")
LARGE = (25_000, 10**9, 2**53)
WORDS = {"vocabulary": [3, 5, 1], "max_tokens": 6, "pad_to_max_tokens": True}
#: Layers and modes beside those of the table of all layers.
MORE = [
    *(Case(f"Random{name}", IMAGE, IMAGE, arguments={"factor": 0.2, "seed": 1})
      for name in ("Brightness", "Contrast", "Rotation")),
    *(Case(f"Random{name}", IMAGE, IMAGE, arguments={"height_factor": 0.1, "width_factor": 0.2})
      for name in ("Translation", "Zoom")),
    Case("RandomCrop", IMAGE, (3, 4, 3), arguments={"height": 3, "width": 4}),
    *(Case("StringLookup", (4,), (4,), arguments={"vocabulary": ["a", "b"], "output_mode": mode})
      for mode in ("int", "count")),
    *(Case("TextVectorization", (1,), (4,), arguments={"vocabulary": ["a", "b"], "max_tokens": 9} | more)
      for more in ({"output_sequence_length": 4}, {"output_mode": "multi_hot", "pad_to_max_tokens": True})),
    *(Case("Hashing", (4,), (4,), arguments={"num_bins": 5, "output_mode": mode}) for mode in ("int", "multi_hot")),
    Case("RandomFlip", IMAGE, IMAGE), Case("Masksembles", (8,), (8,), arguments={"n": 2, "scale": 2.0}),
    *(Case("CategoryEncoding", (4,), (5,), arguments={"num_tokens": 5, "output_mode": mode})
      for mode in ("one_hot", "multi_hot")),
    *(Case("IntegerLookup", (4,), (4,), arguments=WORDS | {"output_mode": mode})
      for mode in ("int", "one_hot", "count")),
    Case("Discretization", LINE, (9, 3), arguments={"bin_boundaries": [-1.0, 0.0, 1.5]}),
    Case("Discretization", LINE, (9, 3), arguments={"bin_boundaries": [-1.0, 0.0, 1.5], "output_mode": "multi_hot"}),
]  # fmt: skip


def alone(case: Case) -> Any:
    whole = case.name in ("CategoryEncoding", "Embedding", "IntegerLookup")
    text = case.name in ("Hashing", "StringLookup", "TextVectorization")
    first = nb.Input(case.shape, dtype="int64" if whole else "string" if text else None)
    return nb.Sequential([first, case.make(name="layer")], name="alone")


def in_training(case: Case) -> Any:
    """A model that calls a layer in training mode, whatever its own is."""
    x = nb.Input(case.shape)
    return nb.Model(x, case.make(name="layer")(x, training=True), name="training")


def space() -> Any:
    """A model of a FeatureSpace alone, with layers that are called when it is loaded."""
    space = nb.utils.FeatureSpace
    features = {
        "a": space.float_discretized(num_bins=4), "b": space.integer_categorical(),
        "c": space.string_hashed(num_bins=5),
        "d": space.feature("string", nb.layers.Hashing(5, output_mode="one_hot"), "float"),
    }  # fmt: skip
    made = space(features=features, crosses=[space.cross(("b", "c"), crossing_dim=8)])
    made.adapt({"a": [0.5, 1.5, 2.5], "b": [1, 2, 3], "c": ["a", "b", "c"], "d": ["a", "b", "c"]})
    return nb.Model(made.get_inputs(), made.get_encoded_features())


def wrapped() -> Iterator[tuple[str, Any]]:
    """Models of layers that have another inside, or several inputs."""
    yield "TimeDistributed", nb.Sequential([nb.Input(LINE), nb.layers.TimeDistributed(nb.layers.Dense(2))])
    yield "SpectralNormalization", nb.Sequential([nb.Input((4,)), nb.layers.SpectralNormalization(nb.layers.Dense(2))])
    yield "ConcreteDropout", nb.Sequential([nb.Input((4,)), nb.layers.ConcreteDropout(nb.layers.Dense(2))])
    yield "FeatureSpace", space()
    x, y = nb.Input((4,), name="x", dtype="string"), nb.Input((4,), name="y", dtype="string")
    yield "HashedCrossing", nb.Model([x, y], nb.layers.HashedCrossing(num_bins=5)([x, y]))
    for name in ("Add", "Average", "Concatenate", "Dot", "Maximum", "Minimum", "Multiply", "Subtract"):
        x, y = nb.Input((4,), name="x"), nb.Input((4,), name="y")
        layer = getattr(nb.layers, name)(**({"axes": 1} if name == "Dot" else {}))
        yield name, nb.Model([x, y], layer([x, y]))


def dense(initializer: Any = "glorot_uniform") -> Any:
    """A model of a layer that is dense, or convolves where the initializer is one of filters."""
    filters = type(initializer).__name__ == "STFT"
    kind: Any = nb.layers.Conv1D if filters else nb.layers.Dense
    layer = kind(3, *[4] * filters, kernel_initializer=initializer, name="layer")
    return nb.Sequential([nb.Input((9, 1) if filters else (4,)), layer], name="alone")


def needed(kind: type) -> dict[str, Any]:
    """Valid values for the arguments of a class that have no default."""
    values = {"num_classes": 3, "target_class_ids": [0, 1], "thresholds": [0.2, 0.5]}
    values |= dict.fromkeys(("precision", "recall", "sensitivity", "specificity"), 0.5)
    parameters = inspect.signature(kind).parameters.values()
    required = [p.name for p in parameters if p.default is p.empty and p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)]
    return {name: values[name] for name in required}


KINDS: list[tuple[Any, type[Any]]] = [
    (nb.metrics, nb.metrics.Metric), (nb.losses, nb.losses.Loss), (nb.optimizers, nb.optimizers.Optimizer),
    (nb.initializers, nb.initializers.Initializer),
]  # fmt: skip


def compiled() -> Iterator[tuple[str, Any]]:
    """Models compiled with each metric, loss and optimizer, or whose layer has each initializer."""
    left_out = {"MeanLoss", "MeanMetricWrapper", "LossFunctionWrapper", "Mean", "Sum"}
    for module, base in KINDS:
        for name, kind in sorted(vars(module).items()):
            if not inspect.isclass(kind) or not issubclass(kind, base) or inspect.isabstract(kind) or kind is base:
                continue
            if kind.__name__ != name or name in left_out or name == "Loss":
                continue
            try:
                made = kind(**needed(kind))
            except (KeyError, TypeError):
                continue  # a base class
            model = dense(made) if base is nb.initializers.Initializer else dense()
            loss = "sparse_categorical_crossentropy" if name.startswith("Sparse") else "mse"
            found = {"metrics": [made]} if base is nb.metrics.Metric else {}
            model.compile(
                made if base is nb.optimizers.Optimizer else "sgd", made if base is nb.losses.Loss else loss, **found
            )
            yield name, model


def models() -> Iterator[tuple[str, Callable[[], Any]]]:
    for k, case in enumerate([*CASES, *MORE]):
        yield f"{case.name}:{k}", lambda case=case: alone(case)
        if "training" in inspect.signature(getattr(nb.layers, case.name).call).parameters:
            yield f"{case.name}:{k} in training", lambda case=case: in_training(case)
    for name, model in (*wrapped(), *compiled()):
        yield name, lambda model=model: model
    for make in (graph, samples.places, scored, averaged, towers):
        yield make.__name__, make


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Places of integers, and of arguments that are not given, in a configuration."""
    if isinstance(value, dict):
        for key, part in value.items():
            yield from places(part, (*path, key))
    elif isinstance(value, list):
        for k, part in enumerate(value):
            yield from places(part, (*path, k))
    elif (value is None and path and path[-1] not in ("module", "registered_name")) or type(value) is int:
        yield path


def replaced(record: Any, path: tuple[Any, ...], value: int) -> Any:
    record = copy.deepcopy(record)
    part = record
    for key in path[:-1]:
        part = part[key]
    part[path[-1]] = value
    return record


def mutants(name: str, model: Any, suffix: str, folder: Path, most: int | None) -> Iterator[tuple[str, bytes]]:
    """Files of a model with one large number each: all, or some of them."""
    model.save(folder / f"good{suffix}")
    parts = Parts.of((folder / f"good{suffix}").read_bytes())
    record = parts.record
    roots = ("config", "compile_config") if suffix == ".keras" else ("model", "compile")
    found = list(places({root: record[root] for root in roots if record.get(root) is not None}))
    changes = [(path, value) for path in found for value in LARGE]
    for path, value in changes[:: max(len(changes) // most, 1) if most else 1]:
        parts.record = replaced(record, path, value)
        yield f"{name}{suffix} {'.'.join(map(str, path))}={value}", parts.joined()


def tried(path: Path) -> tuple[str, float, int]:
    """Load a file; return its error, the seconds that it took, and the memory."""
    forget_peak()
    before, start, said = peak()[0], time.process_time(), ""
    try:
        nb.load_model(path)
    except (ValueError, TypeError, OSError) as error:
        said = "" if str(error) else "an error that says nothing"
    except Exception as error:
        said = "".join(traceback.format_exception(error)[-3:])
    return said, time.process_time() - start, peak()[1] - before


def findings(name: str, make: Callable[[], Any], suffix: str, most: int | None) -> list[str]:
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for about, content in mutants(name, make(), suffix, Path(folder), most):
            path = Path(folder, f"m{suffix}")
            path.write_bytes(content)
            said, seconds, memory = tried(path)
            if said or seconds > SECONDS or memory > MEMORY + 10 * len(content):
                found.append(f"{about}: {seconds:.1f} s, {memory >> 20} MiB {said}")
    return found


def in_a_process(work: Callable[[], list[str]]) -> str:
    """The findings of a function that is run in a forked process."""
    with tempfile.TemporaryFile() as report:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of threads: the child uses none of theirs
            process = os.fork()
        if process == 0:
            try:
                warnings.simplefilter("ignore")
                resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
                limit = peak()[0] + (8 << 30)
                resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
                # The weights are the same in all files of a model.
                keras_files.read_hdf5 = lru_cache(2)(read_hdf5)
                report.write("\n".join(work()).encode())
            except BaseException:
                report.write(traceback.format_exc().encode())
            finally:
                report.flush()
                os._exit(0)
        _, status = os.waitpid(process, 0)
        report.seek(0)
        return report.read().decode() + (f"ended with status {status}" if status else "")


@pytest.mark.parametrize(("every", "most"), [(24, 5), pytest.param(7, 12, marks=pytest.mark.slow)])
def test_a_large_number_takes_little(every: int, most: int | None) -> None:
    for k, (name, make) in enumerate(models()):
        for suffix in (".nbnet", ".keras") if k % every == 0 else ():
            assert in_a_process(lambda: findings(name, make, suffix, most)) == ""  # noqa: B023


ASKED: dict[str, Case] = {
    "num_tokens": Case("CategoryEncoding", (4,), (3,), arguments={"num_tokens": 3}),
    "num_oov_indices": Case("IntegerLookup", (4,), (4,), arguments=WORDS),
    "samples": Case("DropConnectDense", (4,), (3,), arguments={"units": 3, "rate": 0.5}),
}


@pytest.mark.parametrize("argument", ASKED)
def test_tables_and_lists_that_classes_ask_for(argument: str, tmp_path: Path) -> None:
    """Vectors of 25,000 classes take no table of their square; a billion numbers take no list and are not drawn."""
    model = alone(ASKED[argument])
    model.save(tmp_path / "m.nbnet")
    parts = Parts.of((tmp_path / "m.nbnet").read_bytes())
    for value in LARGE:
        parts.record["model"]["config"]["layers"][1]["config"][argument] = value
        (tmp_path / "m.nbnet").write_bytes(parts.joined())
        said, seconds, memory = tried(tmp_path / "m.nbnet")
        assert said == ""
        assert seconds < SECONDS
        assert memory < MEMORY


def test_all_classes_are_walked() -> None:
    """One whose arguments are not known here would be left out."""
    names = {name.partition(":")[0] for name, _ in models()}
    left_out = {
        "InputLayer",
        "Lambda",
        "Wrapper",
        "Mean",
        "MeanLoss",
        "MeanMetricWrapper",
        "Sum",
        "LossFunctionWrapper",
    }
    for module, base in ((nb.layers, nb.layers.Layer), *KINDS):
        kinds = (getattr(module, name) for name in dir(module))
        public = {kind.__name__ for kind in kinds if isinstance(kind, type) and issubclass(kind, base)}
        assert public - names <= left_out | {base.__name__}
