"""Functions of tensors: the parts of layers and losses, and the meaning of operators such as ``x + y``."""

from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any

from nbnet.base.unsupported_keras import keras_hint
from nbnet.engine.graph.arithmetic import operators
from nbnet.engine.graph.symbolic import symbolic
from nbnet.ops.activation import (
    celu,
    elu,
    gelu,
    hard_sigmoid,
    hard_silu,
    hard_tanh,
    leaky_relu,
    log_sigmoid,
    mish,
    prelu,
    relu,
    relu6,
    selu,
    sigmoid,
    silu,
    softplus,
    softsign,
    sparse_plus,
    sparse_sigmoid,
    squareplus,
    tanh,
)
from nbnet.ops.arithmetic import (
    clip,
    divide_no_nan,
    exp2,
    heaviside,
    log2,
    log10,
    logaddexp,
    reciprocal,
    round,
    rsqrt,
)
from nbnet.ops.broadcast import (
    add,
    bitwise_and,
    bitwise_not,
    bitwise_or,
    bitwise_xor,
    divide,
    floor_divide,
    maximum,
    minimum,
    mod,
    multiply,
    power,
    subtract,
)
from nbnet.ops.compare import (
    all,
    any,
    count_nonzero,
    equal,
    greater,
    greater_equal,
    isclose,
    isfinite,
    isinf,
    isnan,
    less,
    less_equal,
    logical_and,
    logical_not,
    logical_or,
    logical_xor,
    nan_to_num,
    not_equal,
    where,
)
from nbnet.ops.conv import conv
from nbnet.ops.convert import cast, convert_to_numpy, convert_to_tensor, is_tensor, ndim, shape, size, time_mask
from nbnet.ops.create import arange, eye, full, full_like, linspace, one_hot, ones, ones_like, zeros, zeros_like
from nbnet.ops.dense import dense
from nbnet.ops.dropout import alpha_dropout, bernoulli, dropout
from nbnet.ops.elementwise import (
    abs,
    ceil,
    cos,
    erf,
    exp,
    expm1,
    floor,
    log,
    log1p,
    negative,
    sign,
    sin,
    sqrt,
    square,
    stop_gradient,
)
from nbnet.ops.gather import embedding
from nbnet.ops.index import flip, get_item, pad, repeat, roll, take, tile
from nbnet.ops.matmul import dot, matmul, outer
from nbnet.ops.noise import concrete_dropout, gaussian_dropout, gaussian_noise
from nbnet.ops.normalization import batch_norm, batch_normalization, layer_norm
from nbnet.ops.pool import average_pool, max_pool
from nbnet.ops.reduction import max, mean, min, sum, weighted_mean, weighted_sum
from nbnet.ops.reshape import broadcast_to, expand_dims, moveaxis, ravel, reshape, squeeze, swapaxes, transpose
from nbnet.ops.slicing import concatenate, hstack, split, stack, unstack, vstack
from nbnet.ops.softmax import glu, log_softmax, softmax, sparsemax
from nbnet.ops.statistics import average, logsumexp, moments, ptp, std, var
from nbnet.ops.structured_dropout import deal_masks, drop_block, drop_connect, take_turn
from nbnet.ops.threshold import hard_shrink, rectify, soft_shrink, tanh_shrink, threshold

# Keras's other names.
absolute = fabs = abs
amax, amin, true_divide = max, min, divide
hard_swish, swish = hard_silu, silu

