"""Vector instructions for compiled intrinsics, in registers of the processor's width."""

# mypy: ignore-errors
import functools

import llvmlite.binding as llvm
from llvmlite import ir
from numba import types
from numba.core import cgutils

I1, I32, I64 = ir.IntType(1), ir.IntType(32), ir.IntType(64)


@functools.cache
def registers():
    """Bytes in a vector register, and how many of them there are."""
    features = llvm.get_host_cpu_features()
    if features.get("avx512f") and features.get("avx512vl"):
        return 64, 32
    if features.get("avx"):
        return 32, 16
    return (16, 32) if llvm.get_process_triple().startswith(("aarch64", "arm64")) else (16, 16)


def lanes_of(pointer):
    return registers()[0] * 8 // pointer.dtype.bitwidth


class Vectors:
    """Writes vector instructions for one element type."""

    def __init__(self, builder, pointer):
        self.builder, self.lanes = builder, lanes_of(pointer)
        self.single = pointer.dtype == types.float32
        self.element = ir.FloatType() if self.single else ir.DoubleType()
        self.vector = ir.VectorType(self.element, self.lanes)
        self.mask = ir.VectorType(I1, self.lanes)
        self.zero = ir.Constant(self.vector, [0.0] * self.lanes)
        self.align = 4 if self.single else 8

    def _call(self, name, result, *args, element=None, place=""):
        kind = ir.FunctionType(result, [a.type for a in args])
        suffix = f"v{self.lanes}{element or ('f32' if self.single else 'f64')}{place}"
        function = cgutils.get_or_insert_function(self.builder.module, kind, f"llvm.{name}.{suffix}")
        return self.builder.call(function, args)

    def at(self, pointer, offset):
        return self.builder.gep(pointer, [offset])

    def first(self, count):
        """A mask of the first lanes."""
        b, wide, all_ = self.builder, ir.VectorType(I32, self.lanes), number(self.lanes)
        numbers = ir.Constant(wide, list(range(self.lanes)))
        # One comparison does, where 64 bits for each lane would take two and a word to put their results together.
        count = b.trunc(b.select(b.icmp_signed("<", count, all_), count, all_), I32)
        return b.icmp_signed("<", numbers, self.splat(count, wide))

    def splat(self, value, kind):
        none = ir.Constant(kind, ir.Undefined)
        one = self.builder.insert_element(none, value, ir.Constant(I32, 0))
        return self.builder.shuffle_vector(one, none, ir.Constant(ir.VectorType(I32, self.lanes), [0] * self.lanes))

    def spread(self, pointer):
        return self.splat(self.builder.load(pointer), self.vector)

    def load(self, pointer, mask=None):
        place = self.builder.bitcast(pointer, self.vector.as_pointer())
        if mask is None:
            value = self.builder.load(place)
            value.align = self.align
            return value
        return self._masked("load", self.vector, place, ir.Constant(I32, self.align), mask, self.zero)

    def store(self, value, pointer, mask=None, element=None):
        place = self.builder.bitcast(pointer, value.type.as_pointer())
        if mask is None:
            self.builder.store(value, place).align = self.align
        else:
            align = ir.Constant(I32, 4 if element == "i32" else self.align)
            self._masked("store", ir.VoidType(), value, place, align, mask, element=element)

    def prefetch(self, pointer):
        """Have the second cache fetch the line there, whatever lies there."""
        kind = ir.FunctionType(ir.VoidType(), [pointer.type, I32, I32, I32])
        function = cgutils.get_or_insert_function(self.builder.module, kind, "llvm.prefetch.p0")
        self.builder.call(function, [pointer, ir.Constant(I32, 0), ir.Constant(I32, 2), ir.Constant(I32, 1)])

    def kept(self, pointer, lanes):
        """A mask of the lanes whose byte is not 0, among those of a mask."""
        bytes_ = ir.VectorType(ir.IntType(8), self.lanes)
        none = ir.Constant(bytes_, [0] * self.lanes)
        place = self.builder.bitcast(pointer, bytes_.as_pointer())
        found = self._masked("load", bytes_, place, ir.Constant(I32, 1), lanes, none, element="i8")
        return self.builder.icmp_unsigned("!=", found, none)

    def count(self, mask):
        """How many lanes a mask has."""
        bits = ir.IntType(self.lanes)
        kind = ir.FunctionType(bits, [bits])
        function = cgutils.get_or_insert_function(self.builder.module, kind, f"llvm.ctpop.i{self.lanes}")
        return self.builder.zext(self.builder.call(function, [self.builder.bitcast(mask, bits)]), I64)

    def compress(self, value, pointer, mask, element=None):
        """Store the lanes of a mask side by side."""
        if registers()[0] < 64:
            self._masked("compressstore", ir.VoidType(), value, pointer, mask, element=element, place="")
            return
        # The instruction that does both takes some processors (Zen 4) a hundred cycles and more.
        nothing = ir.Constant(value.type, ir.Undefined)
        packed = self._call("experimental.vector.compress", value.type, value, mask, nothing, element=element)
        self.store(packed, pointer, self.first(self.count(mask)), element)

    def expand(self, pointer, mask):
        """Load lanes that lie side by side to the lanes of a mask, zeros elsewhere."""
        return self._masked("expandload", self.vector, pointer, mask, self.zero, place="")

    def _masked(self, name, result, *args, element=None, place=".p0"):
        return self._call(f"masked.{name}", result, *args, element=element, place=place)

    def all(self, flag):
        """A mask of all lanes, or of none."""
        return self.splat(self.builder.trunc(flag, I1), self.mask)

    def multiply_add(self, a, b, c):
        return self._call("fma", self.vector, a, b, c)

    def transpose(self, rows):
        """The square of ``lanes`` vectors, transposed: blocks change places, from single lanes to halves."""
        rows, n = list(rows), self.lanes
        index, step = ir.VectorType(I32, n), 1
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


def number(n):
    return ir.Constant(I64, n)
