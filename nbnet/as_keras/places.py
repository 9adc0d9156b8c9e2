"""The tables of what ``keras`` and ``tensorflow`` hold, module by module, and where in nbnet it is found.

A place is the plain name of a module, ``keras.layers``. Other paths to it, such as ``tensorflow.keras.layers``,
``keras.src.layers.core.dense`` and the old ``keras.layers.convolutional``, are resolved to it. Names of older versions
of Keras lead to those of today, after a warning.
"""

from __future__ import annotations

import importlib
import sys
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

#: The version of Keras whose interface nbnet follows.
KERAS_VERSION = "3.12.0"

#: Packages that are stood in for.
TOPS = ("keras", "tensorflow", "tf_keras", "keras_core", "keras_preprocessing", "scikeras")

_TF = "nbnet.as_keras.tf"

#: Modules of nbnet in which the names of a place are looked up, in this order.
PLACES: dict[str, tuple[str, ...]] = {
    "keras": ("nbnet", "nbnet.models", "nbnet.utils"),
    "keras.activations": ("nbnet.activations",),
    "keras.applications": (),
    "keras.backend": ("nbnet.as_keras.backend_functions", "nbnet.backend", "nbnet.config"),
    "keras.callbacks": ("nbnet.callbacks",),
    "keras.config": ("nbnet.config",),
    "keras.constraints": ("nbnet.constraints",),
    "keras.datasets": ("nbnet.datasets",),
    "keras.initializers": ("nbnet.initializers",),
    "keras.layers": ("nbnet.layers",),
    "keras.losses": ("nbnet.losses",),
    "keras.metrics": ("nbnet.metrics", "nbnet.losses"),
    "keras.models": ("nbnet.models", "nbnet.saving"),
    "keras.ops": ("nbnet.ops",),
    "keras.optimizers": ("nbnet.optimizers",),
    "keras.optimizers.schedules": ("nbnet.optimizers.schedules",),
    "keras.preprocessing": ("nbnet.utils",),
    "keras.preprocessing.image": ("nbnet.as_keras.image", "nbnet.utils"),
    "keras.preprocessing.sequence": ("nbnet.utils",),
    "keras.preprocessing.text": (),
    "keras.random": ("nbnet.random",),
    "keras.regularizers": ("nbnet.regularizers",),
    "keras.saving": ("nbnet.saving", "nbnet.utils"),
    "keras.utils": ("nbnet.utils", "nbnet.saving"),
    "keras.mixed_precision": (),
    "keras.wrappers": ("nbnet.as_keras.wrappers",),
    "keras.wrappers.scikit_learn": ("nbnet.as_keras.wrappers",),
    "scikeras": (),
    "scikeras.wrappers": (),
    "tensorflow": (_TF,),
    "tensorflow.compat": (),
    "tensorflow.compat.v1": (_TF,),
    "tensorflow.data": (f"{_TF}.data",),
    "tensorflow.data.experimental": (f"{_TF}.data",),
    "tensorflow.image": (f"{_TF}.image",),
    "tensorflow.linalg": (f"{_TF}.math",),
    "tensorflow.math": (f"{_TF}.math",),
    "tensorflow.nn": (f"{_TF}.nn",),
    "tensorflow.python": (),
    "tensorflow.random": (f"{_TF}.random",),
    "tensorflow.dtypes": (_TF,),
}
_BARE = """config config.experimental config.optimizer config.threading compat.v1.config compat.v1.logging autograph
    autograph.experimental debugging distribute distribute.experimental errors io io.gfile logging python.client
    python.client.device_lib strings summary test train version random.experimental compat.v1.test compat.v1.random"""
PLACES |= {f"tensorflow.{name}": () for name in _BARE.split()}

