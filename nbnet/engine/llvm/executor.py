"""Compiled bodies of the intrinsics in ``kernels/executor.py``."""

# mypy: ignore-errors
import platform

from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

from nbnet.engine.kernels.layout import EVERY, WIDTH
from nbnet.engine.llvm.vectors import number

_inline = njit(error_model="numpy", inline="always")
_ints = types.CPointer(types.int64)


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


@intrinsic
def turns(typing_context, rows, index):
    def codegen(context, builder, signature, args):
        rows, index = args
        return builder.load(builder.gep(rows, [builder.add(builder.mul(index, number(WIDTH)), number(EVERY))]))

    return types.int64(rows, types.int64), codegen


_X86 = platform.machine().lower() in ("x86_64", "amd64", "i386", "i686")
_FLUSH = 0x8040  # flush results to zero, and read denormals as zero


def _control_word(builder, name, cell):
    kind = ir.FunctionType(ir.VoidType(), [ir.IntType(8).as_pointer()])
    builder.call(
        cgutils.get_or_insert_function(builder.module, kind, name), [builder.bitcast(cell, ir.IntType(8).as_pointer())]
    )


@intrinsic
def flush_denormals(typing_context):
    """Make this thread treat denormal numbers as zero; returns the argument for :func:`restore_denormals`."""

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
    """Wait until ``arrivals`` threads in all have arrived here; spins for a while, then yields the processor."""
    _fetch_add(cell, 1)
    spins = 0
    while _load(cell) < arrivals:
        spins += 1
        if spins > 2000:
            _yield_thread()
