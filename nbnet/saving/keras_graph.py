"""Models of inputs and outputs in Keras's form: layers with the nodes of their calls, and back.

A node has the arguments of a call; a tensor in them is the name of a layer or operation, the number of its call, and
the number among its results. Functions of ``nbnet.ops`` are Keras's operations: the arguments that are no tensors are
those of their constructor.
"""

from __future__ import annotations

import inspect
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from nbnet import ops
from nbnet.base.loading_budget import count_steps
from nbnet.base.registry import UniqueNames
from nbnet.base.tree import flatten, map_structure
from nbnet.engine.graph.symbolic import Producer, Symbol, has_symbols
from nbnet.engine.graph.tensor import Tensor
from nbnet.layers.input import InputLayer
from nbnet.layers.layer import Layer
from nbnet.layers.serialization import deserialize
from nbnet.models.call_graph import CallGraph, _input_config

#: The argument of calls that stands for none.
_INFERENCE = ("training", False)
#: Functions by Keras's module of their operation, with the arguments of its constructor.
_OPERATIONS = {
    "keras.src.ops.numpy": """
        abs absolute add all:axis,keepdims allclose:rtol,atol,equal_nan amax:axis,keepdims amin:axis,keepdims
        any:axis,keepdims append:axis arange:dtype arccos arccosh arcsin arcsinh arctan arctan2 arctanh
        argmax:axis,keepdims argmin:axis,keepdims argpartition:kth,axis argsort:axis
        array_split:indices_or_sections,axis average:axis bincount:weights,minlength bitwise_left_shift
        bitwise_right_shift broadcast_to:shape cbrt ceil clip:x_min,x_max concatenate:axis copy corrcoef
        correlate:mode cos cosh count_nonzero:axis cross:axisa,axisb,axisc,axis cumprod:axis,dtype
        cumsum:axis,dtype deg2rad diag:k diagflat:k diagonal:offset,axis1,axis2 diff:n,axis digitize divide
        divide_no_nan dot dsplit:indices_or_sections dstack einsum:subscripts empty_like:dtype equal exp exp2
        expand_dims:axis expm1 fabs flip:axis fliplr flipud floor floor_divide fmax fmin fmod full:shape,dtype
        full_like:dtype gcd geomspace:num,endpoint,dtype,axis get_item greater greater_equal heaviside
        hsplit:indices_or_sections hstack hypot i0 inner isclose:equal_nan isfinite isin:assume_unique,invert
        isinf isnan isneginf isposinf isreal kron lcm ldexp left_shift less less_equal
        linspace:num,endpoint,retstep,dtype,axis log log10 log1p log2 logaddexp logaddexp2 logical_and
        logical_not logical_or logical_xor logspace:num,endpoint,base,dtype,axis matmul
        max:axis,keepdims,initial maximum mean:axis,keepdims median:axis,keepdims meshgrid:indexing
        min:axis,keepdims,initial minimum mod moveaxis:source,destination multiply
        nan_to_num:nan,posinf,neginf nancumprod:axis,dtype nancumsum:axis,dtype nanmax:axis,keepdims
        nanmean:axis,keepdims nanmedian:axis,keepdims nanmin:axis,keepdims nanpercentile:axis,method,keepdims
        nanprod:axis,keepdims nanquantile:axis,method,keepdims nanstd:axis,keepdims nansum:axis,keepdims
        nanvar:axis,keepdims negative nextafter not_equal ones_like:dtype outer pad:pad_width,mode
        percentile:axis,method,keepdims power prod:axis,keepdims,dtype ptp:axis,keepdims
        quantile:axis,method,keepdims rad2deg ravel reciprocal repeat:repeats,axis reshape:newshape
        right_shift roll:shift,axis rot90:k,axes round:decimals searchsorted:side select sign signbit sin sinc
        sinh sort:axis split:indices_or_sections,axis sqrt square squeeze:axis stack:axis std:axis,keepdims
        subtract sum:axis,keepdims swapaxes:axis1,axis2 take:axis take_along_axis:axis tan tanh tensordot:axes
        tile:repeats trace:offset,axis1,axis2 transpose:axes trapezoid:x,dx,axis tril:k triu:k true_divide
        trunc unravel_index:shape vander:N,increasing var:axis,keepdims vdot vsplit:indices_or_sections vstack
        where zeros_like:dtype
    """,
    "keras.src.ops.nn": """
        adaptive_average_pool:output_size,data_format adaptive_max_pool:output_size,data_format
        average_pool:pool_size,strides,padding,data_format batch_normalization:axis,epsilon
        binary_crossentropy:from_logits categorical_crossentropy:from_logits,axis celu:alpha
        conv:strides,padding,data_format,dilation_rate
        conv_transpose:strides,padding,output_padding,data_format,dilation_rate
        depth_to_space:block_size,data_format depthwise_conv:strides,padding,data_format,dilation_rate
        elu:alpha fold:output_size,kernel_size,dilation,padding,stride gelu:approximate glu:axis
        hard_shrink:threshold hard_sigmoid hard_silu hard_tanh leaky_relu:negative_slope log_sigmoid
        log_softmax:axis max_pool:pool_size,strides,padding,data_format moments:axes,keepdims,synchronized
        multi_hot:num_classes,axis,dtype,sparse normalize:axis,order,epsilon
        one_hot:num_classes,axis,dtype,sparse psnr:max_val relu relu6 selu
        separable_conv:strides,padding,data_format,dilation_rate sigmoid silu soft_shrink:threshold
        softmax:axis softplus softsign space_to_depth:block_size,data_format
        sparse_categorical_crossentropy:from_logits,axis sparse_plus sparse_sigmoid sparsemax:axis
        squareplus:b tanh_shrink threshold:threshold,default_value unfold:kernel_size,dilation,padding,stride
    """,
    "keras.src.ops.math": """
        cdist erf erfc erfinv extract_sequences:sequence_length,sequence_stride in_top_k:k logdet
        logsumexp:axis,keepdims rsqrt segment_max:num_segments,sorted segment_min:num_segments,sorted
        segment_prod:num_segments,sorted segment_sum:num_segments,sorted top_k:k,sorted
    """,
    "keras.src.ops.core": """
        cast:dtype convert_to_tensor:dtype saturate_cast:dtype scatter:shape scatter_update:reduction
        slice:shape slice_update stop_gradient unstack:num,axis
    """,
    "keras.src.ops.linalg": """
        cholesky:upper cholesky_inverse:upper det eigh inv lstsq:rcond lu_factor matrix_rank:tol
        norm:ord,axis,keepdims pinv:rcond qr:mode solve solve_triangular:lower svd:full_matrices,compute_uv
    """,
}  # fmt: skip
#: Numbers of arguments of calls, which are tensors, where they are not two at most.
TENSORS = {
    "amax": 1, "amin": 1, "arange": 3, "batch_normalization": 5, "einsum": 100, "isclose": 4, "relu": 1,
    "scatter_update": 3, "select": 3, "separable_conv": 3, "slice_update": 3, "where": 3,
}  # fmt: skip
#: Names of operations that are not those of their functions in camel case.
_CLASSES = {
    "allclose": "AllClose", "batch_normalization": "BatchNorm", "cdist": "CDist", "isin": "IsIn", "psnr": "PSNR",
    "searchsorted": "SearchSorted", "svd": "SVD",
}  # fmt: skip
#: Names of the functions of operations that are others in nbnet, or have several.
_FUNCTIONS = {"Abs": "abs", "Absolute": "absolute", "HardSwish": "hard_silu", "Swish": "silu"}


