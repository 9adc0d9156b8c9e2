"""The container of all files, taken apart and put together, with the checksums computed anew; and that of Keras."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from dataclasses import dataclass
from typing import Any

from nbnet.base.tensor_file import CHECKSUM, DIGITS, KEY, START


@dataclass
class Parts:
    """A file: its header without metadata, its record, and the bytes of its tensors.

    ``record`` is a value, or text that may be no JSON.
    """

    header: dict[str, Any]
    record: Any
    data: bytes

    @classmethod
    def of(cls, content: bytes) -> Parts:
        if content.startswith(b"PK"):
            return KerasParts.read(content)
        length = int.from_bytes(content[:8], "little")
        header = json.loads(content[8 : 8 + length])
        return cls(header, json.loads(header.pop("__metadata__")[KEY]), content[8 + length :])

    def joined(self) -> bytes:
        """The bytes of the file, with valid checksums."""
        text = self.record if isinstance(self.record, str) else json.dumps(self.record)
        metadata = {CHECKSUM: "0" * 2 * DIGITS, KEY: text}
        header = json.dumps({"__metadata__": metadata, **self.header}, separators=(",", ":")).encode()
        return sealed(len(header).to_bytes(8, "little") + header + self.data)

    def tensor(self, name: str) -> slice:
        """The place of a tensor in ``data``."""
        begin, end = self.header[name]["data_offsets"]
        return slice(begin, end)


@dataclass
class KerasParts(Parts):
    """A ``.keras`` file: ``record`` is the configuration, ``data`` the bytes of the HDF5 file with the weights.

    Neither has a checksum then, as in a file of Keras's, so that what has changed is read.
    """

    @classmethod
    def read(cls, content: bytes) -> KerasParts:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            data = archive.read("model.weights.h5").replace(b"nbnet_sha256", b"other_sha256")
            return cls({}, json.loads(archive.read("config.json")), data)

    def joined(self) -> bytes:
        text = self.record if isinstance(self.record, str) else json.dumps(self.record)
        target = io.BytesIO()
        with zipfile.ZipFile(target, "w") as archive:
            archive.writestr("metadata.json", '{"keras_version": "3.5.0"}')
            archive.writestr("config.json", text)
            archive.writestr("model.weights.h5", self.data)
        return target.getvalue()


def sealed(content: bytes) -> bytes:
    """The file with valid checksums, of its tensors and of its header, if it has a place for them."""
    place, end = 8 + len(START), 8 + int.from_bytes(content[:8], "little")
    if content[8:place] != START or not place + 2 * DIGITS <= end <= len(content):
        return content
    tensors = hashlib.sha256(content[end:]).hexdigest().encode()
    rest = tensors + content[place + 2 * DIGITS : end]
    return content[:place] + hashlib.sha256(content[:place] + rest).hexdigest().encode() + rest + content[end:]
