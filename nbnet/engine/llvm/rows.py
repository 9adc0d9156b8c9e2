"""Compiled bodies of the functions of ``kernels/abi.py`` that work on rows: sum, fill, compress, expand, put back."""

# mypy: ignore-errors
from functools import reduce

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from nbnet.engine.jit.checks import KEPT, LENGTH, check_length
from nbnet.engine.jit.function import CHECKED
from nbnet.engine.llvm.vectors import I1, Vectors, number
from nbnet.engine.llvm.views import data_of

#: Rows at a time, each added to a sum of its own: additions in a row would wait for each other.
ROWS = 4


@intrinsic
def expect_length(typing_context, a, value, limit):
    def codegen(context, builder, signature, args):
        check_length(context, builder, data_of(context, builder, a, args[0]), *args[1:])
        return context.get_dummy_value()

    return types.void(a, types.int64, types.int64), codegen


@intrinsic
def sum_rows(typing_context, m, out, accumulate):
    def codegen(context, builder, signature, args):
        v, add = Vectors(builder, m), builder.trunc(args[2], I1)
        matrix = context.make_array(m)(context, builder, args[0])
        result = context.make_array(out)(context, builder, args[1])
        target = result.data
        rows, columns = cgutils.unpack_tuple(builder, matrix.shape, 2)
        check_length(context, builder, target, columns, result.nitems)
        nothing = ir.Constant(v.mask, [False] * v.lanes)
        sums = [cgutils.alloca_once(builder, v.vector) for _ in range(ROWS)]
        with cgutils.for_range_slice(builder, number(0), columns, number(v.lanes)) as (j, _):
            lanes = v.first(builder.sub(columns, j))
            for place in sums:
                builder.store(v.zero, place)
            with cgutils.for_range_slice(builder, number(0), rows, number(ROWS)) as (i, _):
                for r, place in enumerate(sums):
                    row = builder.add(i, number(r))
                    mask = builder.select(builder.icmp_signed("<", row, rows), lanes, nothing)
                    value = v.load(v.at(matrix.data, builder.add(builder.mul(row, columns), j)), mask)
                    builder.store(builder.fadd(builder.load(place), value), place)
            total = reduce(builder.fadd, [builder.load(place) for place in sums])
            old = v.load(v.at(target, j), builder.select(add, lanes, nothing))
            v.store(builder.fadd(old, total), v.at(target, j), lanes)
        return context.get_dummy_value()

    return types.void(m, out, types.boolean), codegen


@intrinsic
def fill_rows(typing_context, m, row):
    def codegen(context, builder, signature, args):
        v = Vectors(builder, m)
        matrix = context.make_array(m)(context, builder, args[0])
        vector = context.make_array(row)(context, builder, args[1])
        source = vector.data
        rows, columns = cgutils.unpack_tuple(builder, matrix.shape, 2)
        check_length(context, builder, source, columns, vector.nitems)
        with cgutils.for_range_slice(builder, number(0), columns, number(v.lanes)) as (j, _):
            lanes = v.first(builder.sub(columns, j))
            value = v.load(v.at(source, j), lanes)
            with cgutils.for_range(builder, rows) as loop:
                at = builder.add(builder.mul(loop.index, columns), j)
                v.store(value, v.at(matrix.data, at), lanes)
        return context.get_dummy_value()

    return types.void(m, row), codegen


def _check(context, builder, vectors, row, mask, other, packed):
    """Check the length of a mask and of another vector beside a row; each is a type and a value. A packed one holds as
    many elements as the mask keeps."""
    if not CHECKED:
        return
    row_array, mask_array, other_array = (
        context.make_array(kind)(context, builder, value) for kind, value in (row, mask, other)
    )
    size = builder.extract_value(row_array.shape, 0)
    check_length(context, builder, mask_array.data, size, mask_array.nitems)
    if packed:
        total = cgutils.alloca_once_value(builder, number(0))
        for _, _, kept in _walk(builder, vectors, row[1], row[0], context, mask_array.data):
            builder.store(builder.add(builder.load(total), vectors.count(kept)), total)
        size = builder.load(total)
    check_length(context, builder, other_array.data, size, other_array.nitems, KEPT if packed else LENGTH)


def _walk(builder, vectors, row, row_type, context, mask):
    """For each vector of a row: the offset, its lanes, and those of them that are kept."""
    size = builder.extract_value(context.make_array(row_type)(context, builder, row).shape, 0)
    with cgutils.for_range_slice(builder, number(0), size, number(vectors.lanes)) as (at, _):
        lanes = vectors.first(builder.sub(size, at))
        yield at, lanes, vectors.kept(builder.gep(mask, [at]), lanes)


@intrinsic
def compress(typing_context, row, mask, out):
    def codegen(context, builder, signature, args):
        v = Vectors(builder, row)
        _check(context, builder, v, (row, args[0]), (mask, args[1]), (out, args[2]), packed=True)
        source, kept_bytes, target = (
            data_of(context, builder, k, a) for k, a in zip(signature.args, args, strict=True)
        )
        place = cgutils.alloca_once_value(builder, target)
        for at, lanes, kept in _walk(builder, v, args[0], row, context, kept_bytes):
            to = builder.load(place)
            v.compress(v.load(v.at(source, at), lanes), to, kept)
            builder.store(v.at(to, v.count(kept)), place)
        return context.get_dummy_value()

    return types.void(row, mask, out), codegen


@intrinsic
def put_back(typing_context, before, mask, row):
    def codegen(context, builder, signature, args):
        v = Vectors(builder, row)
        _check(context, builder, v, (row, args[2]), (mask, args[1]), (before, args[0]), packed=False)
        source, kept_bytes, target = (
            data_of(context, builder, k, a) for k, a in zip(signature.args, args, strict=True)
        )
        for at, lanes, kept in _walk(builder, v, args[2], row, context, kept_bytes):
            dropped = builder.and_(lanes, builder.not_(kept))
            v.store(v.load(v.at(source, at), lanes), v.at(target, at), dropped)
        return context.get_dummy_value()

    return types.void(before, mask, row), codegen


@intrinsic
def expand(typing_context, packed, mask, row, accumulate):
    def codegen(context, builder, signature, args):
        v = Vectors(builder, row)
        _check(context, builder, v, (row, args[2]), (mask, args[1]), (packed, args[0]), packed=True)
        arrays = zip(signature.args[:3], args[:3], strict=True)
        source, kept_bytes, target = (data_of(context, builder, k, a) for k, a in arrays)
        place = cgutils.alloca_once_value(builder, source)
        add = builder.trunc(args[3], I1)
        for at, lanes, kept in _walk(builder, v, args[2], row, context, kept_bytes):
            begin = builder.load(place)
            value = v.expand(begin, kept)
            old = v.load(v.at(target, at), lanes)
            v.store(builder.fadd(value, builder.select(add, old, v.zero)), v.at(target, at), lanes)
            builder.store(v.at(begin, v.count(kept)), place)
        return context.get_dummy_value()

    return types.void(packed, mask, row, types.boolean), codegen
