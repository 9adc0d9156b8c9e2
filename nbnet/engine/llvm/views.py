"""Compiled bodies of the functions of ``kernels/abi.py`` that read a row: operands as arrays, flags, attributes; and of
those on single numbers.

Each is written in LLVM's terms. As Python functions that Numba inlines they took half of its time, for every
operand again. An array begins at the raw pointer ``mem``: views cut from an array object do not vectorise where element
types mix, and slices of a reference-counted array cost atomics.
"""

# mypy: ignore-errors
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numba.np.arrayobj import populate_array

from nbnet.engine.jit.checks import ATTRIBUTE, OPERAND, SIZE, check, check_length
from nbnet.engine.jit.function import CHECKED
from nbnet.engine.kernels.layout import (
    ACCUMULATE,
    ATTRIBUTES,
    EXTENTS,
    FIRST_ROW,
    MAX_ATTRIBUTES,
    MAX_OPERANDS,
    OPERANDS,
    SCRATCH,
    SEED,
)
from nbnet.engine.llvm.vectors import I1, number

_int, _byte = types.int64, ir.IntType(8)


def data_of(context, builder, kind, array):
    """Pointer to an array's first element."""
    return context.make_array(kind)(context, builder, array).data


def _array(context, builder, kind, data, shape):
    """An array over memory without a reference count."""
    made = context.make_array(kind)(context, builder)
    itemsize = number(kind.dtype.bitwidth // 8)
    strides = [itemsize] if len(shape) == 1 else [builder.mul(shape[1], itemsize), itemsize]
    start = builder.bitcast(data, made.data.type)
    populate_array(made, data=start, shape=shape, strides=strides, itemsize=itemsize, meminfo=None)
    return made._getvalue()


def _word(builder, row, at):
    return builder.load(builder.gep(row, [at]))


def _operand(builder, k, part):
    """The index in a row of an operand's offset, rows or columns."""
    return builder.add(builder.mul(k, number(3)), number(OPERANDS + part))


def _check_number(context, builder, row, kind, value, count):
    """Check the number of an operand or attribute."""
    if CHECKED:
        check(context, builder, kind, builder.icmp_unsigned("<", value, number(count)), row, value, number(count))


def _check_size(context, builder, row, k, data, rows, columns, itemsize):
    """Check that a view is no larger than operand k."""
    if CHECKED:
        nbytes = builder.mul(builder.mul(rows, columns), number(itemsize))
        check_length(context, builder, data, nbytes, _word(builder, row, builder.add(k, number(EXTENTS))), SIZE)


def _view(dimensions, element=None):
    """An operand as an array of ``element``, or else of mem's own type."""

    @intrinsic
    def view(typing_context, mem, ins, k):
        kind = types.Array(element or mem.dtype, dimensions, "C")

        def codegen(context, builder, signature, args):
            mem, ins, k = args
            _check_number(context, builder, ins, OPERAND, k, MAX_OPERANDS)
            offset, rows, columns = (_word(builder, ins, _operand(builder, k, part)) for part in range(3))
            data = builder.gep(builder.bitcast(mem, _byte.as_pointer()), [offset])
            _check_size(context, builder, ins, k, data, rows, columns, kind.dtype.bitwidth // 8)
            shape = [rows, columns] if dimensions == 2 else [builder.mul(rows, columns)]
            return _array(context, builder, kind, data, shape)

        return kind(mem, ins, _int), codegen

    return view


mat, bytemat = _view(2), _view(2, types.uint8)
vec, bytevec, intvec, doublevec = (_view(1, kind) for kind in (None, types.uint8, types.int64, types.float64))
mat_bool = _view(2, types.uint8)
mat_uint8, mat_uint16, mat_uint32, mat_uint64 = (_view(2, getattr(types, f"uint{n}")) for n in (8, 16, 32, 64))
mat_int8, mat_int16, mat_int32, mat_int64 = (_view(2, getattr(types, f"int{n}")) for n in (8, 16, 32, 64))
mat_float32, mat_float64 = _view(2, types.float32), _view(2, types.float64)


@intrinsic
def block(typing_context, memory, rows, columns):
    kind = types.Array(memory.dtype, 2, "C")

    def codegen(context, builder, signature, args):
        array = context.make_array(memory)(context, builder, args[0])
        if CHECKED:
            check_length(context, builder, array.data, builder.mul(*args[1:]), array.nitems)
        return _array(context, builder, kind, array.data, list(args[1:]))

    return kind(memory, _int, _int), codegen


def _on_stack(context, builder, kind, size):
    """An array for the length of a kernel. (Not from ``alloca_once``, which fills with zeros.)"""
    with builder.goto_entry_block():
        memory = builder.alloca(ir.ArrayType(context.get_value_type(kind.dtype), size))
    return _array(context, builder, kind, memory, [number(size)])


@intrinsic
def scratch(typing_context, mem):
    kind = types.Array(mem.dtype, 1, "C")
    return kind(mem), lambda context, builder, signature, args: _on_stack(context, builder, kind, SCRATCH)


@intrinsic
def scratch_bytes(typing_context):
    kind = types.Array(types.uint8, 1, "C")
    return kind(), lambda context, builder, signature, args: _on_stack(context, builder, kind, 256)


@intrinsic
def scratch_words(typing_context):
    kind = types.Array(types.uint64, 1, "C")
    return kind(), lambda context, builder, signature, args: _on_stack(context, builder, kind, 64)


@intrinsic
def halves(typing_context, words):
    kind = types.Array(types.uint16, 1, "C")

    def codegen(context, builder, signature, args):
        array = context.make_array(words)(context, builder, args[0])
        return _array(context, builder, kind, array.data, [builder.mul(array.nitems, number(4))])

    return kind(words), codegen


# ---- numbers in a row ----------------------------------------------------------------------------------------


def _code(write):
    """The function that Numba calls for ``write(builder, *args)``."""
    return lambda context, builder, signature, args: write(builder, *args)


@intrinsic
def present(typing_context, ins, k):
    def write(builder, ins, k):
        return builder.icmp_signed(">", _word(builder, ins, _operand(builder, k, 1)), number(0))

    return types.boolean(ins, _int), _code(write)


@intrinsic
def accumulates(typing_context, ins, k):
    def write(builder, ins, k):
        return builder.trunc(builder.lshr(_word(builder, ins, number(ACCUMULATE)), k), I1)

    return types.boolean(ins, _int), _code(write)


@intrinsic
def in_place(typing_context, ins, j, k):
    def write(builder, ins, j, k):
        places = (_word(builder, ins, _operand(builder, operand, 0)) for operand in (j, k))
        return builder.icmp_signed("==", *places)

    return types.boolean(ins, _int, _int), _code(write)


@intrinsic
def attribute(typing_context, ins, i):
    def codegen(context, builder, signature, args):
        _check_number(context, builder, args[0], ATTRIBUTE, args[1], MAX_ATTRIBUTES)
        return _word(builder, args[0], builder.add(args[1], number(ATTRIBUTES)))

    return _int(ins, _int), codegen


@intrinsic
def seed(typing_context, ins):
    return types.uint64(ins), _code(lambda builder, ins: _word(builder, ins, number(SEED)))


@intrinsic
def first_row(typing_context, ins):
    return _int(ins), _code(lambda builder, ins: _word(builder, ins, number(FIRST_ROW)))


# ---- single numbers ------------------------------------------------------------------------------------------


def _bitcast(source, target):
    @intrinsic
    def cast(typing_context, value):
        def codegen(context, builder, signature, args):
            return builder.bitcast(args[0], context.get_value_type(target))

        return target(source), codegen

    return cast


float32_bits, bits_float32 = _bitcast(types.float32, types.int32), _bitcast(types.int32, types.float32)


@intrinsic
def root(typing_context, x):
    """Flags that allow LLVM to estimate, where ``compiler.py`` says so."""

    def codegen(context, builder, signature, args):
        kind = context.get_value_type(x)
        name = f"llvm.sqrt.{'f32' if x == types.float32 else 'f64'}"
        function = cgutils.get_or_insert_function(builder.module, ir.FunctionType(kind, [kind]), name)
        return builder.call(function, args, fastmath=("ninf", "afn", "arcp", "contract", "nsz", "reassoc"))

    return x(x), codegen