__all__ = [
    "abs", "absolute", "adaptive_average_pool", "adaptive_max_pool", "add", "all", "allclose", "alpha_dropout", "amax",
    "amin", "angle", "any", "append", "arange", "arccos", "arccosh", "arcsin", "arcsinh", "arctan", "arctan2",
    "arctanh", "argmax", "argmin", "argpartition", "argsort", "array", "array_split", "associative_scan", "average",
    "average_pool", "bartlett", "batch_norm", "batch_normalization", "bernoulli", "binary_crossentropy", "bincount",
    "bitwise_and", "bitwise_invert", "bitwise_left_shift", "bitwise_not", "bitwise_or", "bitwise_right_shift",
    "bitwise_xor", "blackman", "broadcast_to", "cast", "categorical_crossentropy", "cbrt", "cdist", "ceil", "celu",
    "cholesky", "cholesky_inverse", "clip", "column_stack", "concatenate", "concrete_dropout", "cond", "conj",
    "conjugate", "conv", "conv_transpose", "convert_to_numpy", "convert_to_tensor", "copy", "corrcoef", "correlate",
    "cos", "cosh", "count_nonzero", "cross", "cumprod", "cumsum", "deal_masks", "deg2rad", "dense", "depth_to_space",
    "depthwise_conv", "det", "diag", "diagflat", "diagonal", "diff", "digitize", "divide", "divide_no_nan", "dot",
    "drop_block", "drop_connect", "dropout", "dsplit", "dstack", "dtype", "eigh", "einsum", "elu", "embedding", "empty",
    "empty_like", "equal", "erf", "erfc", "erfinv", "exp", "exp2", "expand_dims", "expm1", "extract_sequences", "eye",
    "fabs", "flip", "fliplr", "flipud", "floor", "floor_divide", "fmax", "fmin", "fmod", "fold", "fori_loop", "full",
    "full_like", "gaussian_dropout", "gaussian_noise", "gcd", "gelu", "geomspace", "get_item", "glu", "greater",
    "greater_equal", "hamming", "hanning", "hard_shrink", "hard_sigmoid", "hard_silu", "hard_swish", "hard_tanh",
    "heaviside", "histogram", "hsplit", "hstack", "hypot", "i0", "identity", "imag", "in_top_k", "inner", "inv",
    "is_tensor", "isclose", "isfinite", "isin", "isinf", "isnan", "isneginf", "isposinf", "isreal", "kaiser", "kron",
    "layer_norm", "layer_normalization", "lcm", "ldexp", "leaky_relu", "left_shift", "less", "less_equal", "linspace",
    "log", "log1p", "log2", "log10", "log_sigmoid", "log_softmax", "logaddexp", "logaddexp2", "logdet", "logical_and",
    "logical_not", "logical_or", "logical_xor", "logspace", "logsumexp", "lstsq", "lu_factor", "map", "matmul",
    "matrix_power", "matrix_rank", "max", "max_pool", "maximum", "mean", "median", "meshgrid", "min", "minimum", "mish",
    "mod", "moments", "moveaxis", "multi_hot", "multiply", "nan_to_num", "nanargmax", "nanargmin", "nancumprod",
    "nancumsum", "nanmax", "nanmean", "nanmedian", "nanmin", "nanpercentile", "nanprod", "nanquantile", "nanstd",
    "nansum", "nanvar", "ndim", "negative", "nextafter", "nonzero", "norm", "normalize", "not_equal", "one_hot", "ones",
    "ones_like", "outer", "pad", "percentile", "pinv", "power", "prelu", "prod", "psnr", "ptp", "qr", "quantile",
    "rad2deg", "ravel", "real", "rearrange", "reciprocal", "rectify", "relu", "relu6", "repeat", "reshape",
    "right_shift", "rms_normalization", "roll", "rot90", "round", "rsqrt", "saturate_cast", "scan", "scatter",
    "scatter_update", "searchsorted", "segment_max", "segment_min", "segment_prod", "segment_sum", "select", "selu",
    "separable_conv", "shape", "sigmoid", "sign", "signbit", "silu", "sin", "sinc", "sinh", "size", "slice",
    "slice_update", "slogdet", "soft_shrink", "softmax", "softplus", "softsign", "solve", "solve_triangular", "sort",
    "space_to_depth", "sparse_categorical_crossentropy", "sparse_plus", "sparse_sigmoid", "sparsemax", "split", "sqrt",
    "square", "squareplus", "squeeze", "stack", "std", "stop_gradient", "subtract", "sum", "svd", "swapaxes", "swish",
    "switch", "take", "take_along_axis", "take_turn", "tan", "tanh", "tanh_shrink", "tensordot", "threshold", "tile",
    "time_mask", "top_k", "trace", "transpose", "trapezoid", "tri", "tril", "triu", "true_divide", "trunc", "unfold",
    "unique", "unravel_index", "unstack", "vander", "var", "vdot", "vectorized_map", "vsplit", "vstack",
    "weighted_mean", "weighted_sum", "where", "while_loop", "zeros", "zeros_like",
]  # fmt: skip

