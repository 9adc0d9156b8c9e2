"""The compiled bodies of ``compress``, ``expand`` and ``put_back`` in ``nbnet/core/abi.py``."""

# mypy: ignore-errors
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from nbnet.core.native_vectors import I1, Vectors, number
from nbnet.core.native_views import data_of


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
