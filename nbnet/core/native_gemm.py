"""The compiled bodies of the intrinsics in ``nbnet/core/gemm.py``, in vectors of the processor's width."""

# mypy: ignore-errors
import functools
from itertools import chain

import llvmlite.binding as llvm
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from nbnet.core.gemm import DEPTH_BYTES

_I1, _I32, _I64 = ir.IntType(1), ir.IntType(32), ir.IntType(64)


@functools.cache
def _registers():
    """Bytes in a vector register, and how many of them there are."""
    features = llvm.get_host_cpu_features()
    if features.get("avx512f") and features.get("avx512vl"):
        return 64, 32
    if features.get("avx"):
        return 32, 16
    return (16, 32) if llvm.get_process_triple().startswith(("aarch64", "arm64")) else (16, 16)


def _lanes(pointer):
    return _registers()[0] * 8 // pointer.dtype.bitwidth


def _heights():
    return {"tall": 8, "middle": 4, "low": 1} if _registers()[1] == 32 else {"tall": 4, "middle": 2, "low": 1}


def _constant(name, value, kind):
    @intrinsic
    def constant(typing_context, a):
        def codegen(context, builder, signature, args):
            return context.get_constant(kind, value(a))

        return kind(a), codegen

    constant.__name__ = name
    return constant