#: Names that are found in another module: for each place, ``{name: "module:name"}``.
ELSEWHERE: dict[str, dict[str, str]] = {
    "keras": {"__version__": "nbnet.as_keras.places:KERAS_VERSION"},
    "keras.callbacks": {"TensorBoard": "nbnet.as_keras.old_keras:tensorboard"},
    "keras.datasets.imdb": {"load_data": "nbnet.as_keras.old_keras:load_imdb"},
    "keras.datasets.reuters": {"load_data": "nbnet.as_keras.old_keras:load_reuters"},
    "keras.layers": {"_Merge": "nbnet.as_keras.old_keras:_Merge"},
    "keras.utils": {"plot_model": "nbnet.as_keras.old_keras:plot_model"},
    **{
        f"keras.{place}": {name: f"{_TF}.environment:{name}" for name in ("load_model", "save_model")}
        for place in ("models", "saving")
    },
    "keras.config": {
        name: f"{_TF}.environment:nothing" for name in ("disable_traceback_filtering", "enable_traceback_filtering")
    },
}
#: Short names of losses, which Keras 2 had as functions, too.
_SHORT = {
    "mse": "mean_squared_error",
    "mae": "mean_absolute_error",
    "mape": "mean_absolute_percentage_error",
    "msle": "mean_squared_logarithmic_error",
    "kld": "kl_divergence",
    "kullback_leibler_divergence": "kl_divergence",
    "logcosh": "log_cosh",
}
for _place in ("keras.losses", "keras.metrics"):
    ELSEWHERE[_place] = {
        short: f"nbnet.losses:{full}" for name, full in _SHORT.items() for short in (name, name.upper())
    }

for _place in ("losses", "metrics"):
    ELSEWHERE[f"tensorflow.{_place}"] = ELSEWHERE[f"keras.{_place}"]

_DATASETS = "mnist fashion_mnist boston_housing california_housing cifar10 cifar100 imdb reuters"
PLACES |= {f"keras.datasets.{name}": (f"nbnet.datasets.{name}",) for name in _DATASETS.split()}


def _found_in(module: str, places: str, names: dict[str, str]) -> None:
    """Add names to places: ``{name in a module of this package: names there}``."""
    for place in places.split():
        own = {name: f"nbnet.as_keras.{module}:{own}" for own, names in names.items() for name in names.split()}
        ELSEWHERE.setdefault(place, {}).update(own)


_found_in(
    "tf.environment",
    "keras.mixed_precision",
    {
        "DTypePolicy": "DTypePolicy Policy",
        "global_policy": "global_policy dtype_policy",
        "set_global_policy": "set_global_policy set_dtype_policy set_policy",
    },
)
_found_in(
    "wrappers",
    "scikeras.wrappers",
    {"ScikerasClassifier": "KerasClassifier", "ScikerasRegressor": "KerasRegressor"},
)
for _place in ("keras.utils", "keras.preprocessing", "keras.preprocessing.image", "keras.preprocessing.text"):
    _names = ("image_dataset_from_directory", "text_dataset_from_directory", "timeseries_dataset_from_array")
    _found_in("tf.data", _place, {name: name for name in _names})
_TEXT = "Tokenizer hashing_trick one_hot text_to_word_sequence tokenizer_from_json"
_found_in("preprocessing", "keras.preprocessing.text", {name: name for name in _TEXT.split()})
_found_in(
    "preprocessing",
    "tensorflow.strings",
    {
        "joined_texts": "join",
        "lower": "lower",
        "regex_replace": "regex_replace",
        "strip": "strip",
        "substr": "substr",
        "text_length": "length",
        "texts_of": "as_string",
        "to_numbers": "to_number",
        "upper": "upper",
    },
)
_SEQUENCE = "TimeseriesGenerator make_sampling_table skipgrams"
_found_in("preprocessing", "keras.preprocessing.sequence", {name: name for name in _SEQUENCE.split()})


def _surroundings(places: str, names: dict[str, str]) -> None:
    """Add names of ``tf``, ``{name in environment.py: names there}``, to places."""
    _found_in("tf.environment", " ".join(f"tensorflow.{place}" for place in places.split()), names)


