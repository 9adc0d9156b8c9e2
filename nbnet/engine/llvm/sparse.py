"""Compiled bodies of the intrinsics in ``gemm/sparse.py``."""

# mypy: ignore-errors
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from nbnet.engine.kernels.layout import ACROSS, LISTED_BYTES, SHALLOW_BYTES
from nbnet.engine.llvm.gemm import copying, loop, memory
from nbnet.engine.llvm.vectors import I32, I64, Vectors, lanes_of, number

_places = types.CPointer(types.int32)


def _size(a):
    return a.dtype.bitwidth // 8


copy_wide_strip = copying(ACROSS)
wide_strip_memory = memory(lambda a: SHALLOW_BYTES * ACROSS * lanes_of(a))
value_memory = memory(lambda a: LISTED_BYTES // _size(a) * SHALLOW_BYTES)
place_memory = memory(lambda a: LISTED_BYTES // _size(a) * (SHALLOW_BYTES // _size(a) + 1) * 4, _places)


@intrinsic
def fetch(typing_context, a, start):
    def codegen(context, builder, signature, args):
        Vectors(builder, signature.args[0]).prefetch(builder.gep(args[0], [args[1]]))
        return context.get_dummy_value()

    return types.void(a, types.int64), codegen


@intrinsic
def list_by_vectors(typing_context, row, count, values, places):
    def codegen(context, builder, signature, args):
        row, count, values, places = args
        v = Vectors(builder, signature.args[0])
        kind = ir.VectorType(I32, v.lanes)
        pitch = ACROSS * v.lanes
        numbers = ir.Constant(kind, [i * pitch for i in range(v.lanes)])
        found = cgutils.alloca_once_value(builder, number(0))
        begin = builder.gep(places, [number(1)])
        with cgutils.for_range_slice(builder, number(0), count, number(v.lanes)) as (at, _):
            value = v.load(v.at(row, at), v.first(builder.sub(count, at)))
            kept = builder.fcmp_unordered("!=", value, v.zero)
            old = builder.load(found)
            v.compress(value, v.at(values, old), kept)
            place = builder.add(v.splat(builder.trunc(builder.mul(at, number(pitch)), I32), kind), numbers)
            v.compress(place, v.at(begin, old), kept, element="i32")
            builder.store(builder.add(old, v.count(kept)), found)
        builder.store(builder.trunc(builder.load(found), I32), places)
        return context.get_dummy_value()

    return types.void(row, types.int64, values, places), codegen


@intrinsic
def combine(typing_context, values, places, strip, c, columns, add):
    def codegen(context, builder, signature, args):
        values, places, strip, c, columns, add = args
        v = Vectors(builder, signature.args[0])
        masks = [v.first(builder.sub(columns, number(j * v.lanes))) for j in range(ACROSS)]
        adds = v.all(add)
        begin = [v.load(v.at(c, number(j * v.lanes)), builder.and_(mask, adds)) for j, mask in enumerate(masks)]
        last = builder.sub(builder.zext(builder.load(places), I64), number(1))
        entries = builder.gep(places, [number(1)])

        def step(state):
            p, sums = state[0], state[1:]
            value = v.spread(v.at(values, p))
            row = v.at(strip, builder.zext(builder.load(builder.gep(entries, [p])), I64))
            return [builder.add(p, number(1))] + [
                v.multiply_add(value, v.load(v.at(row, number(j * v.lanes))), total) for j, total in enumerate(sums)
            ]

        sums = loop(builder, [number(0), *begin], last, step, unrolled=False)[1:]
        for j, (mask, total) in enumerate(zip(masks, sums, strict=True)):
            v.store(total, v.at(c, number(j * v.lanes)), mask)
        return context.get_dummy_value()

    return types.void(values, places, strip, c, types.int64, types.boolean), codegen
