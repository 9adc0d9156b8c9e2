"""Every op has an entry, or a reason why it has none."""

from __future__ import annotations

from nbnet.export.table import ENTRIES, REFUSED
from nbnet.ops.concatenate import concatenate_op
from tests.ops.cases import REGISTERED


def test_every_op_is_written_or_refused():
    names = {op.name for op in REGISTERED} | {concatenate_op(2, batch).name for batch in (False, True)}
    assert not names - set(ENTRIES) - set(REFUSED), "write an entry in nbnet/export, or a reason in table.py"
    assert not (set(ENTRIES) | set(REFUSED)) - names, "entries of ops that are not there"


def test_no_op_is_both():
    assert not set(ENTRIES) & set(REFUSED)


def test_reasons_are_sentences():
    assert all(reason.startswith("it ") for reason in REFUSED.values())
