"""The table of what ``keras`` and ``tensorflow`` hold, module by module, and where in nbnet it is found.

A place is the plain name of a module, ``keras.layers``. Other paths to it, such as ``tensorflow.keras.layers``,
``keras.src.layers.core.dense`` and the old ``keras.layers.convolutional``, are resolved to it.
"""

from __future__ import annotations

from nbnet.as_keras.old_names import PATHS, TODAY, warn_old

#: Packages that are stood in for.
TOPS = ("keras", "tensorflow", "tf_keras", "keras_preprocessing", "scikeras")

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
    "keras.preprocessing.sequence": ("nbnet.as_keras.sequence", "nbnet.utils"),
    "keras.preprocessing.text": ("nbnet.as_keras.text",),
    "keras.random": ("nbnet.random",),
    "keras.regularizers": ("nbnet.regularizers",),
    "keras.saving": ("nbnet.saving", "nbnet.utils"),
    "keras.utils": ("nbnet.utils", "nbnet.saving"),
    "keras.mixed_precision": ("nbnet.as_keras.mixed_precision",),
    "keras.wrappers": ("nbnet.as_keras.wrappers",),
    "keras.wrappers.scikit_learn": ("nbnet.as_keras.wrappers",),
    "scikeras": (),
    "scikeras.wrappers": ("nbnet.as_keras.scikeras_wrappers",),
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
    python.client.device_lib test version random.experimental compat.v1.test compat.v1.random"""
PLACES |= {f"tensorflow.{name}": () for name in _BARE.split()}

#: Names that are found in another module: for each place, ``{name: "module:name"}``.
ELSEWHERE: dict[str, dict[str, str]] = {
    "keras": {"__version__": "nbnet.as_keras.versions:KERAS"},
    "keras.utils": {"plot_model": "nbnet.as_keras.old_functions:plot_model"},
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


for _name in [
    "mnist",
    "fashion_mnist",
    "boston_housing",
    "california_housing",
    "cifar10",
    "cifar100",
    "imdb",
    "reuters",
]:
    PLACES[f"keras.datasets.{_name}"] = (f"nbnet.datasets.{_name}",)


def _surroundings(places: str, names: dict[str, str]) -> None:
    """Add names of ``tf``, ``{name in environment.py: names there}``, to places."""
    for place in places.split():
        found = ELSEWHERE.setdefault(f"tensorflow.{place}".rstrip("."), {})
        found.update({name: f"{_TF}.environment:{own}" for own, names in names.items() for name in names.split()})


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
    {
        "exists": "exists",
        "makedirs": "makedirs mkdir",
        "listdir": "listdir",
        "isdir": "isdir",
        "remove": "remove",
        "rmtree": "rmtree",
        "glob_files": "glob",
        "open_file": "GFile Open",
    },
)
_surroundings("io", {"read_text": "read_file"})
for _place in ("initializers", "losses", "optimizers"):
    PLACES[f"tensorflow.{_place}"] = (f"nbnet.{_place}",)
ELSEWHERE["tensorflow.version"] = {"VERSION": "nbnet.as_keras.versions:TENSORFLOW"}
ELSEWHERE["tensorflow.random.experimental"] = {"Generator": f"{_TF}.random:Generator"}
ELSEWHERE["tensorflow.data.experimental"] = {"cardinality": f"{_TF}.data:cardinality"}
ELSEWHERE["tensorflow.compat.v1.random"] = {"set_random_seed": f"{_TF}.random:set_seed"}


def resolve(fullname: str) -> str | None:
    """Return the place of a module by any path to it; None if there is none.

    Examples
    --------
    >>> from nbnet.as_keras.places import resolve
    >>> resolve("tensorflow.keras.layers"), resolve("keras.src.layers.core.dense"), resolve("keras.nothing")
    ('keras.layers', 'keras.layers', None)
    """
    place, loose = _plain(fullname.split("."))
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
    if parts[0] == "tf_keras":
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