if TYPE_CHECKING:
    from nbnet.ops.arrangement import (
        append,
        array_split,
        copy,
        depth_to_space,
        dsplit,
        dstack,
        extract_sequences,
        fliplr,
        flipud,
        fold,
        hsplit,
        rearrange,
        rot90,
        select,
        space_to_depth,
        unfold,
        vsplit,
    )
    from nbnet.ops.control_flow import associative_scan, cond, fori_loop, map, scan, switch, vectorized_map, while_loop
    from nbnet.ops.conv import depthwise_conv, separable_conv
    from nbnet.ops.cumulative import cumprod, cumsum, diff, prod, trapezoid
    from nbnet.ops.diagonals import diag, diagflat, diagonal, identity, trace, tri, tril, triu, vander
    from nbnet.ops.integers import (
        allclose,
        bincount,
        bitwise_invert,
        bitwise_left_shift,
        bitwise_right_shift,
        gcd,
        histogram,
        isin,
        lcm,
        left_shift,
        nextafter,
        nonzero,
        right_shift,
        unique,
        unravel_index,
    )
    from nbnet.ops.linear_algebra import (
        cholesky,
        cholesky_inverse,
        det,
        eigh,
        inv,
        logdet,
        lstsq,
        lu_factor,
        matrix_power,
        matrix_rank,
        pinv,
        qr,
        slogdet,
        solve,
        solve_triangular,
        svd,
    )
    from nbnet.ops.nan_statistics import (
        nanargmax,
        nanargmin,
        nancumprod,
        nancumsum,
        nanmax,
        nanmean,
        nanmedian,
        nanmin,
        nanpercentile,
        nanprod,
        nanquantile,
        nanstd,
        nansum,
        nanvar,
    )
    from nbnet.ops.nn_functions import (
        binary_crossentropy,
        categorical_crossentropy,
        layer_normalization,
        multi_hot,
        psnr,
        rms_normalization,
        sparse_categorical_crossentropy,
    )
    from nbnet.ops.places import (
        scatter,
        scatter_update,
        segment_max,
        segment_min,
        segment_prod,
        segment_sum,
        slice,
        slice_update,
        take_along_axis,
    )
    from nbnet.ops.pool import adaptive_average_pool, adaptive_max_pool
    from nbnet.ops.products import (
        cdist,
        corrcoef,
        correlate,
        cross,
        einsum,
        inner,
        kron,
        norm,
        normalize,
        tensordot,
        vdot,
    )
    from nbnet.ops.sorting import (
        argmax,
        argmin,
        argpartition,
        argsort,
        digitize,
        in_top_k,
        median,
        percentile,
        quantile,
        searchsorted,
        sort,
        top_k,
    )
    from nbnet.ops.transposed import conv_transpose
    from nbnet.ops.trigonometry import (
        angle,
        arccos,
        arccosh,
        arcsin,
        arcsinh,
        arctan,
        arctan2,
        arctanh,
        cbrt,
        conj,
        conjugate,
        cosh,
        deg2rad,
        erfc,
        erfinv,
        fmax,
        fmin,
        fmod,
        hypot,
        i0,
        imag,
        isneginf,
        isposinf,
        isreal,
        ldexp,
        logaddexp2,
        rad2deg,
        real,
        signbit,
        sinc,
        sinh,
        tan,
        trunc,
    )
    from nbnet.ops.values import (
        array,
        bartlett,
        blackman,
        dtype,
        empty,
        empty_like,
        geomspace,
        hamming,
        hanning,
        kaiser,
        logspace,
        meshgrid,
        saturate_cast,
    )

