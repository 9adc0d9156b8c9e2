"""Dropout: ``y = x * mask / (1 - rate)``, with a mask for each element, a mask that axes share, or a probability for
each element; alpha dropout; and what all kinds of dropout have in common: rates, drawing, injected masks."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from math import prod
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nbnet.engine.graph.extents import spanned
from nbnet.engine.graph.op import BYTE, Op, Shape, Spec, register
from nbnet.engine.graph.tensor import Tensor, apply, node_name, recorder, tensor, tensors
from nbnet.engine.jit.linker import Function, Kernel, device, kernel, precise
from nbnet.engine.kernels.abi import accumulates, attribute, bytevec, first_row, seed, vec
from nbnet.engine.kernels.philox import fill_mask
from nbnet.engine.kernels.random import fill_uniform
from nbnet.ops.elementwise import documents

# ---- rates ---------------------------------------------------------------------------------------------------


@device
def keep_scale(rate: Any) -> Any:
    """The factor of kept units, ``1 / (1 - rate)``."""
    return 1.0 / (1.0 - rate) if rate < 1 else 0.0 * rate


def check_rate(rate: Any, below: bool = False) -> float:
    """Return a dropout rate as a float in [0, 1], or ``below`` 1; raise ValueError for anything else."""
    number = rate.item() if isinstance(rate, np.ndarray) and rate.shape == () else rate
    if isinstance(number, Real) and not isinstance(number, bool):
        found = float(number)
        if 0 <= found <= 1 and not (below and found == 1):
            return found
    bounds = "[0, 1)" if below else "[0, 1]"
    raise ValueError(f"rate: the probability of dropping a unit lies in {bounds}, got {rate!r}")


def as_rate(x: Tensor, rate: Any, below: bool = False) -> Tensor:
    """Return a rate as a one-element tensor: a number is checked and takes x's dtype, a tensor stays as it is."""
    if not isinstance(rate, Tensor):
        return tensors(x, check_rate(rate, below))[1]
    if rate.size != 1:
        raise ValueError(f"rate: expected a number or a tensor of one element, got one of shape {rate.shape}")
    return rate


@functools.cache
def scheduled(formula: Function) -> Op:
    """The op of one schedule. It draws nothing; ``random`` has the step's number passed to it in eager calls too."""

    def forward(mem: Any, ins: Any, step: Any) -> None:
        rate = formula(np.float64(step), vec(mem, ins, 0))
        vec(mem, ins, 1)[0] = max(min(rate, 1.0), 0.0)

    name = f"scheduled_{formula.name}"
    return Op(name, Kernel(forward, name), ("numbers",), infer=lambda numbers: (Spec(()),), random=True,
              extents="numbers[n] y[1]")  # fmt: skip


def scheduled_rate(formula: Function, numbers: Tensor) -> Tensor:
    """The rate of the step being computed, one element: a function of the step (a float64) and of a vector."""
    return apply(scheduled(formula), numbers, name=numbers.name or "rate", key=0)


# ---- drawing and injecting -----------------------------------------------------------------------------------
# A kernel draws its mask or noise into the operand that backward reads. If that operand was injected, its accumulate
# bit is set: it already holds the values. After a dense layer, compiled steps draw in the fused kernels of
# ``ops/dense.py`` instead: see ``fuse_layers`` in ``train/graph_passes.py``.


@device
def draw_mask(mask: Any, ins: Any, k: Any, step: Any, rate: Any) -> None:
    """Draw operand k, a mask with ``attribute(ins, 0)`` elements for each sample, unless it was injected."""
    if not accumulates(ins, k):
        fill_mask(mask, first_row(ins) * attribute(ins, 0), seed(ins), step, rate)


def per_sample(x: Tensor, *rest: Any) -> tuple[int, ...]:
    """Attribute 0: elements of a sample. With the number of a slice's first row it tells where the mask begins."""
    return (prod(x.shape[1:]),)


def mask_op(name: str, forward: Kernel, backward: Kernel, **fields: Any) -> Op:
    """Make and register an op of x and a rate that draws a mask and saves it for backward."""
    return register(
        Op(name, forward, ("x", "rate"), saves=("mask",), backward=backward, gradient=("mask", "rate", "dy", "dx"),
           mask="mask", random=True, role="noise", **fields)
    )  # fmt: skip


documents_noise = documents(
    first="x\n    Tensor or array of any shape; the first axis is the batch.",
    last="key\n    64-bit key of the random numbers; by default a new one for each call.",
)