_DEVICES = {
    "list_physical_devices": "list_physical_devices get_visible_devices list_logical_devices list_local_devices",
    "nothing": """set_visible_devices set_memory_growth set_logical_device_configuration enable_op_determinism set_jit
        run_functions_eagerly set_virtual_device_configuration set_soft_device_placement
        enable_tensor_float_32_execution set_inter_op_parallelism_threads set_intra_op_parallelism_threads
        set_synchronous_execution set_verbosity enable_mlir_bridge set_experimental_options
        enable_run_functions_eagerly enable_debug_mode""",
    "never": "is_gpu_available is_built_with_cuda is_built_with_gpu_support functions_run_eagerly",
    "no_name": "gpu_device_name",
    "context": "LogicalDeviceConfiguration VirtualDeviceConfiguration",
}
_surroundings(
    """config config.experimental config.optimizer config.threading compat.v1.config test compat.v1.test
    python.client.device_lib logging compat.v1.logging data.experimental autograph autograph.experimental""",
    _DEVICES,
)
_surroundings("compat.v1", {"nothing": "disable_v2_behavior disable_eager_execution enable_eager_execution"})
_surroundings("logging compat.v1.logging", {"nothing": "ERROR INFO WARN DEBUG FATAL error info warning warn"})
_surroundings("autograph.experimental autograph", {"nothing": "set_loop_options", "identity": "do_not_convert"})
_surroundings(
    "debugging",
    {
        "assert_equal": "assert_equal assert_near",
        "check": "Assert assert_all_finite assert_shapes",
        "nothing": "set_log_device_placement enable_check_numerics",
    },
)
_surroundings(
    "distribute distribute.experimental",
    {"Strategy": "Strategy MirroredStrategy OneDeviceStrategy CentralStorageStrategy get_strategy"},
)
_surroundings(
    "errors",
    {n: n for n in ("OpError", "InvalidArgumentError", "OutOfRangeError", "NotFoundError", "ResourceExhaustedError")},
)
_surroundings(
    "io.gfile",
    {"makedirs": "makedirs mkdir", "isdir": "isdir", "glob_files": "glob"},
)
ELSEWHERE["tensorflow.io.gfile"] |= {
    "exists": "os.path:exists", "listdir": "os:listdir", "remove": "os:remove", "rmtree": "shutil:rmtree",
    "GFile": "builtins:open", "Open": "builtins:open",
}  # fmt: skip
_surroundings("io", {"read_text": "read_file"})
_surroundings("train", {n: n for n in ("Checkpoint", "CheckpointManager", "latest_checkpoint")})
_surroundings(
    "summary",
    {
        "SummaryWriter": "create_file_writer SummaryWriter",
        "nothing": "trace_on trace_export trace_off flush",
        "write_scalar": "scalar",
        "write_histogram": "histogram",
        "write_image": "image",
        "write_text": "text",
    },
)
for _place in ("initializers", "losses", "metrics", "optimizers"):
    PLACES[f"tensorflow.{_place}"] = PLACES[f"keras.{_place}"]
ELSEWHERE["tensorflow.version"] = {"VERSION": f"{_TF}:__version__"}
ELSEWHERE["tensorflow.random.experimental"] = {"Generator": f"{_TF}.random:Generator"}
ELSEWHERE["tensorflow.data.experimental"] |= {
    name: f"{_TF}.data:{name}" for name in ("cardinality", "make_csv_dataset")
}
ELSEWHERE["tensorflow.compat.v1.random"] = {"set_random_seed": f"{_TF}.random:set_seed"}

# ---- names of older versions ----