#: Modules that are imported when one of their functions is first asked for, and these functions.
_LATER = {
    "arrangement": """append array_split column_stack copy depth_to_space dsplit dstack extract_sequences fliplr
        flipud fold hsplit rearrange rot90 select space_to_depth unfold vsplit""",
    "control_flow": "associative_scan cond fori_loop map scan switch vectorized_map while_loop",
    "conv": "depthwise_conv separable_conv",
    "cumulative": "cumprod cumsum diff prod trapezoid",
    "diagonals": "diag diagflat diagonal identity trace tri tril triu vander",
    "integers": """allclose bincount bitwise_invert bitwise_left_shift bitwise_right_shift gcd histogram isin lcm
        left_shift nextafter nonzero right_shift unique unravel_index""",
    "linear_algebra": """cholesky cholesky_inverse det eigh inv logdet lstsq lu_factor matrix_power matrix_rank
        pinv qr slogdet solve solve_triangular svd""",
    "nan_statistics": """nanargmax nanargmin nancumprod nancumsum nanmax nanmean nanmedian nanmin nanpercentile
        nanprod nanquantile nanstd nansum nanvar""",
    "nn_functions": """binary_crossentropy categorical_crossentropy layer_normalization multi_hot psnr
        rms_normalization sparse_categorical_crossentropy""",
    "places": """scatter scatter_update segment_max segment_min segment_prod segment_sum slice slice_update
        take_along_axis""",
    "pool": "adaptive_average_pool adaptive_max_pool",
    "products": "cdist corrcoef correlate cross einsum inner kron norm normalize tensordot vdot",
    "sorting": """argmax argmin argpartition argsort digitize in_top_k median percentile quantile searchsorted
        sort top_k""",
    "transposed": "conv_transpose",
    "trigonometry": """angle arccos arccosh arcsin arcsinh arctan arctan2 arctanh cbrt conj conjugate cosh deg2rad
        erfc erfinv fmax fmin fmod hypot i0 imag isneginf isposinf isreal ldexp logaddexp2 rad2deg real signbit
        sinc sinh tan trunc""",
    "values": """array bartlett blackman dtype empty empty_like geomspace hamming hanning kaiser logspace meshgrid
        saturate_cast""",
}
_homes = {name: module for module, names in _LATER.items() for name in names.split()}
_refuse = keras_hint(__name__, parts=("image", "linalg", "nn", "numpy"))


def _import_later(name: str) -> Any:
    """A function of a module that is imported now; AttributeError for a name that is not there."""
    if name not in _homes:
        return _refuse(name)
    module = import_module(f"{__name__}.{_homes[name]}")
    functions = {other: getattr(module, other) for other in _LATER[_homes[name]].split()}
    wrapped = {f: symbolic(f, __name__, _exact.get(other, 0)) for other, f in functions.items()}
    globals().update({other: f if other in _plain else wrapped[f] for other, f in functions.items()})
    return globals()[name]


def _call_later(name: str, *args: Any, **kwargs: Any) -> Any:
    return (globals().get(name) or _import_later(name))(*args, **kwargs)


if not TYPE_CHECKING:
    __getattr__ = _import_later

# Modules of this package call each other's plain functions; callers outside may pass symbols and get wrappers.
_plain = {
    "cond", "convert_to_numpy", "dtype", "fori_loop", "is_tensor", "ndim", "shape", "size", "switch", "while_loop",
}  # fmt: skip
_functions = {name: globals()[name] for name in __all__ if name not in _plain and name not in _homes}
#: Functions whose results are integers for integers, also for arrays, lists and numbers, by their number of operands.
_OF_ONE = """abs absolute amax amin broadcast_to conj conjugate diag diagonal diff expand_dims flip fliplr flipud imag
    max min moveaxis nan_to_num negative pad ptp ravel real repeat reshape roll rot90 round sign split square squeeze
    sum swapaxes take tile trace transpose tril triu unstack"""
_OF_TWO = """add dot fmax fmin fmod floor_divide inner kron matmul maximum minimum mod multiply outer subtract
    take_along_axis vdot"""
_exact = {"clip": 3, "where": 3, **dict.fromkeys(_OF_ONE.split(), 1), **dict.fromkeys(_OF_TWO.split(), 2)}
_wrapped = {
    (function, count): symbolic(function, __name__, count)
    for function, count in {(function, _exact.get(name, 0)) for name, function in _functions.items()}
}
globals().update({name: _wrapped[function, _exact.get(name, 0)] for name, function in _functions.items()})
fabs.__name__ = fabs.__qualname__ = "fabs"  # abs of its own, for floats
operators |= {name: globals()[name] for name in _functions}
operators |= {name: partial(_call_later, name) for name in _homes}