def injected_mask(name: str, shape: Shape, *others: Shape) -> Tensor | None:
    """The mask that the tape holds for the node ``name``, as bytes broadcast to ``shape``; None if there is none.

    Raise ValueError if it has neither that shape nor one of ``others``, or holds other than booleans and whole numbers.
    """
    mask = _injected(name)
    if mask is None:
        return None
    if mask.shape not in (shape, *others) or mask.dtype.kind not in "bui":
        expected = (shape, *others)[-1]
        raise ValueError(f"masks[{name!r}]: expected bool of shape {expected}, got {mask.dtype} of shape {mask.shape}")
    kept = np.ascontiguousarray(np.broadcast_to(mask != 0, shape).astype(BYTE))
    return Tensor(shape, BYTE, kept, name=f"{name}.mask")


def injected_noise(name: str, like: Tensor) -> Tensor | None:
    """The noise that the tape holds for a node, one number for each element of ``like``; None if there is none.

    Raise ValueError if it has another shape, or holds anything but real numbers.
    """
    noise = _injected(name)
    if noise is None:
        return None
    if noise.shape != like.shape or noise.dtype.kind not in "fiu":
        raise ValueError(f"masks[{name!r}]: expected numbers of shape {like.shape}, got {noise.dtype} of {noise.shape}")
    return Tensor(like.shape, like.dtype, np.array(noise, like.dtype, order="C"), name=f"{name}.noise")


def _injected(name: str) -> NDArray[Any] | None:
    active = recorder()
    return None if active is None else active.given_mask(name)


# ---- a mask element for each element -------------------------------------------------------------------------


@kernel
def dropout_forward(mem: Any, ins: Any, step: Any) -> None:
    x, rate, y, mask = vec(mem, ins, 0), vec(mem, ins, 1)[0], vec(mem, ins, 2), bytevec(mem, ins, 3)
    draw_mask(mask, ins, 3, step, rate)
    scale, real = keep_scale(rate), x.dtype.type
    for i in range(x.size):
        y[i] = x[i] * (scale * real(mask[i]))


@kernel
def dropout_backward(mem: Any, ins: Any, step: Any) -> None:
    mask, rate, dy, dx = bytevec(mem, ins, 0), vec(mem, ins, 1)[0], vec(mem, ins, 2), vec(mem, ins, 3)
    scale, add, real = keep_scale(rate), accumulates(ins, 3), dx.dtype.type
    for i in range(dx.size):
        d = dy[i] * (scale * real(mask[i]))
        dx[i] = dx[i] + d if add else d


DROPOUT = mask_op(
    "dropout", dropout_forward, dropout_backward, infer=lambda x, rate: (Spec(x.shape), Spec(x.shape, BYTE)),
    encode=per_sample, extents="x[n] rate[1] y[n] mask:u1[n]",
)  # fmt: skip


# ---- a mask that axes share ----------------------------------------------------------------------------------
# Attributes: elements of the mask a sample has (0: the whole batch shares one), then sizes of four axes of x and the
# mask's strides along them, 0 where it is shared.


def check_noise_shape(noise_shape: Sequence[int | None], shape: Sequence[int | None]) -> None:
    """Raise ValueError if a noise shape does not fit a tensor of ``shape``, where None is a size not known yet."""
    sizes = tuple(noise_shape)
    if len(sizes) != len(shape) or any(
        n not in (None, 1, size) for n, size in zip(sizes, shape, strict=True) if size is not None
    ):
        raise ValueError(
            f"noise_shape: {sizes} does not fit an input of shape {tuple(shape)}: each entry is 1, None or that size"
        )
    if len(_joined(sizes, sizes)[0]) > 4:
        raise ValueError(f"noise_shape: at most 4 runs of axes that share a mask value or do not, got {sizes}")


def _joined(noise_shape: Sequence[int | None], shape: Sequence[int | None]) -> tuple[list[int], list[int]]:
    """Noise shape and shape with neighbouring axes joined that both share a mask value or both do not, where there are
    more than four axes; the first stays alone. Sizes that are not known count as 2."""
    noise, sizes = ([2 if n is None else n for n in given] for given in (noise_shape, shape))
    if len(sizes) <= 4:
        return noise, sizes
    joined: tuple[list[int], list[int]] = noise[:1], sizes[:1]
    for k in range(1, len(sizes)):
        if k > 1 and (noise[k] == 1) == (noise[k - 1] == 1):
            joined[0][-1] *= noise[k]
            joined[1][-1] *= sizes[k]
        else:
            joined[0].append(noise[k])
            joined[1].append(sizes[k])
    return joined


