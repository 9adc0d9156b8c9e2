"""The compiled bodies of the intrinsics in ``nbnet/core/abi.py``. Imported only when something is compiled."""

# mypy: ignore-errors
import platform

from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

from nbnet.core.layout import WIDTH
from nbnet.core.native_gemm import *  # noqa: F403
from nbnet.core.native_pack import *  # noqa: F403
from nbnet.core.native_rows import *  # noqa: F403
from nbnet.core.native_sparse import *  # noqa: F403
from nbnet.core.native_views import *  # noqa: F403

_inline = njit(error_model="numpy", inline="always")
_ints = types.CPointer(types.int64)


def parameters(function, dtype):
    """The types of a compiled function's parameters."""
    i, flag, reals = types.int64, types.boolean, types.CPointer(getattr(types, dtype.name))
    if function.kind == "kernel":
        return reals, _ints, i
    if function.kind == "gemm":
        return reals, i, flag, reals, flag, reals, i, i, i, flag
    return types.intp, _ints, _ints, i, i, i, _ints, i, i


# ---- bits ----------------------------------------------------------------------------------------------------


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


# ---- matrix products -----------------------------------------------------------------------------------------


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
    """Row-major ``c (+)= op(a) @ op(b)``: calls the product that ``gemm.py`` makes, linked before every kernel. Rows of
    a may be parts of longer ones."""
    flag = types.boolean

    def codegen(context, builder, signature, args):
        a, b, c = (context.make_array(signature.args[at])(context, builder, args[at]) for at in (0, 2, 4))
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


# ---- what the executor says ----------------------------------------------------------------------------------


@intrinsic
def call_row(typing_context, mem, rows, index, step):
    """Call the kernel whose address stands in row ``index`` with that row."""

    def codegen(context, builder, signature, args):
        mem, rows, index, step = args
        row = builder.gep(rows, [builder.mul(index, ir.Constant(ir.IntType(64), WIDTH))])
        byte = ir.IntType(8).as_pointer()
        kind = ir.FunctionType(ir.VoidType(), [byte, row.type, ir.IntType(64)])
        builder.call(builder.inttoptr(builder.load(row), kind.as_pointer()), [builder.inttoptr(mem, byte), row, step])
        return context.get_dummy_value()

    return types.void(types.intp, _ints, types.int64, types.int64), codegen


_X86 = platform.machine().lower() in ("x86_64", "amd64", "i386", "i686")
_FLUSH = 0x8040  # flush results to zero, and read denormals as zero


def _control_word(builder, name, cell):
    kind = ir.FunctionType(ir.VoidType(), [ir.IntType(8).as_pointer()])
    builder.call(
        cgutils.get_or_insert_function(builder.module, kind, name), [builder.bitcast(cell, ir.IntType(8).as_pointer())]
    )


@intrinsic
def flush_denormals(typing_context):
    """Let this thread treat denormal numbers as zero; returns what to give to :func:`restore_denormals`."""

    def codegen(context, builder, signature, args):
        word = cgutils.alloca_once_value(builder, ir.Constant(ir.IntType(32), 0))
        if not _X86:
            return builder.load(word)
        _control_word(builder, "llvm.x86.sse.stmxcsr", word)
        before = builder.load(word)
        builder.store(builder.or_(before, ir.Constant(ir.IntType(32), _FLUSH)), word)
        _control_word(builder, "llvm.x86.sse.ldmxcsr", word)
        return before

    return types.int32(), codegen


@intrinsic
def restore_denormals(typing_context, before):
    def codegen(context, builder, signature, args):
        if _X86:
            _control_word(builder, "llvm.x86.sse.ldmxcsr", cgutils.alloca_once_value(builder, args[0]))
        return context.get_dummy_value()

    return types.void(types.int32), codegen


@intrinsic
def _fetch_add(typing_context, cell, value):
    def codegen(context, builder, signature, args):
        return builder.atomic_rmw("add", args[0], args[1], "seq_cst")

    return types.int64(_ints, types.int64), codegen


@intrinsic
def _load(typing_context, cell):
    def codegen(context, builder, signature, args):
        return builder.load_atomic(args[0], "acquire", 8)

    return types.int64(_ints), codegen


@intrinsic
def _yield_thread(typing_context):
    def codegen(context, builder, signature, args):
        kind = ir.FunctionType(ir.IntType(32), [])
        builder.call(cgutils.get_or_insert_function(builder.module, kind, "nbnet_yield"), [])
        return context.get_dummy_value()

    return types.void(), codegen


@_inline
def barrier(cell, arrivals):
    """Wait until ``arrivals`` threads have passed here in all; spins a while, then gives the processor away."""
    _fetch_add(cell, 1)
    spins = 0
    while _load(cell) < arrivals:
        spins += 1
        if spins > 2000:
            _yield_thread()