def _table() -> dict[str, tuple[str, str, tuple[str, ...]]]:
    found = {}
    for module, text in _OPERATIONS.items():
        for entry in text.split():
            name, _, arguments = entry.partition(":")
            class_name = _CLASSES.get(name) or "".join(word.capitalize() for word in name.split("_"))
            found[name] = module, class_name, tuple(arguments.split(",")) if arguments else ()
    return found


#: By name of a function: module and class of Keras's operation, and the arguments of its constructor.
OPERATIONS = _table()
BY_CLASS = {class_name: name for name, (_, class_name, _) in OPERATIONS.items()} | _FUNCTIONS


# ---- to Keras ----


def graph_to_keras(graph: CallGraph, describe: Callable[[Layer], dict[str, Any]]) -> dict[str, Any]:
    """Return the layers, inputs and outputs of a model in Keras's form.

    Parameters
    ----------
    describe
        Returns Keras's configuration of a layer.

    Raises
    ------
    ValueError, TypeError
        If Keras has no operation for a function that is called, or an argument cannot be written down.
    """
    graph = graph.without_losses()
    inner = [layer for layer in graph.layers if not isinstance(layer, InputLayer)]
    names = UniqueNames(layer.name for layer in inner)
    entries: dict[int, dict[str, Any]] = {}
    places: dict[int, tuple[str, int, int]] = {}
    order = []
    taken = {layer.name for layer in inner}
    for symbol in graph.input_list:
        config = _input_config(symbol, taken)
        places[id(symbol)] = config["name"], 0, 0
        names.take(config["name"])
        order.append(describe(InputLayer.from_config(config)) | {"name": config["name"], "inbound_nodes": []})
    for producer in graph.calls:
        function = producer.function
        if isinstance(function, Layer):
            if id(function) not in entries:
                entries[id(function)] = describe(function) | {"name": function.name, "inbound_nodes": []}
            entry = entries[id(function)]
            args, kwargs = list(producer.args), producer.kwargs
        else:
            entry, args, kwargs = _operation(producer, names)
            entries[id(producer)] = entry
        number = len(entry["inbound_nodes"])
        for k, symbol in enumerate(flatten(producer.outputs)):
            places.setdefault(id(symbol), (entry["name"], number, k))
        node = {
            "args": [_encode(arg, places, producer.name) for arg in args],
            "kwargs": {name: _encode(arg, places, producer.name) for name, arg in kwargs.items()},
        }
        if kwargs.get("training") is not None:
            node["training"] = kwargs["training"]
        entry["inbound_nodes"].append(node)
    for producer in graph.producers:
        key = id(producer.function) if isinstance(producer.function, Layer) else id(producer)
        if key in entries:
            order.append(entries.pop(key))
    return {
        "layers": order,
        "input_layers": _structure(graph.inputs, places),
        "output_layers": _structure(graph.outputs, places),
    }