def complete_noise_shape(noise_shape: Sequence[int | None] | None, shape: Shape) -> Shape:
    """Fill in the None entries of a noise shape; raise ValueError if it does not fit a tensor of ``shape``."""
    if noise_shape is None:
        return shape
    check_noise_shape(noise_shape, shape)
    return tuple(size if n is None else int(n) for n, size in zip(noise_shape, shape, strict=True))


def spans_batch(noise_shape: Sequence[int | None] | None) -> bool:
    """True if all rows of a batch share a mask. The shape of a batch, or slice, of one row does not tell."""
    return noise_shape is not None and len(noise_shape) > 0 and noise_shape[0] == 1


def infer_shared(x: Tensor, rate: Tensor, noise_shape: Shape, whole: bool = False) -> tuple[Spec, ...]:
    """Specs of the result and of its mask."""
    return Spec(x.shape), Spec(noise_shape, BYTE)


def encode_shared(x: Tensor, noise_shape: Shape, whole: bool) -> tuple[int, ...]:
    """The attributes of an op whose mask has this shape; ``whole``: all rows of the batch share it."""
    noise, sizes = _joined(noise_shape, x.shape)
    noise, sizes = ([1] * (4 - len(sizes)) + n for n in (noise, sizes))
    strides = [prod(noise[a + 1 :]) if noise[a] > 1 else 0 for a in range(4)]
    return (0 if whole else prod(noise_shape[1:]), *sizes, *strides)


_SHARED = "x[n] rate[1] y[n] mask:u1[mask]; _ n0 n1 n2 n3 s0 s1 s2 s3"


def _within_shared(sizes: Mapping[str, int]) -> bool:
    """True if the axes are those of x, and the mask's last element lies in it."""
    lengths, strides = ([sizes[f"{x}{k}"] for k in range(4)] for x in "ns")
    found = prod(lengths) == sizes["n"] and strides[3] <= 1
    return found and (sizes["n"] == 0 or spanned(lengths, strides) <= sizes["mask"])


@device
def shared_start(ins: Any, i: Any, j: Any, k: Any) -> Any:
    """Number of the mask's element for the first element along the last axis."""
    return i * attribute(ins, 5) + j * attribute(ins, 6) + k * attribute(ins, 7)


@device
def spread(x: Any, mask: Any, scale: Any, y: Any, last: Any, add: Any) -> None:
    """``y = x * mask * scale``, or added to it, along the last axis; last: 0 if the axis shares the mask's first
    element. Two loops, as one whose stride is known only at run time takes three times as long."""
    real = x.dtype.type
    if last:
        for e in range(y.size):
            v = x[e] * (scale * real(mask[e]))
            y[e] = y[e] + v if add else v
    else:
        s = scale * real(mask[0])
        for e in range(y.size):
            y[e] = y[e] + x[e] * s if add else x[e] * s


@device
def spread_shared(x: Any, mask: Any, scale: Any, y: Any, ins: Any, add: Any) -> None:
    """The same along all four axes."""
    width, last, at = attribute(ins, 4), attribute(ins, 8), 0
    for i in range(attribute(ins, 1)):
        for j in range(attribute(ins, 2)):
            for k in range(attribute(ins, 3)):
                spread(x[at : at + width], mask[shared_start(ins, i, j, k) :], scale, y[at : at + width], last, add)
                at += width


@kernel
def shared_forward(mem: Any, ins: Any, step: Any) -> None:
    x, rate, y, mask = vec(mem, ins, 0), vec(mem, ins, 1)[0], vec(mem, ins, 2), bytevec(mem, ins, 3)
    draw_mask(mask, ins, 3, step, rate)
    spread_shared(x, mask, keep_scale(rate), y, ins, False)


@kernel
def shared_backward(mem: Any, ins: Any, step: Any) -> None:
    mask, rate, dy, dx = bytevec(mem, ins, 0), vec(mem, ins, 1)[0], vec(mem, ins, 2), vec(mem, ins, 3)
    spread_shared(dy, mask, keep_scale(rate), dx, ins, accumulates(ins, 3))


DROPOUT_SHARED = mask_op(
    "dropout_shared", shared_forward, shared_backward, infer=infer_shared,
    encode=lambda x, rate, noise_shape, whole=False: encode_shared(x, noise_shape, whole),
    extents=_SHARED, within=_within_shared,
)  # fmt: skip