#: Modules of Keras 1 and 2, and private ones of today, by the place that has their names now.
_MODULES = {
    "keras": """engine engine.topology engine.training engine.base_layer engine.input_layer engine.input_spec
        engine.sequential engine.functional engine.network legacy""",
    "keras.activations": "layers.activation_functions layers.activations",
    "keras.backend": "backend.tensorflow_backend backend.theano_backend backend.common",
    "keras.callbacks": "callbacks.callbacks",
    "keras.constraints": "layers.constraints",
    "keras.initializers": "initializations initializers.initializers_v2 layers.initializers",
    "keras.layers": """layers.core layers.convolutional layers.convolutional_recurrent layers.recurrent
        layers.embeddings layers.normalization layers.advanced_activations layers.merge layers.noise
        layers.pooling layers.local layers.wrappers layers.cudnn_recurrent layers.experimental
        layers.experimental.preprocessing layers.preprocessing layers.containers layers.serialization layers.merging
        layers.reshaping layers.activation layers.normalization.batch_normalization layers.regularization
        layers.rnn legacy.layers""",
    "keras.losses": "objectives",
    "keras.models": "models.functional models.sequential models.model",
    "keras.optimizers": "optimizers.legacy optimizers.experimental optimizer_v2 optimizer_v1",
    "keras.optimizers.schedules": "optimizers.schedules.learning_rate_schedule",
    "keras.preprocessing.image": "utils.image_utils legacy.preprocessing.image",
    "keras.preprocessing.sequence": "legacy.preprocessing.sequence",
    "keras.preprocessing.text": "legacy.preprocessing.text",
    "keras.regularizers": "layers.regularizers",
    "keras.saving": "saving.legacy saving.saving_lib saving.object_registration",
    "keras.utils": """utils.np_utils utils.vis_utils utils.visualize_util utils.generic_utils utils.data_utils
        utils.layer_utils utils.io_utils utils.conv_utils utils.all_utils utils.training_utils""",
    "keras.mixed_precision": "mixed_precision.experimental",
    "keras.backend.legacy": "",
}
PATHS = {f"keras.{path}": place for place, paths in _MODULES.items() for path in paths.split()}
#: Paths of today's Keras among them, of which nothing is said.
TODAY = ("keras.legacy", "keras.optimizers.legacy", "keras.models.", "keras.saving.", "keras.layers.experimental")


class Old(NamedTuple):
    """A name of an older version of Keras: what today's is called, and a function that returns what it stands for."""

    today: str
    value: Callable[[], Any]


def _old(names: dict[str, str]) -> dict[str, Old]:
    """Names of old by today's, which are given as ``"module:name"``, or as ``"module:name today's name"``."""

    def entry(path: str) -> Old:
        path, _, today = path.partition(" ")
        module, _, name = path.partition(":")
        return Old(today or f"{module.replace('nbnet', 'keras', 1)}.{name}", lambda: attribute(path))

    return {name: entry(path) for name, path in names.items()}


_BY_HAND = "nbnet.as_keras.old_keras"
OLD_NAMES: dict[str, Old] = _old(
    {
        "keras.layers.Convolution1D": f"{_BY_HAND}:Convolution1D keras.layers.Conv1D",
        "keras.layers.Convolution2D": f"{_BY_HAND}:Convolution2D keras.layers.Conv2D",
        "keras.layers.Deconvolution2D": "nbnet.layers:Conv2DTranspose",
        "keras.layers.SeparableConvolution2D": "nbnet.layers:SeparableConv2D",
        "keras.layers.merge": f"{_BY_HAND}:merge keras.layers.concatenate, add, multiply or dot",
        "keras.layers.Merge": f"{_BY_HAND}:merge keras.layers.Concatenate, Add, Multiply or Dot",
        "keras.layers.ThresholdedReLU": f"{_BY_HAND}:ThresholdedReLU keras.layers.ReLU(threshold=...)",
        "keras.layers.CuDNNLSTM": "nbnet.layers:LSTM",
        "keras.layers.CuDNNGRU": "nbnet.layers:GRU",
        "keras.initializers.normal": "nbnet.initializers:RandomNormal",
        "keras.initializers.uniform": "nbnet.initializers:RandomUniform",
        "keras.initializers.zero": "nbnet.initializers:Zeros",
        "keras.initializers.one": "nbnet.initializers:Ones",
        "keras.constraints.maxnorm": "nbnet.constraints:MaxNorm",
        "keras.constraints.nonneg": "nbnet.constraints:NonNeg",
        "keras.constraints.unitnorm": "nbnet.constraints:UnitNorm",
        "keras.regularizers.l1l2": "nbnet.regularizers:L1L2",
        "keras.regularizers.activity_l1": "nbnet.regularizers:L1",
        "keras.regularizers.activity_l2": "nbnet.regularizers:L2",
        "keras.regularizers.WeightRegularizer": "nbnet.regularizers:L1L2",
        "keras.utils.plot": f"{_BY_HAND}:plot_model keras.utils.plot_model",
        "keras.utils.print_summary": f"{_BY_HAND}:print_summary model.summary()",
        "keras.utils.multi_gpu_model": f"{_BY_HAND}:multi_gpu_model the model itself",
        "keras.utils.probas_to_classes": f"{_BY_HAND}:probas_to_classes numpy.argmax(probabilities, axis=-1)",
        "keras.models.Functional": "nbnet.models:Model",
        "keras.models.model_from_yaml": "nbnet.saving:model_from_json keras.models.model_from_json",
        "keras.optimizers.rmsprop": "nbnet.optimizers:RMSprop",
        "keras.optimizers.adadelta": "nbnet.optimizers:Adadelta",
        "keras.optimizers.adagrad": "nbnet.optimizers:Adagrad",
        "keras.optimizers.adam": "nbnet.optimizers:Adam",
        "keras.optimizers.adamax": "nbnet.optimizers:Adamax",
        "keras.optimizers.nadam": "nbnet.optimizers:Nadam",
        "keras.optimizers.sgd": "nbnet.optimizers:SGD",
    }
)

