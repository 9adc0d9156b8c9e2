"""A record cannot make loading take memory or time that its file has no use for."""

from __future__ import annotations

import ast
import gc
import io
import json
import sys
import tracemalloc
import zipfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

import nbnet as nb
from nbnet.base import loading_budget
from nbnet.engine.graph import tensor
from nbnet.ops import constants
from nbnet.saving.weights import weights_by_path
from tests.security.mutation.container import Parts
from tests.security.mutation.trial import MEMORY, forget_peak, peak

#: Bytes that loading may take beside ten times the file.
A_LITTLE = 64 << 20
#: A number of values that no test can have memory for.
BIG = 10**13
X, HIDDEN = {"value": 0}, {"value": 1}
NOT, FIRST = {"tuple": [0, 0]}, {"tuple": [0, BIG]}


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A file of a functional model, compiled."""
    x = nb.Input((4,), name="x")
    model = nb.Model(x, nb.layers.Dense(3, name="hidden")(x), name="model")
    model.compile("sgd", "mse")
    path = tmp_path_factory.mktemp("good") / "m.nbnet"
    model.save(path)
    return path.read_bytes()


def called(op: str, *args: Any) -> Callable[[Parts], None]:
    """One more call of an op in the graph of the model, whose result is the output."""

    def change(parts: Parts) -> None:
        graph = parts.record["model"]["config"]
        graph["calls"].append({"layer": None, "op": op, "args": list(args), "kwargs": []})
        graph["outputs"] = {"value": 2}

    return change


def sequence(*layers: dict[str, Any], shape: tuple[int, ...] = (4,)) -> Callable[[Parts], None]:
    """Another model in the file: a Sequential without weights."""
    inputs = {"class_name": "InputLayer", "config": {"shape": list(shape)}}
    return model("Sequential", {"name": "s", "layers": [inputs, *layers]})


def model(class_name: str, config: dict[str, Any]) -> Callable[[Parts], None]:
    """Another model in the file, without weights."""

    def change(parts: Parts) -> None:
        parts.record |= {"model": {"class_name": class_name, "config": config}, "tensors": {}}
        parts.record |= dict.fromkeys(("build", "compile", "training"))
        parts.header.clear()
        parts.data = b""

    return change


def layer(class_name: str, **config: Any) -> dict[str, Any]:
    return {"class_name": class_name, "config": config}


def graph(
    *calls: tuple[str, list[Any]], shape: tuple[int, ...] = (4,), layers: tuple[Any, ...] = (), name: str = "g"
) -> dict[str, Any]:
    """The configuration of a model of calls: of ops, by name, or of its layers, by number."""
    made = [
        {"layer": f if isinstance(f, int) else None, "op": None if isinstance(f, int) else f, "args": a, "kwargs": []}
        for f, a in calls
    ]
    inputs = [{"shape": list(shape), "batch_size": None, "dtype": "float32", "name": "i"}]
    return {"name": name, "layers": list(layers), "calls": made, "inputs": inputs, "input_structure": X,
            "outputs": {"value": len(calls)}}  # fmt: skip


def nested(depth: int, times: int) -> dict[str, Any]:
    """A model that calls a model that calls a model ..., each of them several times."""
    config = graph(("relu", [X]), name="m0")
    for k in range(depth):
        calls = [(0, [{"value": i}]) for i in range(times)]
        config = graph(*calls, layers=(layer("Model", **config),), name=f"m{k + 1}")
    return config


def metric(class_name: str, **config: Any) -> Callable[[Parts], None]:
    def change(parts: Parts) -> None:
        parts.record["compile"]["metrics"] = [layer(class_name, **config)]

    return change


def in_training(class_name: str, **config: Any) -> Callable[[Parts], None]:
    """A model that calls a layer in training mode on large images."""
    made = graph((0, [X]), shape=(BIG, 4, 1), layers=(layer(class_name, name="layer", **config),))
    made["calls"][0]["kwargs"] = [["training", True]]
    return model("Model", made)


NO_INPUT, TOO_MANY, TOO_OFTEN = "depends on no input", "values, more than the file can need", "objects and calls"
DOUBLED = [("concatenate", [[{"value": k}, {"value": k}], 1]) for k in range(60)]
TURNED = [("flip", [{"value": k}, 1]) for k in range(500)]
CASES = [
    # constants alone
    ("full", called("full", [BIG], 1.0), NO_INPUT),
    ("zeros", called("zeros", [BIG]), NO_INPUT),
    ("eye", called("eye", BIG), NO_INPUT),
    ("arange", called("arange", BIG), NO_INPUT),
    ("linspace", called("linspace", 0.0, 1.0, BIG), NO_INPUT),
    ("one_hot", called("one_hot", [0], BIG), NO_INPUT),
    ("tile", called("tile", [1.0], BIG), NO_INPUT),
    ("repeat", called("repeat", [1.0], BIG), NO_INPUT),
    ("pad", called("pad", [1.0], BIG), NO_INPUT),
    ("broadcast_to", called("broadcast_to", [1.0], [BIG]), NO_INPUT),
    ("outer", called("outer", [1.0] * 1000, [1.0] * 1000), NO_INPUT),
    ("an array alone", called("tile", {"array": [1.0], "dtype": "float32"}, [BIG]), NO_INPUT),
    # beside an input
    ("full of a symbol", called("full", [BIG], HIDDEN), TOO_MANY),
    ("full of two sizes", called("full", [2**40, 2**40], HIDDEN), TOO_MANY),
    ("eye at a symbol", called("eye", 10**6, None, HIDDEN), TOO_MANY),
    ("linspace to a symbol", called("linspace", 0.0, HIDDEN, BIG), TOO_MANY + "|no value"),
    ("input tiled", called("tile", HIDDEN, {"tuple": [1, BIG]}), TOO_MANY),
    ("input repeated", called("repeat", HIDDEN, BIG, 1), TOO_MANY),
    ("input repeated by a list", called("repeat", HIDDEN, [0, 1, 2**63], 1), TOO_MANY),
    ("input padded", called("pad", HIDDEN, {"tuple": [NOT, FIRST]}), TOO_MANY),
    ("input broadcast", called("broadcast_to", HIDDEN, {"tuple": [BIG, 3]}), TOO_MANY),
    ("parts of a long input", model("Model", graph(("unstack", [X, None, 1]), shape=(BIG,))), TOO_OFTEN),
    ("a long input split", model("Model", graph(("split", [X, 10**6, 1]), shape=(10**6,))), TOO_OFTEN),
    ("a long input turned", model("Model", graph(("flip", [X, 1]), shape=(BIG,))), TOO_MANY),
    ("a long input rolled", model("Model", graph(("roll", [X, 1, 1]), shape=(BIG,))), TOO_MANY),
    ("doubled, then turned", model("Model", graph(*DOUBLED, ("flip", [{"value": 60}, 1]))), TOO_MANY),
    ("often turned", model("Model", graph(*TURNED, shape=(10**6,))), TOO_MANY),
    ("argmax with many axes", called("argmax", HIDDEN, 1, 2 * 10**8), "keepdims: expected True or False"),
    ("axes without end", called("reshape", HIDDEN, [-1, *[1] * 10_000]), "at most 32 axes"),
    # layers
    ("RepeatVector", sequence(layer("RepeatVector", n=BIG)), TOO_MANY),
    ("Masksembles", sequence(layer("Masksembles", n=10**6, scale=2.0), shape=(10**6,)), "weight of shape"),
    ("Embedding", sequence(layer("Embedding", input_dim=BIG, output_dim=8)), "weight of shape"),
    ("Conv1D", sequence(layer("Conv1D", filters=BIG, kernel_size=BIG), shape=(4, 1)), "weight of shape"),
    ("Normalization", sequence(layer("Normalization", mean=0.0, variance=1.0), shape=(BIG,)), TOO_MANY),
    ("many of them", sequence(*[layer("Normalization", mean=0.0, variance=1.0, name=f"n{k}") for k in range(50)],
                              shape=(10**5,)), TOO_MANY),
    ("LayerNormalization", sequence(layer("LayerNormalization", center=False, scale=False), shape=(BIG,)), TOO_MANY),
    ("an input of many axes", sequence(layer("Flatten"), shape=(1,) * 10_000), "axes"),
    ("RandomZoom", in_training("RandomZoom", height_factor=0.2, width_factor=0.2), TOO_MANY),
    ("RandomRotation", in_training("RandomRotation", factor=0.2), "pixels at most"),
    ("Resizing", sequence(layer("Resizing", height=BIG, width=2), shape=(4, 4, 1)), TOO_MANY),
    ("CategoryEncoding", sequence(layer("CategoryEncoding", num_tokens=BIG), shape=(4,)), TOO_MANY),
    ("IntegerLookup", sequence(layer("IntegerLookup", num_oov_indices=BIG, vocabulary=[1])), TOO_MANY),
    # compilation
    ("MeanIoU", metric("MeanIoU", num_classes=BIG), TOO_MANY),
    ("AUC", metric("AUC", num_thresholds=BIG), TOO_MANY),
    ("RecallAtPrecision", metric("RecallAtPrecision", precision=0.5, num_thresholds=BIG), TOO_MANY),
]  # fmt: skip


def peak_of(load: Callable[[], Any]) -> tuple[Any, int]:
    """Return the result of a function, and the peak of bytes allocated meanwhile."""
    tracemalloc.start()
    try:
        return load(), tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(("change", "message"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_a_bomb_is_refused_before_it_allocates(
    good: bytes, tmp_path: Path, change: Callable[[Parts], None], message: str
) -> None:
    parts = Parts.of(good)
    change(parts)
    (tmp_path / "m.nbnet").write_bytes(parts.joined())

    def load() -> None:
        with pytest.raises(ValueError, match=message):
            nb.load_model(tmp_path / "m.nbnet")

    assert peak_of(load)[1] < A_LITTLE + 10 * len(parts.joined())


SIDE = 1024


def hdf5(fill: Callable[[Any], None], **options: Any) -> bytes:
    target = io.BytesIO()
    with h5py.File(target, "w", **options) as file:
        fill(file)
    return target.getvalue()


def zeros(count: int, dtype: str, compression: str | None = "gzip") -> bytes:
    """Return a file of square matrices of zeros, which take little room in it."""

    def fill(file: Any) -> None:
        for k in range(count):
            place = "layers/dense" + (f"_{k}" if k else "")
            file.create_dataset(f"{place}/vars/0", (SIDE, SIDE), dtype, compression=compression)
            if compression:
                file[f"{place}/vars/0"][...] = 0

    return hdf5(fill)


def chained(file: Any) -> None:
    """Many groups with one long path before the names of all."""
    for k in range(50):
        file = file.create_group("n" * 1000 + str(k))
    for k in range(2000):
        file.create_group(str(k))


def texts(file: Any) -> None:
    file.attrs.create("layer_names", ["z" * 60_000] * 1000, dtype=h5py.string_dtype())


def wide(layers: int, dtype: str = "float32") -> dict[str, Any]:
    found = [
        {"class_name": "InputLayer", "module": "keras.layers", "config": {"batch_shape": [None, SIDE], "name": "x"}}
    ]
    for k in range(layers):
        config = {"units": SIDE, "use_bias": False, "dtype": dtype, "name": f"d{k}"}
        found.append({"class_name": "Dense", "module": "keras.layers", "config": config})
    return {"class_name": "Sequential", "module": "keras", "config": {"name": "m", "layers": found}}


def padded(value: str) -> str:
    """Return the configuration of a model without layers, and one more value."""
    return f'{{"class_name": "Sequential", "module": "keras", "config": {{"name": "m", "layers": []}}, "x": {value}}}'


#: Configurations, weights in HDF5, and further members of archives that unpack to much more than they are.
ARCHIVES: dict[str, Callable[[], tuple[Any, bytes, dict[str, bytes]]]] = {
    "arrays that fit": lambda: (wide(7), zeros(7, "f4"), {}),
    "too many arrays": lambda: (wide(64), zeros(64, "f4"), {}),
    "weights larger than arrays": lambda: (wide(6, "float64"), zeros(6, "i1"), {}),
    "arrays that are not there": lambda: (wide(64), zeros(64, "f8", compression=None), {}),
    "objects": lambda: (padded("[" + '{"a":1},' * 99_000 + "{}]"), hdf5(chained), {}),
    "lists": lambda: (padded("[" + "[]," * 199_000 + "[]]"), zeros(1, "f4"), {}),
    "text": lambda: (padded('"' + "a" * (15 << 20) + '"'), zeros(1, "f4"), {}),
    "long names": lambda: (wide(1), hdf5(chained), {}),
    "one text again and again": lambda: (wide(1), hdf5(texts, libver="latest"), {}),
    "a vocabulary": lambda: (wide(1), zeros(1, "f4"), {"assets/layers/dense/vocabulary.txt": b"a\n" * (32 << 20)}),
    "members": lambda: (wide(1), zeros(1, "f4"), {str(k): b"" for k in range(9_000)}),
    "too many members": lambda: (wide(1), zeros(1, "f4"), {str(k): b"" for k in range(20_000)}),
}


@pytest.mark.skipif(sys.platform != "linux", reason="peak memory is read from /proc")
@pytest.mark.parametrize("name", ARCHIVES)
def test_archives_take_little_more_memory_than_their_size(name: str, tmp_path: Path) -> None:
    path, (config, weights, members) = tmp_path / "m.keras", ARCHIVES[name]()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("config.json", config if isinstance(config, str) else json.dumps(config))
        archive.writestr("model.weights.h5", weights)
        for member, content in members.items():
            archive.writestr(member, content)
    gc.collect()
    forget_peak()
    before = peak()[0]
    with suppress(ValueError):
        nb.load_model(path)
    assert peak()[1] - before < MEMORY + 10 * path.stat().st_size


@pytest.mark.parametrize(("depth", "times"), [(18, 3), (3, 60), (18, 300)])
def test_models_inside_models_do_not_multiply_without_end(good: bytes, tmp_path: Path, depth: int, times: int) -> None:
    parts = Parts.of(good)
    model("Model", nested(depth, times))(parts)
    (tmp_path / "m.nbnet").write_bytes(parts.joined())
    with pytest.raises(ValueError, match=TOO_OFTEN):
        nb.load_model(tmp_path / "m.nbnet")


def test_absurd_sizes_of_a_loaded_model_are_an_error_of_its_use(
    good: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = Parts.of(good)
    model("Model", graph(*DOUBLED))(parts)
    (tmp_path / "m.nbnet").write_bytes(parts.joined())
    loaded = nb.load_model(tmp_path / "m.nbnet")
    x, message = np.zeros((1, 4), "float32"), r"concatenate.* needs [\d,.]+ GiB of memory"
    with pytest.raises(MemoryError, match=message):
        loaded.predict(x)
    # Eager calls compute what they can: here as if there were little memory.
    monkeypatch.setattr(loading_budget, "available_memory", lambda: 1 << 20)
    for module in (loading_budget, tensor):
        monkeypatch.setattr(module, "LARGE", 1 << 20)
    with pytest.raises(MemoryError, match=message):
        loaded(x)


def test_models_with_large_constants_are_loaded_again(tmp_path: Path) -> None:
    """Legitimate models fit in the budget: padded images, flipped and repeated features, a metric of many classes."""
    image = nb.Input((256, 256, 4), name="image")
    y = nb.ops.flip(nb.ops.pad(image, ((0, 0), (3, 3), (3, 3), (0, 0))), 1)
    y = nb.layers.LayerNormalization([1, 2, 3], scale=False, center=False, name="norm")(y)
    y = nb.layers.RepeatVector(1000, name="again")(nb.ops.mean(nb.ops.tile(y, (1, 2, 1, 1)), axis=[1, 2]))
    for k in range(40):
        y = nb.ops.pad(y, ((0, 0), (1, 1), (0, 0)), constant_values=float(k))
    made = nb.Model(image, nb.layers.Flatten(name="flat")(y), name="images")
    iou = nb.metrics.MeanIoU(num_classes=2000, sparse_y_true=False, sparse_y_pred=False)
    made.compile("sgd", "mse", metrics=[iou, nb.metrics.AUC(num_thresholds=10_000)])
    made.save(tmp_path / "m.nbnet")
    assert nb.load_model(tmp_path / "m.nbnet").output_shape == made.output_shape


@pytest.mark.parametrize("layers", [1500, pytest.param(15_000, marks=pytest.mark.slow)])
def test_a_deep_model_is_loaded_again(tmp_path: Path, layers: int) -> None:
    made = nb.Sequential([nb.Input((4,)), *[nb.layers.ReLU(name=f"r{k}") for k in range(layers)]])
    made.save(tmp_path / "m.nbnet")
    assert len(nb.load_model(tmp_path / "m.nbnet").layers) == layers


def test_the_memory_of_loading_is_a_small_multiple_of_the_file(tmp_path: Path) -> None:
    made = nb.Sequential([nb.Input((1000,)), nb.layers.Dense(2000), nb.layers.Dense(500)])
    made.compile(nb.optimizers.Adam(), "mse")
    made.fit(np.zeros((2, 1000), "float32"), np.zeros((2, 500)), verbose=0)
    made.save(tmp_path / "m.nbnet")
    size = (tmp_path / "m.nbnet").stat().st_size
    loaded, peak = peak_of(lambda: nb.load_model(tmp_path / "m.nbnet"))
    assert len(weights_by_path(loaded)) == 4
    assert peak < 4 * size


def test_constants_of_a_call_are_given_back_when_it_is_recorded() -> None:
    x = nb.Input((1 << 16,), name="x")

    def record() -> None:
        y = x
        for _ in range(50):
            y = nb.ops.flip(y, 1)

    assert peak_of(record)[1] < 10 * 8 * (1 << 16)


MAKERS = {
    "full", "zeros", "ones", "empty", "arange", "tile", "repeat", "eye", "identity", "linspace", "tri", "outer", "pad",
    "logspace", "indices", "kron",
}  # fmt: skip
#: Methods of generators of NumPy's.
DRAWS = {"normal", "uniform", "standard_normal", "integers", "random"}
#: Functions whose arrays are as large as an operand, a weight of the file, or what the file lists; and those that no
#: loading calls.
BOUNDED = {
    "ops": {"matrix_power"},
    "layers": {
        "ConcreteDropout.build", "Embedding.compute_mask", "IntegerLookup.call", "Lookup._numbers", "Lookup.adapt",
        "Lookup.set_vocabulary", "Masksembles.members", "VariationalDropout.build", "_compressed", "as_strings",
    },
    "metrics": {
        "AUC._exact", "AUC.result", "AUC.update_state", "EpochMetric.update_state",
        "IntersectionOverUnion.update_state", "Metric.reset_state", "R2Score.result", "are_even",
    },
    "losses": {"Circle.call", "Loss.losses", "_as_weights", "pairs", "spread"},
}  # fmt: skip


def makes_an_array(call: ast.Call) -> bool:
    """True for a call of NumPy that makes an array, unless its size is written down."""
    function = call.func
    if not isinstance(function, ast.Attribute):
        return False
    if isinstance(function.value, ast.Call):  # of a generator that was just made
        return function.attr in DRAWS
    if getattr(function.value, "id", None) != "np":
        return False
    sizes = call.args[:1] if function.attr in ("full", "zeros", "ones", "empty") else call.args
    try:
        for size in sizes:
            ast.literal_eval(size)
        return False
    except ValueError:
        return function.attr in MAKERS


def functions(tree: ast.AST, owner: str = "") -> Iterator[tuple[str, ast.FunctionDef]]:
    """Functions in a module, each with the name of its class."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef):
            yield owner, node
        yield from functions(node, f"{node.name}." if isinstance(node, ast.ClassDef) else owner)