@documents_noise
def dropout(x: Any, rate: Any, noise_shape: Sequence[int | None] | None = None, *, key: int | None = None) -> Tensor:
    """Set elements to 0 with probability ``rate`` and multiply the others by ``1 / (1 - rate)``.

    Parameters
    ----------
    rate
        Probability of DROPPING, in [0, 1] (papers often give the probability of keeping): a number, or a one-element
        tensor that may change between steps. 0 is the identity, 1 gives zeros.
    noise_shape
        Shape of the mask: 1 where all units along an axis share their fate, None for the size of x.

    Raises
    ------
    ValueError
        If the rate lies outside [0, 1], noise_shape does not fit, or a mask that the tape injects has another shape.

    References
    ----------
    N. Srivastava et al.: Dropout: a simple way to prevent neural networks from overfitting. JMLR 15 (2014), section 4.

    Examples
    --------
    >>> import nbnet as nb
    >>> with nb.Tape(masks={"dropout": [[True, False, True]]}) as tape:
    ...     y = nb.ops.dropout([[1.0, 2.0, 3.0]], rate=0.5)
    >>> y.numpy()
    array([[2., 0., 6.]], dtype=float32)
    """
    x = tensor(x)
    rate, name = as_rate(x, rate), node_name("dropout")
    noise = complete_noise_shape(noise_shape, x.shape)
    injected, whole = injected_mask(name, x.shape, noise), spans_batch(noise_shape)
    if injected is not None or (noise == x.shape and not whole):
        return apply(DROPOUT, x, rate, key=key, name=name, injected=injected)
    return apply(DROPOUT_SHARED, x, rate, key=key, name=name, noise_shape=noise, whole=whole)


# ---- a probability for each element --------------------------------------------------------------------------


@kernel
def bernoulli_forward(mem: Any, ins: Any, step: Any) -> None:
    x, keep, y, mask = vec(mem, ins, 0), vec(mem, ins, 1), vec(mem, ins, 2), bytevec(mem, ins, 3)
    real = x.dtype.type
    if not accumulates(ins, 3):
        fill_uniform(y, first_row(ins) * attribute(ins, 0), seed(ins), step)
        for i in range(y.size):
            mask[i] = y[i] < keep[i]
    for i in range(y.size):
        y[i] = x[i] * real(mask[i])


@kernel
def bernoulli_backward(mem: Any, ins: Any, step: Any) -> None:
    mask, dy, dx = bytevec(mem, ins, 0), vec(mem, ins, 1), vec(mem, ins, 2)
    add, real = accumulates(ins, 2), dx.dtype.type
    for i in range(dx.size):
        d = dy[i] * real(mask[i])
        dx[i] = dx[i] + d if add else d


def _infer_bernoulli(x: Tensor, keep: Tensor) -> tuple[Spec, ...]:
    if keep.shape != x.shape:
        raise ValueError(f"keep: expected a probability for each element of shape {x.shape}, got shape {keep.shape}")
    return Spec(x.shape), Spec(x.shape, BYTE)


BERNOULLI = register(
    Op("bernoulli", bernoulli_forward, ("x", "keep"), saves=("mask",), infer=_infer_bernoulli,
       backward=bernoulli_backward, gradient=("mask", "dy", "dx"), encode=per_sample, mask="mask", random=True,
       role="noise", extents="x[n] keep[n] y[n] mask:u1[n]")
)  # fmt: skip


@documents_noise
def bernoulli(x: Any, keep: Any, *, key: int | None = None) -> Tensor:
    """Keep each element with its own probability, without scaling, and set the others to 0.

    Parameters
    ----------
    keep
        Probabilities of KEEPING, of the shape of x. No gradient flows to them.

    Raises
    ------
    ValueError
        If shapes differ.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.bernoulli([[1.0, 2.0]], [[1.0, 0.0]]).numpy()
    array([[1., 0.]], dtype=float32)
    """
    x, keep = tensors(x, keep)
    name = node_name("bernoulli")
    return apply(BERNOULLI, x, keep, key=key, name=name, injected=injected_mask(name, x.shape))


# ---- alpha dropout ------------------------------------------------------------------------------------------
# ``y = a * (x * mask + alpha' * (1 - mask)) + b``, which keeps mean 0 and variance 1.

#: The limit of SELU for large negative numbers, -scale * alpha.
ALPHA = -1.7580993408473766


@device
def _slope(rate: Any) -> Any:
    """a = ((1 - rate) (1 + rate alpha'^2))^(-1/2); 1 if nothing is dropped, to the last bit; 0 if everything is."""
    if rate >= 1:
        return 0.0 * rate
    return 1.0 / np.sqrt((1.0 - rate) * (1.0 + rate * ALPHA * ALPHA)) if rate > 0 else 1.0 + rate


