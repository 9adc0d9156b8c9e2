"""The compiled bodies of ``sum_rows`` and ``fill_rows`` in ``nbnet/core/abi.py``."""

# mypy: ignore-errors
from functools import reduce

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from nbnet.core.native_vectors import I1, Vectors, number

#: Rows at a time, each added to a sum of its own: additions in a row would wait for each other.
ROWS = 4


@intrinsic
def sum_rows(typing_context, m, out, accumulate):
    def codegen(context, builder, signature, args):
        v, add = Vectors(builder, m), builder.trunc(args[2], I1)
        matrix = context.make_array(m)(context, builder, args[0])
        target = context.make_array(out)(context, builder, args[1]).data
        rows, columns = cgutils.unpack_tuple(builder, matrix.shape, 2)
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
        source = context.make_array(row)(context, builder, args[1]).data
        rows, columns = cgutils.unpack_tuple(builder, matrix.shape, 2)
        with cgutils.for_range_slice(builder, number(0), columns, number(v.lanes)) as (j, _):
            lanes = v.first(builder.sub(columns, j))
            value = v.load(v.at(source, j), lanes)
            with cgutils.for_range(builder, rows) as loop:
                at = builder.add(builder.mul(loop.index, columns), j)
                v.store(value, v.at(matrix.data, at), lanes)
        return context.get_dummy_value()

    return types.void(m, row), codegen
