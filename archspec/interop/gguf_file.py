"""The header of a GGUF file: metadata and where each tensor lies. Standard library only.

The `gguf` package reads the same but turns each of the (often 150,000) token strings into numpy arrays on opening: two
seconds for a header that this reads in a tenth of one. Its dequantisers are what `compiler.weights` uses.

Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md (versions 2 and 3, little endian).
"""

import mmap
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

from archspec.errors import InputError

_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_STRING, _ARRAY = 8, 9
_SIZES = {kind: struct.calcsize("<" + code) for kind, code in _SCALARS.items()}

# ggml type number -> (name, elements in a block, bytes of a block), ggml/src/ggml.c `type_traits`.
QUANTS: dict[int, tuple[str, int, int]] = {
    0: ("F32", 1, 4),
    1: ("F16", 1, 2),
    2: ("Q4_0", 32, 18),
    3: ("Q4_1", 32, 20),
    6: ("Q5_0", 32, 22),
    7: ("Q5_1", 32, 24),
    8: ("Q8_0", 32, 34),
    10: ("Q2_K", 256, 84),
    11: ("Q3_K", 256, 110),
    12: ("Q4_K", 256, 144),
    13: ("Q5_K", 256, 176),
    14: ("Q6_K", 256, 210),
    20: ("IQ4_NL", 32, 18),
    23: ("IQ4_XS", 256, 136),
    28: ("F64", 1, 8),
    30: ("BF16", 1, 2),
}


@dataclass(frozen=True, slots=True)
class GgufTensor:
    """`shape` in row-major order (GGUF stores it reversed); `start` and `size` are bytes in the file."""

    name: str
    shape: tuple[int, ...]
    type_number: int
    start: int
    size: int

    @property
    def type(self) -> str:
        return QUANTS[self.type_number][0]


@dataclass(frozen=True, slots=True)
class GgufFile:
    path: Path
    metadata: Mapping[str, Any]
    tensors: Mapping[str, GgufTensor]

    def floats(self, name: str) -> tuple[float, ...]:
        """The values of a small F32 tensor."""
        tensor = self.tensors[name]
        if tensor.type != "F32":
            raise InputError(f"tensor {name} is stored as {tensor.type}, expected F32", source=str(self.path))
        with self.path.open("rb") as file:
            file.seek(tensor.start)
            return struct.unpack(f"<{prod(tensor.shape)}f", file.read(tensor.size))


class _Cursor:
    """Reads values one after another; every read is bounded by the end of the file."""

    def __init__(self, data: mmap.mmap, path: Path) -> None:
        self.data, self.path, self.at = data, path, 0

    def take(self, count: int) -> bytes:
        end = self.at + count
        if end > len(self.data):
            raise InputError(
                f"truncated GGUF file: its header needs byte {end}, it has {len(self.data)}", source=str(self.path)
            )
        piece = self.data[self.at : end]
        self.at = end
        return piece

    def unpack(self, codes: str) -> tuple[Any, ...]:
        return struct.unpack("<" + codes, self.take(struct.calcsize("<" + codes)))

    def string(self) -> str:
        (count,) = self.unpack("Q")
        return self.take(count).decode("utf-8", errors="replace")

    def value(self, kind: int) -> Any:
        if kind in _SCALARS:
            return self.unpack(_SCALARS[kind])[0]
        if kind == _STRING:
            return self.string()
        if kind != _ARRAY:
            raise InputError(f"unknown GGUF value type {kind} at byte {self.at}", source=str(self.path))
        of, count = self.unpack("IQ")
        if of in _SCALARS:
            return list(struct.unpack(f"<{count}{_SCALARS[of]}", self.take(count * _SIZES[of])))
        # A string takes at least 8 bytes: refuses a false count before anything that long is built.
        if count * 8 > len(self.data) - self.at:
            raise InputError(f"truncated GGUF file: an array of {count} values does not fit", source=str(self.path))
        return [self.value(of) for _ in range(count)]


def is_gguf(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4) == b"GGUF"


def read_gguf(path: Path) -> GgufFile:
    """Header of the file; InputError if it is not GGUF, is cut short, or stores a tensor type that is not read."""
    with path.open("rb") as file:
        if file.read(4) != b"GGUF":
            raise InputError("not a GGUF file (its first four bytes are not 'GGUF')", source=str(path))
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            cursor = _Cursor(data, path)
            metadata, tensors = _read(cursor)
    for tensor in tensors:
        if tensor.start + tensor.size > path.stat().st_size:
            raise InputError(
                f"truncated GGUF file: tensor {tensor.name} ends at byte {tensor.start + tensor.size}, "
                f"the file has {path.stat().st_size}",
                source=str(path),
            )
    return GgufFile(path, metadata, {tensor.name: tensor for tensor in tensors})


def _read(cursor: _Cursor) -> tuple[dict[str, Any], list[GgufTensor]]:
    cursor.take(4)
    version, n_tensors, n_values = cursor.unpack("IQQ")
    if version not in (2, 3):
        raise InputError(f"GGUF version {version}; versions 2 and 3 (little endian) are read", source=str(cursor.path))
    metadata: dict[str, Any] = {}
    for _ in range(n_values):
        key = cursor.string()
        (kind,) = cursor.unpack("I")
        metadata[key] = cursor.value(kind)
    described = list(_descriptions(cursor, n_tensors))
    alignment = metadata.get("general.alignment", 32)
    if not isinstance(alignment, int) or alignment < 1:
        raise InputError(
            f"found {alignment!r}, expected a whole number", source=str(cursor.path), path="/general.alignment"
        )
    data_start = -(-cursor.at // alignment) * alignment
    return metadata, [_placed(cursor.path, data_start, *one) for one in described]


def _descriptions(cursor: _Cursor, count: int) -> Iterator[tuple[str, tuple[int, ...], int, int]]:
    for _ in range(count):
        name = cursor.string()
        (rank,) = cursor.unpack("I")
        if rank > 8:
            raise InputError(f"tensor {name} has {rank} axes; the file is damaged", source=str(cursor.path))
        reversed_shape = cursor.unpack(f"{rank}Q")
        kind, offset = cursor.unpack("IQ")
        yield name, tuple(reversed(reversed_shape)), kind, offset


def _placed(path: Path, data_start: int, name: str, shape: tuple[int, ...], kind: int, offset: int) -> GgufTensor:
    if kind not in QUANTS:
        known = ", ".join(known for known, *_ in QUANTS.values())
        raise InputError(f"tensor {name} has the ggml type number {kind}; read are {known}", source=str(path))
    quant, block, size = QUANTS[kind]
    if shape and shape[-1] % block:
        raise InputError(
            f"tensor {name} has rows of {shape[-1]}, not a multiple of {quant}'s block {block}", source=str(path)
        )
    return GgufTensor(name, shape, kind, data_start + offset, prod(shape) // block * size)