lanes = _constant("lanes", _lanes, types.int64)
itemsize = _constant("itemsize", lambda a: a.dtype.bitwidth // 8, types.int64)
tall = _constant("tall", lambda a: _heights()["tall"], types.int64)
tiles_win = _constant("tiles_win", lambda a: _registers()[0] == 64, types.boolean)


@intrinsic
def strip_memory(typing_context, a):
    def codegen(context, builder, signature, args):
        depth = DEPTH_BYTES * 8 // a.dtype.bitwidth
        block = ir.ArrayType(context.get_value_type(a.dtype), depth * 2 * _lanes(a))
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


class _Vectors:
    """Writes vector instructions for one element type."""

    def __init__(self, builder, pointer):
        self.builder, self.lanes = builder, _lanes(pointer)
        self.single = pointer.dtype == types.float32
        self.element = ir.FloatType() if self.single else ir.DoubleType()
        self.vector = ir.VectorType(self.element, self.lanes)
        self.mask = ir.VectorType(_I1, self.lanes)
        self.zero = ir.Constant(self.vector, [0.0] * self.lanes)
        self.align = 4 if self.single else 8

    def _call(self, name, result, *args):
        kind = ir.FunctionType(result, [a.type for a in args])
        suffix = f"v{self.lanes}f{32 if self.single else 64}"
        function = cgutils.get_or_insert_function(self.builder.module, kind, f"llvm.{name}.{suffix}")
        return self.builder.call(function, args)

    def at(self, pointer, offset):
        return self.builder.gep(pointer, [offset])

    def first(self, count):
        """A mask of the first lanes."""
        b, wide = self.builder, ir.VectorType(_I64, self.lanes)
        numbers = ir.Constant(wide, list(range(self.lanes)))
        return b.icmp_signed("<", numbers, self._spread(count, wide))

    def _spread(self, value, kind):
        none = ir.Constant(kind, ir.Undefined)
        one = self.builder.insert_element(none, value, ir.Constant(_I32, 0))
        return self.builder.shuffle_vector(one, none, ir.Constant(ir.VectorType(_I32, self.lanes), [0] * self.lanes))

    def spread(self, pointer):
        return self._spread(self.builder.load(pointer), self.vector)

    def load(self, pointer, mask=None):
        place = self.builder.bitcast(pointer, self.vector.as_pointer())
        if mask is None:
            value = self.builder.load(place)
            value.align = self.align
            return value
        return self._masked("load", self.vector, place, ir.Constant(_I32, self.align), mask, self.zero)

    def store(self, value, pointer, mask=None):
        place = self.builder.bitcast(pointer, self.vector.as_pointer())
        if mask is None:
            self.builder.store(value, place).align = self.align
        else:
            self._masked("store", ir.VoidType(), value, place, ir.Constant(_I32, self.align), mask)

    def _masked(self, name, result, *args):
        kind = ir.FunctionType(result, [a.type for a in args])
        suffix = f"v{self.lanes}f{32 if self.single else 64}.p0"
        function = cgutils.get_or_insert_function(self.builder.module, kind, f"llvm.masked.{name}.{suffix}")
        return self.builder.call(function, args)

    def multiply_add(self, a, b, c):
        return self._call("fma", self.vector, a, b, c)

    def transpose(self, rows):
        """The square of ``lanes`` vectors, transposed: blocks change places, from single lanes to halves."""
        rows, n = list(rows), self.lanes
        index, step = ir.VectorType(_I32, n), 1
        while step < n:
            low = ir.Constant(index, [i if not i & step else n + (i ^ step) for i in range(n)])
            high = ir.Constant(index, [i ^ step if not i & step else n + i for i in range(n)])
            for r in range(n):
                if not r & step:
                    u, v = rows[r], rows[r | step]
                    rows[r] = self.builder.shuffle_vector(u, v, low)
                    rows[r | step] = self.builder.shuffle_vector(u, v, high)
            step *= 2
        return rows


def _number(n):
    return ir.Constant(_I64, n)


def _clamp(builder, i, count):
    """Row i, or the last there is."""
    inside = builder.icmp_signed("<", _number(i), count)
    return builder.select(inside, _number(i), builder.sub(count, _number(1)))


def _tile(height, vectors):
    """``height`` rows by ``vectors`` vectors that hold ``columns`` lanes. Rows beyond ``rows`` are the last one again:
    everything is read before anything is stored."""

    @intrinsic
    def tile(typing_context, a, down, along, b, pitch, k, c, width, rows, columns, add):
        n = _heights()[height]

        def codegen(context, builder, signature, args):
            a, down, along, b, pitch, k, c, width, rows, columns, add = args
            v = _Vectors(builder, signature.args[0])
            last = v.first(builder.sub(columns, _number((vectors - 1) * v.lanes)))
            masks = [None] * (vectors - 1) + [last]
            inputs = [v.at(a, builder.mul(down, _clamp(builder, i, rows))) for i in range(n)]

            def row(pointer):
                return [v.load(v.at(pointer, _number(j * v.lanes)), mask) for j, mask in enumerate(masks)]

            before, loop, done = builder.block, builder.append_basic_block("k"), builder.append_basic_block("sums")
            builder.cbranch(builder.icmp_signed(">", k, _number(0)), loop, done)
            builder.position_at_end(loop)
            at = [builder.phi(_I64) for _ in range(3)]
            sums = [[builder.phi(v.vector) for _ in masks] for _ in inputs]
            b_row = row(v.at(b, at[2]))
            added = [
                [v.multiply_add(x, y, s) for y, s in zip(b_row, row_sums, strict=True)]
                for x, row_sums in zip([v.spread(v.at(p, at[1])) for p in inputs], sums, strict=True)
            ]
            steps = [builder.add(p, d) for p, d in zip(at, (_number(1), along, pitch), strict=True)]
            builder.cbranch(builder.icmp_signed("<", steps[0], k), loop, done)
            for p, moved in zip(at, steps, strict=True):
                p.add_incoming(_number(0), before)
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
            builder.cbranch(builder.trunc(add, _I1), adds, end)
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
                    v.store(value, v.at(start, _number(j * v.lanes)), mask)
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
        v = _Vectors(builder, signature.args[0])
        masks = [v.first(builder.sub(columns, _number(j * v.lanes))) for j in range(2)]
        with cgutils.for_range(builder, k) as loop:
            source = v.at(b, builder.mul(loop.index, pitch))
            target = v.at(strip, builder.mul(loop.index, _number(2 * v.lanes)))
            for j, mask in enumerate(masks):
                v.store(v.load(v.at(source, _number(j * v.lanes)), mask), v.at(target, _number(j * v.lanes)))
        return context.get_dummy_value()

    i = types.int64
    return types.void(b, i, i, i, strip), codegen


@intrinsic
def turn_strip(typing_context, b, pitch, k, columns, strip):
    """Square by square; what lies beyond the edges is computed from the last row and not used."""

    def codegen(context, builder, signature, args):
        b, pitch, k, columns, strip = args
        v = _Vectors(builder, signature.args[0])
        side = _number(v.lanes)
        with cgutils.for_range_slice(builder, _number(0), columns, side) as (j, _):
            left = builder.sub(columns, j)
            with cgutils.for_range_slice(builder, _number(0), k, side) as (q, _):
                mask = v.first(builder.sub(k, q))
                rows = []
                for r in range(v.lanes):
                    line = builder.add(j, _clamp(builder, r, left))
                    rows.append(v.load(v.at(b, builder.add(builder.mul(line, pitch), q)), mask))
                for r, row in enumerate(v.transpose(rows)):
                    line = builder.mul(builder.add(q, _number(r)), _number(2 * v.lanes))
                    v.store(row, v.at(strip, builder.add(line, j)))
        return context.get_dummy_value()

    i = types.int64
    return types.void(b, i, i, i, strip), codegen
