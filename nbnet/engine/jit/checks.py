"""Checks in compiled code, written only with ``NBNET_CHECK=1``: a function that fails one reports it and ends.

The report is a call of ``nbnet_fault`` (``kernels/checked.py``). Numba hands the status ``FAILED`` on to the
caller, and the kernel's wrapper ignores it.
"""

# mypy: ignore-errors
import functools

from llvmlite import ir
from numba import types
from numba.core import cgutils

from nbnet.engine.jit.function import CHECKED

#: Kinds of faults: an index, a bound of a slice, the number of an operand, that of an attribute, the size of a view,
#: the shapes of a product, the length of a row, the number of elements that a mask keeps.
INDEX, BOUND, OPERAND, ATTRIBUTE, SIZE, PRODUCT, LENGTH, KEPT = range(8)
#: A status that Numba does not use.
FAILED = -4
_I64 = ir.IntType(64)


def check(context, builder, kind, good, place, value, limit):
    """Report a fault of a kind and leave the function, unless ``good``.

    ``place`` is a pointer into the operand; ``value`` was expected to agree with ``limit``.
    """
    with cgutils.if_unlikely(builder, builder.not_(good)):
        signature = ir.FunctionType(ir.VoidType(), [_I64] * 4)
        report = cgutils.get_or_insert_function(builder.module, signature, "nbnet_fault")
        builder.call(report, [_I64(kind), builder.ptrtoint(place, _I64), value, limit])
        builder.ret(ir.Constant(ir.IntType(32), FAILED))


def check_length(context, builder, place, value, limit, kind=LENGTH):
    """Check that ``value`` elements are no more than ``limit``, and not negative."""
    if CHECKED:
        check(context, builder, kind, builder.icmp_unsigned("<=", value, limit), place, value, limit)


def check_product(context, builder, a, b, c, turned, turned_b):
    """Check that the shapes of three matrices agree."""
    if not CHECKED:
        return
    rows, columns = cgutils.unpack_tuple(builder, c.shape, 2)
    a_rows, a_columns = cgutils.unpack_tuple(builder, a.shape, 2)
    b_rows, b_columns = cgutils.unpack_tuple(builder, b.shape, 2)
    inner, outer = builder.select(turned, a_rows, a_columns), builder.select(turned, a_columns, a_rows)
    check(context, builder, PRODUCT, builder.icmp_signed("==", rows, outer), a.data, outer, rows)
    width = builder.select(turned_b, inner, columns)
    check(context, builder, PRODUCT, builder.icmp_signed("==", width, b_columns), b.data, b_columns, width)
    height = builder.select(turned_b, columns, inner)
    check(context, builder, PRODUCT, builder.icmp_signed("==", height, b_rows), b.data, b_rows, height)


def checked_indexing(indexing):
    """Numba's ``basic_indexing`` behind a check of each index and of both bounds of each slice.

    None counts from the end: in a kernel that is an error. A slice may end behind the last element, where it is cut.
    """

    @functools.wraps(indexing)
    def checked(context, builder, kind, array, index_types, indices, boundscheck=None):
        lengths = cgutils.unpack_tuple(builder, array.shape, kind.ndim)
        axis = 0
        for index_type, index in zip(index_types, indices, strict=True):
            if index_type is types.ellipsis:
                axis += kind.ndim - len(indices) + 1
            elif isinstance(index_type, types.SliceType):
                bounds = context.make_helper(builder, index_type, value=index)
                # An absent operand has no elements, and neither has any part of it.
                none = builder.icmp_signed("==", lengths[axis], _I64(0))
                inside = builder.or_(builder.icmp_unsigned("<=", bounds.start, lengths[axis]), none)
                check(context, builder, BOUND, inside, array.data, bounds.start, lengths[axis])
                ahead = builder.icmp_signed(">=", bounds.stop, _I64(0))
                check(context, builder, BOUND, ahead, array.data, bounds.stop, lengths[axis])
                axis += 1
            elif isinstance(index_type, types.Integer):
                place = context.cast(builder, index, index_type, types.intp if index_type.signed else types.uintp)
                inside = builder.icmp_unsigned("<", place, lengths[axis])
                check(context, builder, INDEX, inside, array.data, place, lengths[axis])
                axis += 1
        return indexing(context, builder, kind, array, index_types, indices, boundscheck)

    return checked