@pytest.mark.parametrize("package", BOUNDED)
def test_arrays_are_made_within_the_budget(package: str) -> None:
    """New code cannot forget it: a function that makes an array of a size that may be an argument reserves it, too."""
    reserving = {"reserve", *(name for name, value in vars(constants).items() if callable(value))}
    reserving -= {"Any", "ceil", "index", "prod"}
    forgets = set()
    for path in sorted(Path(nb.__file__).parent.joinpath(package).glob("*.py")):
        for owner, function in functions(ast.parse(path.read_text())) if path.name != "constants.py" else ():
            calls = [node for node in ast.walk(function) if isinstance(node, ast.Call)]
            made = [call for call in calls if makes_an_array(call)]
            others = {getattr(c.func, "id", None) or getattr(c.func, "attr", "") for c in calls if c not in made}
            if made and not others & reserving:
                forgets.add(f"{owner}{function.name}")
    assert forgets == BOUNDED[package]


def test_the_budget_counts_what_is_kept_and_what_is_filled() -> None:
    budget = loading_budget.LoadingBudget([(3, 4), (3, 4), (5,)])
    with loading_budget.loading_budget(budget):
        assert loading_budget.weight((3, 4), "float32", "w").tolist() == [[0.0] * 4] * 3  # type: ignore[union-attr]
        loading_budget.weight((3, 4), "float32", "w")
        with pytest.raises(ValueError, match=r"w: asks for a weight of shape \(3, 4\)"):
            loading_budget.weight((3, 4), "float32", "w")
        loading_budget.reserve(loading_budget.KEPT + 29, "n", kept=True)
        with pytest.raises(ValueError, match="n: asks for 1 values"):
            loading_budget.reserve(1, "n", kept=True)
        loading_budget.reserve(-5, "n", kept=True)
        for _ in range((budget.filled - 1) // loading_budget.TRIED):
            loading_budget.reserve(loading_budget.TRIED, "n")
        with pytest.raises(ValueError, match="more than the file can need"):
            loading_budget.reserve(loading_budget.TRIED, "n")
        loading_budget.count_steps(loading_budget.STEPS, "n")
        with pytest.raises(ValueError, match="objects and calls"):
            loading_budget.count_steps(1, "n")
    loading_budget.reserve(BIG, "outside")
    loading_budget.count_steps(BIG, "outside")
    assert loading_budget.weight((BIG,), "float32", "outside") is None


def test_a_large_allocation_is_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading_budget, "available_memory", lambda: 3 << 30)
    loading_budget.check_memory(2 << 30, "this")
    with pytest.raises(MemoryError, match=r"this needs 4\.0 GiB of memory, 3\.0 GiB are available"):
        loading_budget.check_memory(4 << 30, "this")
    monkeypatch.setattr(loading_budget, "available_memory", lambda: None)
    loading_budget.check_memory(4 << 30, "this")
    with pytest.raises(MemoryError, match="this needs"):
        loading_budget.check_memory(1 << 70, "this")


def test_limits_of_containers_count(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "max").write_text("5000\n")
    (tmp_path / "current").write_text("2000\n")
    monkeypatch.setattr(loading_budget, "_GROUPS", ((str(tmp_path / "max"), str(tmp_path / "current")),))
    assert loading_budget.available_memory() == 3000
    (tmp_path / "max").write_text("max\n")
    assert loading_budget.available_memory() != 3000
