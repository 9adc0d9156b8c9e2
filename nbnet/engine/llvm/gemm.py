"""Compiled bodies of the intrinsics of ``gemm/``: tiles, dispatch and sparse products, in the widest vectors."""

# mypy: ignore-errors
from itertools import chain

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from nbnet.engine.jit.checks import check_product

# mypy: ignore-errors
from nbnet.engine.kernels.layout import ACROSS, DEPTH_BYTES, LISTED_BYTES, PANEL_BYTES, SHALLOW_BYTES, STEPS
from nbnet.engine.llvm.vectors import I1, I32, I64, Vectors, lanes_of, number, registers
from nbnet.engine.llvm.views import data_of


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
register_bytes = _constant("register_bytes", lambda a: registers()[0], types.int64)


def memory(size, kind=None):
    """An intrinsic that returns ``size`` bytes on the stack, for elements of its argument's type or of another."""

    @intrinsic
    def on_stack(typing_context, a):
        result = kind or a

        def codegen(context, builder, signature, args):
            block = ir.ArrayType(context.get_value_type(result.dtype), size(a) * 8 // result.dtype.bitwidth)
            with builder.goto_entry_block():
                begin = builder.alloca(block)
                begin.align = 64
            return builder.bitcast(begin, context.get_value_type(result))

        return result(a), codegen

    return on_stack


strip_memory = memory(lambda a: DEPTH_BYTES * 2 * lanes_of(a))
panel_memory = memory(lambda a: PANEL_BYTES)


@intrinsic
def begin(typing_context, a):
    def codegen(context, builder, signature, args):
        return data_of(context, builder, signature.args[0], args[0])

    return types.CPointer(a.dtype)(a), codegen


@intrinsic
def part(typing_context, a, start):
    def codegen(context, builder, signature, args):
        return builder.gep(args[0], [args[1]])

    return a(a, types.int64), codegen


def _clamp(builder, i, count):
    """Row i, or the last one."""
    inside = builder.icmp_signed("<", number(i), count)
    return builder.select(inside, number(i), builder.sub(count, number(1)))


def _not_unrolled(module):
    """Metadata that keeps LLVM from unrolling a loop: in short products that costs a sixth of the time."""
    said = module.add_metadata([ir.MetaDataString(module, "llvm.loop.unroll.disable")])
    loop = module.add_metadata([said])
    loop.operands = (loop, said)
    return loop


def loop(builder, state, stop, advance, unrolled):
    """While the counter ``state[0]`` is at most ``stop``, let ``advance`` make a new state; returns the last one."""
    before, body, done = builder.block, builder.append_basic_block("k"), builder.append_basic_block("end")
    builder.cbranch(builder.icmp_signed("<=", state[0], stop), body, done)
    builder.position_at_end(body)
    old = [builder.phi(value.type) for value in state]
    new = advance(old)
    again = builder.cbranch(builder.icmp_signed("<=", new[0], stop), body, done)
    if not unrolled:
        again.set_metadata("llvm.loop", _not_unrolled(builder.module))
    builder.position_at_end(done)
    last = [builder.phi(value.type) for value in state]
    for phis, values, block in ((old, state, before), (old, new, body), (last, state, before), (last, new, body)):
        for phi, value in zip(phis, values, strict=True):
            phi.add_incoming(value, block)
    return last


def _row(v, pointer, masks):
    return [v.load(v.at(pointer, number(j * v.lanes)), mask) for j, mask in enumerate(masks)]


def _sums(v, inputs, along, b, pitch, k, masks, ahead=None):
    """Rows of a times b: for each of ``inputs``, a sum in each vector. With ``ahead`` it takes several steps at a time,
    and prefetches two lines with each: those of the row it begins at, and those of the next rows of that pitch."""
    builder, step_sizes = v.builder, (number(1), along, pitch)

    def step(state):
        at, sums = state[:3], iter(state[3:])
        b_row = _row(v, v.at(b, at[2]), masks)
        spread = [v.spread(v.at(p, at[1])) for p in inputs]
        added = [v.multiply_add(y, x, next(sums)) for x in spread for y in b_row]
        return [builder.add(p, d) for p, d in zip(at, step_sizes, strict=True)] + added

    def steps(state):
        line = v.at(ahead[0], builder.mul(builder.sdiv(state[0], number(STEPS)), ahead[1]))
        v.prefetch(line)
        v.prefetch(v.at(line, number(v.lanes)))
        for _ in range(STEPS):
            state = step(state)
        return state

    state = [number(0)] * 3 + [v.zero] * (len(inputs) * len(masks))
    if ahead is not None:
        state = loop(builder, state, builder.sub(k, number(STEPS)), steps, unrolled=False)
    sums = iter(loop(builder, state, builder.sub(k, number(1)), step, ahead is None and len(masks) > 1)[3:])
    return [[next(sums) for _ in masks] for _ in inputs]


def _put(v, results, starts, masks, add):
    """Store sums where rows start, or add them to what is there: everything is read before anything is stored."""
    builder, done = v.builder, v.builder.block
    adds, end = builder.append_basic_block("add"), builder.append_basic_block("store")
    builder.cbranch(builder.trunc(add, I1), adds, end)
    builder.position_at_end(adds)
    totals = [list(map(builder.fadd, _row(v, p, masks), values)) for p, values in zip(starts, results, strict=True)]
    builder.branch(end)
    builder.position_at_end(end)
    finals = [[builder.phi(v.vector) for _ in masks] for _ in starts]
    for final, result, total in zip(*map(chain.from_iterable, (finals, results, totals)), strict=True):
        final.add_incoming(result, done)
        final.add_incoming(total, adds)
    for start, values in zip(starts, finals, strict=True):
        for j, (mask, value) in enumerate(zip(masks, values, strict=True)):
            v.store(value, v.at(start, number(j * v.lanes)), mask)


def _tile(height, vectors):
    """``height`` rows by ``vectors`` vectors that hold ``columns`` lanes. Rows beyond ``rows`` are the last one
    again."""

    @intrinsic
    def tile(typing_context, a, down, along, b, pitch, k, c, width, rows, columns, add):
        def codegen(context, builder, signature, args):
            a, down, along, b, pitch, k, c, width, rows, columns, add = args
            v = Vectors(builder, signature.args[0])
            masks = [None] * (vectors - 1) + [v.first(builder.sub(columns, number((vectors - 1) * v.lanes)))]
            lines = [_clamp(builder, i, rows) for i in range(_heights()[height])]
            sums = _sums(v, [v.at(a, builder.mul(down, i)) for i in lines], along, b, pitch, k, masks)
            _put(v, sums, [v.at(c, builder.mul(width, i)) for i in lines], masks, add)
            return context.get_dummy_value()

        i = types.int64
        return types.void(a, i, i, b, i, i, c, i, i, i, types.boolean), codegen

    return tile


tile_tall_1, tile_middle_1, tile_low_1 = (_tile(height, 1) for height in ("tall", "middle", "low"))
tile_tall_2, tile_middle_2, tile_low_2 = (_tile(height, 2) for height in ("tall", "middle", "low"))


@intrinsic
def tile_packed(typing_context, panel, b, pitch, k, c, width, columns, add, ahead, stride):
    """Elements of a panel lie at distances that are known here: that leaves registers for several steps at a time."""

    def codegen(context, builder, signature, args):
        panel, b, pitch, k, c, width, columns, add, ahead, stride = args
        v = Vectors(builder, signature.args[0])
        masks, rows = [None, v.first(builder.sub(columns, number(v.lanes)))], range(_heights()["tall"])
        inputs = [v.at(panel, number(i)) for i in rows]
        sums = _sums(v, inputs, number(v.lanes), b, pitch, k, masks, (ahead, stride))
        _put(v, sums, [v.at(c, builder.mul(width, number(i))) for i in rows], masks, add)
        return context.get_dummy_value()

    i = types.int64
    return types.void(panel, b, i, i, panel, i, i, types.boolean, panel, i), codegen


def copying(vectors):
    """An intrinsic that copies rows of up to so many vectors."""

    @intrinsic
    def copy(typing_context, b, pitch, k, columns, strip, across):
        def codegen(context, builder, signature, args):
            b, pitch, k, columns, strip, across = args
            v = Vectors(builder, signature.args[0])
            masks = [v.first(builder.sub(columns, number(j * v.lanes))) for j in range(vectors)]
            with cgutils.for_range(builder, k) as row:
                source = v.at(b, builder.mul(row.index, pitch))
                target = v.at(strip, builder.mul(row.index, across))
                for j, mask in enumerate(masks):
                    v.store(v.load(v.at(source, number(j * v.lanes)), mask), v.at(target, number(j * v.lanes)))
            return context.get_dummy_value()

        i = types.int64
        return types.void(b, i, i, i, strip, i), codegen

    return copy


copy_strip = copying(2)


@intrinsic
def turn_strip(typing_context, b, pitch, k, columns, strip, across):
    """Square by square; what lies beyond the edges is computed from the last row and not used."""

    def codegen(context, builder, signature, args):
        b, pitch, k, columns, strip, across = args
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
                    line = builder.mul(builder.add(q, number(r)), across)
                    v.store(row, v.at(strip, builder.add(line, j)))
        return context.get_dummy_value()

    i = types.int64
    return types.void(b, i, i, i, strip, i), codegen


@intrinsic
def blas(typing_context, a, a_pitch, ta, b, tb, c, m, n, k, accumulate):
    """Fortran's gemm sees every matrix transposed, so the factors change places; arguments by reference."""
    real = a.dtype
    symbol = "nbnet_sgemm" if real == types.float32 else "nbnet_dgemm"
    i = types.int64

    def codegen(context, builder, signature, args):
        byte, integer, value = ir.IntType(8), ir.IntType(64), context.get_value_type(real)
        one, zero = ir.Constant(value, 1.0), ir.Constant(value, 0.0)

        def reference(v):
            cell = cgutils.alloca_once(builder, v.type)
            builder.store(v, cell)
            return cell

        def letter(transposed):
            return reference(builder.select(transposed, ir.Constant(byte, ord("T")), ir.Constant(byte, ord("N"))))

        a, a_pitch, ta, b, tb, c, m, n, k, accumulate = args
        flags = [builder.trunc(flag, ir.IntType(1)) for flag in (ta, tb, accumulate)]
        least = ir.Constant(integer, 1)
        widths = a_pitch, builder.select(flags[1], k, n)
        a_width, b_width = (builder.select(builder.icmp_signed("<", w, least), least, w) for w in widths)
        call = [letter(flags[1]), letter(flags[0]), *map(reference, (n, m, k)), reference(one), b, reference(b_width)]
        call += [a, reference(a_width), reference(builder.select(flags[2], one, zero)), c, reference(n)]
        function = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(ir.VoidType(), [v.type for v in call]), symbol
        )
        builder.call(function, call)
        return context.get_dummy_value()

    return types.void(a, i, types.boolean, b, types.boolean, c, i, i, i, types.boolean), codegen