def _structure(structure: Any, places: Mapping[int, tuple[str, int, int]]) -> Any:
    """Return the places of symbols in the structure of inputs or outputs; Keras has a list around a single one."""
    found = map_structure(lambda symbol: list(places[id(symbol)]), structure)
    return [found] if isinstance(structure, Symbol) else found


def _operation(producer: Producer, names: UniqueNames) -> tuple[dict[str, Any], list[Any], dict[str, Any]]:
    """Return Keras's entry for a call of a function, and the arguments of its node."""
    name = producer.function.__name__
    offered = getattr(ops, name, None)
    if offered is None or getattr(offered, "__wrapped__", offered) is not producer.function:
        raise ValueError(f"{name}: only functions of nbnet.ops can be saved in a model; wrap this one in a Layer")
    signature = inspect.signature(producer.function)
    arguments = dict(signature.bind(*producer.args, **producer.kwargs).arguments)
    unknown: tuple[str | None, str, tuple[str, ...]] = (None, name, ())
    module, class_name, own = OPERATIONS.get(name, unknown)
    if len(arguments.keys() - {*own}) > TENSORS.get(name, 2):
        module, own = None, ()  # Keras's operation has fewer arguments
    config = {key: _plain(arguments.pop(key), name) for key in own if key in arguments}
    label = names.take(producer.name)
    entry: dict[str, Any] = {
        "module": module,
        "class_name": class_name,
        "config": {"name": label, **config},
        "registered_name": class_name if module else f"nbnet>ops.{name}",
        "name": label,
        "inbound_nodes": [],
    }
    args: list[Any] = []
    for key, value in arguments.items():
        if signature.parameters[key].kind is inspect.Parameter.VAR_POSITIONAL:
            args.extend(value)
        elif signature.parameters[key].kind is inspect.Parameter.VAR_KEYWORD:
            raise ValueError(f"{name}: its arguments cannot be saved")
        else:
            args.append(value)
    while args and args[-1] is None:
        args.pop()
    return entry, args, {}


