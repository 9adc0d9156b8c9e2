"""The compiled bodies of the intrinsics in ``nbnet/core/gemm.py``, in vectors of the processor's width."""

# mypy: ignore-errors
from itertools import chain

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from nbnet.core.gemm import DEPTH_BYTES
from nbnet.core.native_vectors import I1, I64, Vectors, lanes_of, number, registers


def _heights():
    return {"tall": 8, "middle": 4, "low": 1} if registers()[1] == 32 else {"tall": 4, "middle": 2, "low": 1}


def _constant(name, value, kind):
    @intrinsic
    def constant(typing_context, a):
        def codegen(context, builder, signature, args):
            return context.get_constant(kind, value(a))

        return kind(a), codegen

    constant.__name__ = name
    return constant


lanes = _constant("lanes", lanes_of, types.int64)
itemsize = _constant("itemsize", lambda a: a.dtype.bitwidth // 8, types.int64)
tall = _constant("tall", lambda a: _heights()["tall"], types.int64)
tiles_win = _constant("tiles_win", lambda a: registers()[0] == 64, types.boolean)


@intrinsic
def strip_memory(typing_context, a):
    def codegen(context, builder, signature, args):
        depth = DEPTH_BYTES * 8 // a.dtype.bitwidth
        block = ir.ArrayType(context.get_value_type(a.dtype), depth * 2 * lanes_of(a))
        with builder.goto_entry_block():
            memory = builder.alloca(block)
            memory.align = 64
        return builder.bitcast(memory, context.get_value_type(a))

    return a(a), codegen


@intrinsic
def part(typing_context, a, start):
    def codegen(context, builder, signature, args):
        return builder.gep(args[0], [args[1]])

    return a(a, types.int64), codegen


def _clamp(builder, i, count):
    """Row i, or the last there is."""
    inside = builder.icmp_signed("<", number(i), count)
    return builder.select(inside, number(i), builder.sub(count, number(1)))


def _not_unrolled(module):
    """What keeps LLVM from unrolling a loop: in short products it costs registers, and a sixth of the time."""
    said = module.add_metadata([ir.MetaDataString(module, "llvm.loop.unroll.disable")])
    loop = module.add_metadata([said])
    loop.operands = (loop, said)
    return loop


def _tile(height, vectors):
    """``height`` rows by ``vectors`` vectors that hold ``columns`` lanes. Rows beyond ``rows`` are the last one again:
    everything is read before anything is stored."""

    @intrinsic
    def tile(typing_context, a, down, along, b, pitch, k, c, width, rows, columns, add):
        n = _heights()[height]

        def codegen(context, builder, signature, args):
            a, down, along, b, pitch, k, c, width, rows, columns, add = args
            v = Vectors(builder, signature.args[0])
            last = v.first(builder.sub(columns, number((vectors - 1) * v.lanes)))
            masks = [None] * (vectors - 1) + [last]
            inputs = [v.at(a, builder.mul(down, _clamp(builder, i, rows))) for i in range(n)]

            def row(pointer):
                return [v.load(v.at(pointer, number(j * v.lanes)), mask) for j, mask in enumerate(masks)]

            before, loop, done = builder.block, builder.append_basic_block("k"), builder.append_basic_block("sums")
            builder.cbranch(builder.icmp_signed(">", k, number(0)), loop, done)
            builder.position_at_end(loop)
            at = [builder.phi(I64) for _ in range(3)]
            sums = [[builder.phi(v.vector) for _ in masks] for _ in inputs]
            b_row = row(v.at(b, at[2]))
            added = [
                [v.multiply_add(x, y, s) for y, s in zip(b_row, row_sums, strict=True)]
                for x, row_sums in zip([v.spread(v.at(p, at[1])) for p in inputs], sums, strict=True)
            ]
            steps = [builder.add(p, d) for p, d in zip(at, (number(1), along, pitch), strict=True)]
            again = builder.cbranch(builder.icmp_signed("<", steps[0], k), loop, done)
            if vectors == 1:
                again.set_metadata("llvm.loop", _not_unrolled(builder.module))
            for p, moved in zip(at, steps, strict=True):
                p.add_incoming(number(0), before)
                p.add_incoming(moved, loop)
            builder.position_at_end(done)
            results = [[builder.phi(v.vector) for _ in masks] for _ in inputs]
            for old, new, result in zip(*map(chain.from_iterable, (sums, added, results)), strict=True):
                old.add_incoming(v.zero, before)
                old.add_incoming(new, loop)
                result.add_incoming(v.zero, before)
                result.add_incoming(new, loop)
            starts = [v.at(c, builder.mul(width, _clamp(builder, i, rows))) for i in range(n)]
            adds, end = builder.append_basic_block("add"), builder.append_basic_block("store")
            builder.cbranch(builder.trunc(add, I1), adds, end)
            builder.position_at_end(adds)
            totals = [list(map(builder.fadd, row(p), values)) for p, values in zip(starts, results, strict=True)]
            builder.branch(end)
            builder.position_at_end(end)
            finals = [[builder.phi(v.vector) for _ in masks] for _ in inputs]
            for final, result, total in zip(*map(chain.from_iterable, (finals, results, totals)), strict=True):
                final.add_incoming(result, done)
                final.add_incoming(total, adds)
            for start, values in zip(starts, finals, strict=True):
                for j, (mask, value) in enumerate(zip(masks, values, strict=True)):
                    v.store(value, v.at(start, number(j * v.lanes)), mask)
            return context.get_dummy_value()

        i = types.int64
        return types.void(a, i, i, b, i, i, c, i, i, i, types.boolean), codegen

    return tile


tile_tall_1, tile_middle_1, tile_low_1 = (_tile(height, 1) for height in ("tall", "middle", "low"))
tile_tall_2, tile_middle_2, tile_low_2 = (_tile(height, 2) for height in ("tall", "middle", "low"))


@intrinsic
def copy_strip(typing_context, b, pitch, k, columns, strip):
    def codegen(context, builder, signature, args):
        b, pitch, k, columns, strip = args
        v = Vectors(builder, signature.args[0])
        masks = [v.first(builder.sub(columns, number(j * v.lanes))) for j in range(2)]
        with cgutils.for_range(builder, k) as loop:
            source = v.at(b, builder.mul(loop.index, pitch))
            target = v.at(strip, builder.mul(loop.index, number(2 * v.lanes)))
            for j, mask in enumerate(masks):
                v.store(v.load(v.at(source, number(j * v.lanes)), mask), v.at(target, number(j * v.lanes)))
        return context.get_dummy_value()

    i = types.int64
    return types.void(b, i, i, i, strip), codegen


@intrinsic
def turn_strip(typing_context, b, pitch, k, columns, strip):
    """Square by square; what lies beyond the edges is computed from the last row and not used."""

    def codegen(context, builder, signature, args):
        b, pitch, k, columns, strip = args
        v = Vectors(builder, signature.args[0])
        side = number(v.lanes)
        with cgutils.for_range_slice(builder, number(0), columns, side) as (j, _):
            left = builder.sub(columns, j)
            with cgutils.for_range_slice(builder, number(0), k, side) as (q, _):
                mask = v.first(builder.sub(k, q))
                rows = []
                for r in range(v.lanes):
                    line = builder.add(j, _clamp(builder, r, left))
                    rows.append(v.load(v.at(b, builder.add(builder.mul(line, pitch), q)), mask))
                for r, row in enumerate(v.transpose(rows)):
                    line = builder.mul(builder.add(q, number(r)), number(2 * v.lanes))
                    v.store(row, v.at(strip, builder.add(line, j)))
        return context.get_dummy_value()

    i = types.int64
    return types.void(b, i, i, i, strip), codegen