_told: set[str] = set()


def warn_old(name: str, today: str) -> None:
    """Warn once that a name is an old one, at the line of the script that uses it.

    Examples
    --------
    >>> import warnings
    >>> from nbnet.as_keras.places import warn_old
    >>> with warnings.catch_warnings(record=True, action="always") as caught:
    ...     warn_old("keras.docs.old", "keras.docs.new")
    ...     warn_old("keras.docs.old", "keras.docs.new")
    >>> [str(warning.message) for warning in caught]
    ['keras.docs.old is an old name: today it is keras.docs.new']
    """
    if name in _told:
        return
    _told.add(name)
    frame = sys._getframe()
    while frame.f_back is not None and _is_ours(frame.f_code.co_filename):
        frame = frame.f_back
    text = f"{name} is an old name: today it is {today}"
    module = frame.f_globals.get("__name__")
    warnings.warn_explicit(text, DeprecationWarning, frame.f_code.co_filename, frame.f_lineno, module)


def _is_ours(file: str) -> bool:
    return file.startswith(_PACKAGE) or "importlib" in file


_PACKAGE = __file__.removesuffix("places.py")


def attribute(path: str) -> Any:
    """Import ``"module:name"``; the module itself if the name is empty."""
    module, _, name = path.partition(":")
    loaded = importlib.import_module(module)
    return getattr(loaded, name) if name else loaded


# ---- paths ----


def resolve(fullname: str) -> str | None:
    """Return the place of a module by any path to it; None if there is none.

    Examples
    --------
    >>> from nbnet.as_keras.places import resolve
    >>> resolve("tensorflow.keras.layers"), resolve("keras.src.layers.core.dense"), resolve("keras.nothing")
    ('keras.layers', 'keras.layers', None)
    """
    place, loose = _plain(fullname.split("."))
    if place not in PLACES and place.startswith("tensorflow.compat.v1."):
        place = place.replace(".compat.v1", "")
    if place in PLACES:
        return place
    if place in PATHS:
        if not loose and not place.startswith(TODAY):
            warn_old(place, PATHS[place])
        return PATHS[place]
    # A class is no module.
    while loose and "." in place and place.islower():
        # A private path: the file that a class is in differs from version to version.
        place = place.rpartition(".")[0]
        if place in PATHS or place in PLACES:
            return PATHS.get(place, place)
    return None


def _plain(parts: list[str]) -> tuple[str, bool]:
    """Return a path without the ways that lead to the same module, and True if it is one of private files."""
    loose = False
    if parts[0] == "keras_preprocessing":
        parts = ["keras", "preprocessing", *parts[1:]]
    if parts[0] in ("tf_keras", "keras_core"):
        parts = ["keras", *parts[1:]]
    while parts[:3] in (["tensorflow", "compat", "v2"], ["tensorflow", "_api", "v2"]):
        parts = ["tensorflow", *parts[3:]]
    if parts[0] == "tensorflow":
        if "keras" in parts[1:4]:
            loose = "python" in parts
            parts = parts[parts.index("keras") :]
        else:
            return ".".join(parts), False
    while parts[1:2] in (["src"], ["api"], ["_tf_keras"], ["_v2"], ["_v1"], ["keras"]):
        loose = loose or parts[1] == "src"
        parts = ["keras", *parts[2:]]
    return ".".join(parts), loose