@intrinsic
def matmul(typing_context, a, transpose_a, b, transpose_b, c, accumulate):
    """Row-major ``c (+)= op(a) @ op(b)``: calls the product of ``gemm/dispatch.py``, which is linked before every
    kernel. Rows of a may be parts of longer ones."""
    flag = types.boolean

    def codegen(context, builder, signature, args):
        a, b, c = (context.make_array(signature.args[at])(context, builder, args[at]) for at in (0, 2, 4))
        check_product(context, builder, a, b, c, args[1], args[3])
        turned, turned_b, add = (builder.zext(args[at], ir.IntType(8)) for at in (1, 3, 5))
        rows, columns = cgutils.unpack_tuple(builder, c.shape)
        inner = builder.select(args[1], *cgutils.unpack_tuple(builder, a.shape))
        pitch = cgutils.unpack_tuple(builder, a.shape)[1]
        if signature.args[0].layout != "C":
            step = cgutils.unpack_tuple(builder, a.strides)[0]
            pitch = builder.sdiv(step, ir.Constant(step.type, signature.args[0].dtype.bitwidth // 8), flags=("exact",))
        call = [a.data, pitch, turned, b.data, turned_b, c.data, rows, columns, inner, add]
        kind = ir.FunctionType(ir.VoidType(), [value.type for value in call])
        product = cgutils.get_or_insert_function(builder.module, kind, f"nbnet_gemm_{signature.args[4].dtype}")
        some = (builder.icmp_signed(">", size, ir.Constant(size.type, 0)) for size in (rows, columns))
        with builder.if_then(builder.and_(*some)):
            builder.call(product, call)
        return context.get_dummy_value()

    return types.void(a, flag, b, flag, c, flag), codegen


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