def _plain(value: Any, name: str) -> Any:
    if isinstance(value, (Tensor, np.ndarray)):
        return (value.numpy() if isinstance(value, Tensor) else value).tolist()
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, (np.dtype, type)):
        return np.dtype(value).name
    if isinstance(value, (list, tuple)):
        return [_plain(part, name) for part in value]
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise ValueError(f"{name}: an argument {value!r:.60} cannot be saved")


def _encode(value: Any, places: Mapping[int, tuple[str, int, int]], path: str) -> Any:
    if isinstance(value, Symbol):
        return _object(
            "__keras_tensor__",
            {
                "shape": list(value.shape),
                "dtype": "string" if value.dtype.kind == "U" else value.dtype.name,
                "keras_history": list(places[id(value)]),
            },
        )
    if isinstance(value, (list, tuple)):
        return [_encode(part, places, path) for part in value]
    if isinstance(value, Mapping):
        return {key: _encode(part, places, path) for key, part in value.items()}
    if isinstance(value, Tensor) and value.requires_grad:
        raise ValueError(f"{path}: a parameter that belongs to no layer cannot be saved; make it a weight of a Layer")
    if isinstance(value, Tensor):
        value = value.numpy()
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return _object("__numpy__", {"value": value.tolist(), "dtype": value.dtype.name})
    if isinstance(value, slice):
        return _object("__slice__", {"start": value.start, "stop": value.stop, "step": value.step})
    return _object("__ellipsis__", {}) if value is Ellipsis else value


def _object(name: str, config: dict[str, Any]) -> dict[str, Any]:
    return {"class_name": name, "config": config}


# ---- from Keras ----


def prepared(config: Mapping[str, Any], translate: Callable[[Any, Any], Any]) -> dict[str, Any]:
    """Return the configuration of a model with its layers in nbnet's form; nodes stay as they are."""
    layers = config.get("layers")
    if not isinstance(layers, list):
        raise ValueError(f"layers: expected a list, got {str(layers)[:60]}")
    found = []
    for entry in layers:
        if not isinstance(entry, dict) or not isinstance(entry.get("class_name"), str):
            raise ValueError(f"layers: expected objects with a class_name, got {str(entry)[:60]}")
        inner = entry.get("config")
        if not isinstance(inner, dict):
            raise ValueError(f"{entry['class_name']}: expected an object as config, got {str(inner)[:60]}")
        name = entry.get("name", inner.get("name"))
        nodes = entry.get("inbound_nodes", [])
        if not isinstance(name, str) or not isinstance(nodes, list):
            raise ValueError(f"{entry['class_name']}: expected a name and a list of inbound_nodes")
        operation = _function_name(entry)
        if operation is not None:
            arguments = {key: value for key, value in inner.items() if key not in ("name", "dtype", "trainable")}
            described: dict[str, Any] = {"op": operation, "config": arguments}
        else:
            described = translate({k: v for k, v in entry.items() if k not in ("name", "inbound_nodes")}, "layers")
        found.append(described | {"name": name, "inbound_nodes": nodes})
    rest = {key: config[key] for key in ("name", "trainable") if key in config}
    return rest | {
        "layers": found, "input_layers": config.get("input_layers"), "output_layers": config.get("output_layers"),
    }  # fmt: skip