@precise
def _value(x: Any, kept: Any, slope: Any, shift: Any, low: Any) -> Any:
    """An element of y. It is exact where nothing is dropped, as sums are never regrouped."""
    return kept * (slope * x + shift) + (1.0 - kept) * low


# Attributes are those of dropout with a shared mask.


@device
def _transform(x: Any, mask: Any, rate: Any, y: Any, ins: Any) -> None:
    """``y = a * x + b``, where b = -a alpha' rate; dropped elements become a alpha' + b."""
    slope, real, width = _slope(rate), x.dtype.type, attribute(ins, 4)
    low, shift, at = slope * ALPHA * (1.0 - rate), -slope * ALPHA * rate, 0
    for i in range(attribute(ins, 1)):
        for j in range(attribute(ins, 2)):
            for k in range(attribute(ins, 3)):
                m, xs, ys = mask[shared_start(ins, i, j, k) :], x[at : at + width], y[at : at + width]
                if attribute(ins, 8):
                    for e in range(ys.size):
                        ys[e] = _value(xs[e], real(m[e]), slope, shift, low)
                else:
                    kept = real(m[0])
                    for e in range(ys.size):
                        ys[e] = _value(xs[e], kept, slope, shift, low)
                at += width


@kernel
def alpha_dropout_forward(mem: Any, ins: Any, step: Any) -> None:
    rate, mask = vec(mem, ins, 1)[0], bytevec(mem, ins, 3)
    draw_mask(mask, ins, 3, step, rate)
    _transform(vec(mem, ins, 0), mask, rate, vec(mem, ins, 2), ins)


@kernel
def alpha_dropout_backward(mem: Any, ins: Any, step: Any) -> None:
    mask, rate, dy, dx = bytevec(mem, ins, 0), vec(mem, ins, 1)[0], vec(mem, ins, 2), vec(mem, ins, 3)
    spread_shared(dy, mask, _slope(rate), dx, ins, accumulates(ins, 3))


def _encode_alpha(x: Tensor, noise_shape: tuple[int, ...], whole: bool = False) -> tuple[int, ...]:
    """The attributes; a mask that no axis shares is flat, so that x may have any number of axes."""
    if noise_shape == x.shape and not whole:
        return (x.size // max(x.shape[0], 1) if x.shape else 1, 1, 1, 1, x.size, 0, 0, 0, 1)
    return encode_shared(x, noise_shape, whole)


ALPHA_DROPOUT = mask_op(
    "alpha_dropout", alpha_dropout_forward, alpha_dropout_backward, infer=infer_shared,
    encode=lambda x, rate, noise_shape, whole=False: _encode_alpha(x, noise_shape, whole),
    extents=_SHARED, within=_within_shared,
)  # fmt: skip


@documents_noise
def alpha_dropout(
    x: Any, rate: Any, noise_shape: Sequence[int | None] | None = None, *, key: int | None = None
) -> Tensor:
    """Set elements to the negative limit of SELU with probability ``rate``, then scale and shift all of them so that
    mean 0 and variance 1 are kept.

    Parameters
    ----------
    rate
        Probability of DROPPING, in [0, 1]: a number, or a one-element tensor. 0 is the identity, 1 gives zeros.
    noise_shape
        Shape of the mask: 1 where all units along an axis share their fate, None for the size of x.

    Raises
    ------
    ValueError
        If the rate lies outside [0, 1], noise_shape does not fit, or a mask that the tape injects has another shape.

    References
    ----------
    G. Klambauer, T. Unterthiner, A. Mayr, S. Hochreiter: Self-normalizing neural networks. NIPS (2017), section 2.

    Examples
    --------
    >>> import nbnet as nb
    >>> with nb.Tape(masks={"alpha_dropout": [[True, False]]}):
    ...     y = nb.ops.alpha_dropout([[0.0, 0.0]], rate=0.5)
    >>> y.numpy().round(3)
    array([[ 0.779, -0.779]], dtype=float32)
    """
    x = tensor(x)
    rate, name = as_rate(x, rate), node_name("alpha_dropout")
    noise = complete_noise_shape(noise_shape, x.shape)
    injected, whole = injected_mask(name, x.shape, noise), spans_batch(noise_shape)
    if injected is not None:
        noise, whole = x.shape, False
    return apply(ALPHA_DROPOUT, x, rate, key=key, name=name, injected=injected, noise_shape=noise, whole=whole)
