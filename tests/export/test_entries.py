"""Every op has an entry, or a reason why it has none."""

from __future__ import annotations

from nbnet.engine.graph.op import registry
from nbnet.export import to_onnx
from nbnet.export.graph import ENTRIES, refusal
from nbnet.ops.slicing import concatenate_op
from tests.ops.cases import REGISTERED

assert to_onnx  # importing it registers the entries


def test_every_op_is_written_or_refused():
    names = {op.name for op in REGISTERED} | {concatenate_op(2, batch).name for batch in (False, True)}
    refused = {op.name for op in REGISTERED if refusal(op)}
    assert not names - set(ENTRIES) - refused, "write an entry in nbnet/export, or a reason in graph.py"
    assert not set(ENTRIES) - names, "entries of ops that are not there"
    assert not refused & set(ENTRIES)


def test_reasons_are_sentences():
    reasons = {refusal(op) for op in registry.values()} - {None}
    assert len(reasons) == 7
    assert all(reason.startswith("it ") for reason in reasons)