def _function_name(entry: Mapping[str, Any]) -> str | None:
    """Return the name of the function that an entry's operation stands for; None if the entry is a layer."""
    module, label, class_name = entry.get("module"), entry.get("registered_name"), entry["class_name"]
    if module is None and label is None and class_name in BY_CLASS and "trainable" not in entry["config"]:
        module = "keras.src.ops"  # an older file, where layers have more arguments than operations
    if isinstance(module, str) and module.startswith("keras.src.ops"):
        name = BY_CLASS.get(class_name)
        if name is None or name not in ops.__all__:
            raise ValueError(f"{class_name}: nbnet has no such operation")
        return name
    if isinstance(label, str) and label.startswith("nbnet>ops."):
        name = label.removeprefix("nbnet>ops.")
        if name not in ops.__all__:
            raise ValueError(f"{name}: nbnet.ops has no such function")
        return name
    return None


def graph_from_keras(config: Mapping[str, Any]) -> tuple[Any, Any]:
    """Return inputs and outputs, in symbols, of a configuration that :func:`prepared` returned.

    Raises
    ------
    ValueError, TypeError
        If nodes refer to what is not there or to each other in a circle, or arguments do not fit.
    """
    config = _without_masks(config)
    functions: dict[str, Any] = {}
    values: dict[tuple[str, int], list[Any]] = {}
    waiting: dict[tuple[str, int], list[tuple[str, int]]] = {}
    nodes: dict[tuple[str, int], Any] = {}
    missing: dict[tuple[str, int], int] = {}
    ready: deque[tuple[str, int]] = deque()
    for entry in config["layers"]:
        name = entry["name"]
        if name in functions:
            raise ValueError(f"layers: the name {name!r} is there twice")
        functions[name] = entry if "op" in entry else deserialize(entry_config(entry))
        if isinstance(functions[name], InputLayer):
            values[name, 0] = [functions[name].output]
        for number, node in enumerate(entry["inbound_nodes"]):
            nodes[name, number] = node
    for key, node in nodes.items():
        needs = {place for place in _references(node) if place not in values}
        missing[key] = len(needs)
        for place in needs:
            waiting.setdefault(place, []).append(key)
        if not needs:
            ready.append(key)
    done = 0
    while ready:
        key = ready.popleft()
        done += 1
        count_steps(1, key[0])
        if isinstance(functions[key[0]], InputLayer):
            continue
        args, kwargs = _arguments(nodes[key], values)
        if isinstance(functions[key[0]], Layer):
            kwargs = _given(nodes[key], kwargs)
        # Before the call: one of constants alone would compute, and no model has any.
        if not has_symbols(args) and not has_symbols(kwargs):
            raise ValueError(f"{key[0]}: the call depends on no input")
        results = list(flatten(_called(functions[key[0]], args, kwargs, key[0])))
        if not all(isinstance(value, Symbol) for value in results):
            raise ValueError(f"{key[0]}: the call depends on no input")
        values[key] = results
        for other in waiting.get(key, ()):
            missing[other] -= 1
            if not missing[other]:
                ready.append(other)
    if done < len(nodes):
        name = next(key[0] for key in nodes if key not in values and not isinstance(functions[key[0]], InputLayer))
        raise ValueError(f"{name}: a call depends on one that is not there, or on itself")
    return _named_tensors(config["input_layers"], values), _named_tensors(config["output_layers"], values)


