"""The table of what ``keras`` and ``tensorflow`` hold, module by module, and where in nbnet it is found.

A place is the plain name of a module, ``keras.layers``. Other paths to it, such as ``tensorflow.keras.layers``,
``keras.src.layers.core.dense`` and the old ``keras.layers.convolutional``, are resolved to it.
"""

from __future__ import annotations

from nbnet.as_keras.old_names import PATHS, TODAY, warn_old

#: Packages that are stood in for.
TOPS = ("keras", "tensorflow", "tf_keras", "keras_preprocessing")

#: Modules of nbnet in which the names of a place are looked up, in this order.
PLACES: dict[str, tuple[str, ...]] = {
    "keras": ("nbnet", "nbnet.models", "nbnet.utils"),
    "keras.activations": ("nbnet.activations",),
    "keras.applications": (),
    "keras.backend": ("nbnet.backend", "nbnet.config"),
    "keras.callbacks": ("nbnet.callbacks",),
    "keras.config": ("nbnet.config",),
    "keras.constraints": ("nbnet.constraints",),
    "keras.datasets": ("nbnet.datasets",),
    "keras.datasets.mnist": ("nbnet.datasets.mnist",),
    "keras.datasets.fashion_mnist": ("nbnet.datasets.fashion_mnist",),
    "keras.initializers": ("nbnet.initializers",),
    "keras.layers": ("nbnet.layers",),
    "keras.losses": ("nbnet.losses",),
    "keras.metrics": ("nbnet.metrics", "nbnet.losses"),
    "keras.models": ("nbnet.models", "nbnet.saving"),
    "keras.ops": ("nbnet.ops",),
    "keras.optimizers": ("nbnet.optimizers",),
    "keras.optimizers.schedules": ("nbnet.optimizers.schedules",),
    "keras.preprocessing": ("nbnet.utils",),
    "keras.preprocessing.image": ("nbnet.utils",),
    "keras.preprocessing.sequence": ("nbnet.utils",),
    "keras.random": ("nbnet.random",),
    "keras.regularizers": ("nbnet.regularizers",),
    "keras.saving": ("nbnet.saving", "nbnet.utils"),
    "keras.utils": ("nbnet.utils", "nbnet.saving"),
    "keras.mixed_precision": ("nbnet.as_keras.mixed_precision",),
    "tensorflow": (),
    "tensorflow.compat": (),
    "tensorflow.compat.v1": (),
    "tensorflow.python": (),
}

#: Names that are found in another module: for each place, ``{name: "module:name"}``.
ELSEWHERE: dict[str, dict[str, str]] = {
    "keras": {"__version__": "nbnet.as_keras.versions:KERAS"},
}


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