def _without_masks(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a configuration without the masks of time steps that Keras writes down as operations: layers hand them on
    here, too."""
    read = {
        (place, float(entry["config"].get("mask_value", 0.0)))
        for entry in config["layers"]
        if entry.get("class_name") == "Masking" or entry.get("config", {}).get("mask_zero") is True
        for node in entry["inbound_nodes"]
        for place in _references(node)
    }
    masks: set[str] = set()
    for entry in config["layers"]:  # operations stand after those whose results they read
        node = entry["inbound_nodes"][0] if len(entry["inbound_nodes"]) == 1 else None
        if "op" in entry and isinstance(node, dict):
            places, args = list(_references(node)), node.get("args")
            constant = args[1] if isinstance(args, list) and len(args) == 2 else None
            compared = entry["op"] == "not_equal" and len(places) == 1 and isinstance(constant, (int, float))
            if (compared and (places[0], float(constant or 0.0)) in read) or (
                places and all(name in masks for name, _ in places)
            ):
                masks.add(entry["name"])
    if not masks:
        return config
    layers = []
    for entry in config["layers"]:
        if "op" in entry:
            layers.append(entry)
            continue
        nodes = [
            node | {"kwargs": {key: value for key, value in node["kwargs"].items() if not _is_mask(key, value, masks)}}
            if isinstance(node, dict) and isinstance(node.get("kwargs"), dict)
            else node
            for node in entry["inbound_nodes"]
        ]
        layers.append(entry | {"inbound_nodes": nodes})
    used = {name for entry in layers if entry["name"] not in masks for name, _ in _references(entry["inbound_nodes"])}
    used |= {str(name) for name in _names(config["output_layers"])}
    kept = layers if used & masks else [entry for entry in layers if entry["name"] not in masks]
    return {**config, "layers": kept}


def _is_mask(key: str, value: Any, masks: set[str]) -> bool:
    place = _tensor_place(value) if isinstance(value, dict) else None
    return key == "mask" and place is not None and place[0] in masks


def _names(structure: Any) -> Iterator[Any]:
    """Yield the names in the places of inputs or outputs."""
    if _is_place(structure):
        yield structure[0]
    elif isinstance(structure, (list, dict)):
        for part in structure.values() if isinstance(structure, dict) else structure:
            yield from _names(part)


def entry_config(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Return the part of an entry that describes its layer."""
    return {"class_name": entry["class_name"], "config": entry["config"]}


def _called(function: Any, args: list[Any], kwargs: dict[str, Any], name: str) -> Any:
    if isinstance(function, Layer):
        return function(*args, **kwargs)
    known = getattr(ops, function["op"])
    parameters = inspect.signature(known).parameters
    config = {
        key: tuple(value) if isinstance(value, list) and key != "indices_or_sections" else value
        for key, value in function["config"].items()
        if key in parameters or value not in (None, False)
    }
    if function["op"] == "get_item":
        args = [args[0], *(tuple(key) if isinstance(key, list) else key for key in args[1:])]
    if unknown := config.keys() - parameters.keys():
        raise ValueError(f"{name}: {min(unknown)} is not supported")
    names = list(parameters)
    for key in config:
        # Tensors of a call are positional, also after arguments of the constructor.
        if key in names[: len(args)]:
            rest = [other for other in names if other not in config]
            return known(**config, **dict(zip(rest, args, strict=False)), **kwargs)
    return known(*args, **config, **kwargs)


def _references(node: Any) -> Iterator[tuple[str, int]]:
    """Yield the calls whose results a node reads."""
    left = [node]
    while left:
        part = left.pop()
        if isinstance(part, dict):
            place = _tensor_place(part)
            if place is not None:
                yield place[:2]
            else:
                left.extend(part.values())
        elif isinstance(part, list):
            if isinstance(node, list) and _is_place(part):
                yield part[0], part[1]
                left.extend(part[3:])
            else:
                left.extend(part)


def _is_place(part: Any) -> bool:
    return (
        isinstance(part, list) and len(part) in (3, 4) and isinstance(part[0], str)
        and type(part[1]) is int and type(part[2]) is int
    )  # fmt: skip


def _tensor_place(part: Mapping[str, Any]) -> tuple[str, int, int] | None:
    if part.get("class_name") != "__keras_tensor__":
        return None
    config = part.get("config")
    history = config.get("keras_history") if isinstance(config, dict) else None
    if not isinstance(history, list) or not _is_place(history) or len(history) != 3:
        raise ValueError(f"inbound_nodes: expected a tensor of the model, got {str(part)[:60]}")
    name, node, number = history
    return name, node, number


def _arguments(node: Any, values: Mapping[tuple[str, int], list[Any]]) -> tuple[list[Any], dict[str, Any]]:
    if isinstance(node, dict):
        args, kwargs = node.get("args"), node.get("kwargs")
        if not isinstance(args, list) or not isinstance(kwargs, dict):
            raise ValueError(f"inbound_nodes: expected args and kwargs, got {str(node)[:60]}")
        return [_decode(arg, values) for arg in args], {key: _decode(arg, values) for key, arg in kwargs.items()}
    # Keras 2: a list of tensors, each with the keyword arguments of the call.
    if not isinstance(node, list) or not node:
        raise ValueError(f"inbound_nodes: expected an object or a list, got {str(node)[:60]}")
    single = _is_place(node)
    places = [node] if single else node
    if not all(_is_place(place) for place in places):
        raise ValueError(f"inbound_nodes: expected places of tensors, got {str(node)[:60]}")
    options = places[0][3] if len(places[0]) == 4 else {}
    if not isinstance(options, dict):
        raise ValueError(f"inbound_nodes: expected keyword arguments, got {str(options)[:60]}")
    tensors = [_value(place[0], place[1], place[2], values) for place in places]
    kwargs = {key: _decode(value, values) for key, value in options.items()}
    return [tensors[0] if len(tensors) == 1 else tensors], kwargs


def _given(node: Any, kwargs: dict[str, Any]) -> dict[str, Any]:
    """Return the keyword arguments that were given to a layer: Keras writes down others, too, and its models overrule
    the mode of a call; those of Keras 2 do so unless it is training."""
    given = {key: value for key, value in kwargs.items() if value is not None and (key, value) != _INFERENCE}
    if not isinstance(node, dict):
        return given
    given.pop("training", None)
    mode = node.get("training")
    return given | {"training": mode} if isinstance(mode, bool) else given


def _value(name: str, node: int, number: int, values: Mapping[tuple[str, int], list[Any]]) -> Any:
    results = values.get((name, node), [])
    if not 0 <= number < len(results):
        raise ValueError(f"{name}: has no result {number} of call {node}")
    return results[number]


def _decode(value: Any, values: Mapping[tuple[str, int], list[Any]]) -> Any:
    if isinstance(value, list):
        return [_decode(part, values) for part in value]
    if not isinstance(value, dict):
        return value
    place = _tensor_place(value)
    if place is not None:
        return _value(*place, values)
    name, config = value.get("class_name"), value.get("config")
    if name == "__slice__" and isinstance(config, dict):
        return slice(*(config.get(key) for key in ("start", "stop", "step")))
    if name == "__ellipsis__":
        return Ellipsis
    if name in ("__numpy__", "__tensor__") and isinstance(config, dict):
        dtype = config.get("dtype")
        if dtype not in ("float32", "float64", "int32", "int64", "bool"):
            raise ValueError(f"inbound_nodes: expected an array of numbers, got {str(dtype)[:60]}")
        return np.array(config.get("value"), dtype)
    if isinstance(name, str) and "config" in value:
        raise ValueError(f"inbound_nodes: {name} is not an argument")
    return {key: _decode(part, values) for key, part in value.items()}


def _named_tensors(structure: Any, values: Mapping[tuple[str, int], list[Any]]) -> Any:
    """Return the symbols of inputs or outputs."""
    if _is_place(structure) and len(structure) == 3:
        return _value(structure[0], structure[1], structure[2], values)
    if isinstance(structure, list):
        return [_named_tensors(part, values) for part in structure]
    if isinstance(structure, dict):
        return {key: _named_tensors(part, values) for key, part in structure.items()}
    raise ValueError(f"input_layers, output_layers: expected places of tensors, got {str(structure)[:60]}")
