"""Storage formats: how many bytes a tensor takes, scales and padding of its groups included."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from math import prod

from archspec.errors import InputError
from archspec.spec.tree import Precision


@dataclass(frozen=True, slots=True)
class Format:
    """`block` neighbours of one row take `block_bytes` together (a row is filled up to whole blocks); each row takes
    `row_bytes` more, each tile of 128 x 128 `tile_bytes` more."""

    name: str
    block: int
    block_bytes: float
    row_bytes: int = 0
    tile_bytes: int = 0
    quantised: bool = True

    def bytes_of(self, shape: tuple[int, ...]) -> int:
        """Bytes of one tensor whose last axis is the row."""
        width = shape[-1] if shape else 1
        rows = prod(shape[:-1])
        tiles = -(-rows // 128) * -(-width // 128) if self.tile_bytes else 0
        return round(rows * (-(-width // self.block) * self.block_bytes + self.row_bytes) + tiles * self.tile_bytes)

    def bits(self, width: int = 4096) -> float:
        """Bits for each element of a row of `width`, scales included."""
        return 8 * self.bytes_of((128, width)) / (128 * width)


def _plain(name: str, size: int) -> Format:
    return Format(name, 1, size, quantised=False)


# int8: one fp16 scale a row (8 + 16/width bits). int4: groups of 128 with fp16 scale and fp16 zero (4.25 bits), the
# common form of GPTQ and AWQ. fp8: one fp32 scale for each 128 x 128 tile, as DeepSeek-V3. The rest: ggml-common.h.
FORMATS: Mapping[str, Format] = {
    f.name: f
    for f in (
        _plain("fp64", 8), _plain("fp32", 4), _plain("bf16", 2), _plain("fp16", 2),
        Format("fp8", 1, 1, tile_bytes=4), Format("int8", 1, 1, row_bytes=2), Format("int4", 128, 68),
        Format("q8_0", 32, 34), Format("q4_0", 32, 18), Format("q4_1", 32, 20), Format("q5_0", 32, 22),
        Format("q5_1", 32, 24), Format("q2_k", 256, 84), Format("q3_k", 256, 110), Format("q4_k", 256, 144),
        Format("q5_k", 256, 176), Format("q6_k", 256, 210), Format("iq4_nl", 32, 18), Format("iq4_xs", 256, 136),
    )
}  # fmt: skip
FP8_PLAIN = Format("fp8", 1, 1)  # a cache in fp8 has one scale for the whole tensor
QUANTISED_KINDS = frozenset({"linear", "expert"})  # what one name of a quantised format applies to
BYTES = {"int": 8, "bool": 1}  # ids and positions are int64


@dataclass(frozen=True)
class Storage:
    """Where each kind of tensor is kept. `mixed`: kind -> exact bytes and elements, where types differ by path."""

    precision: Precision
    mixed: Mapping[str, tuple[int, int]] = field(default_factory=dict)

    def over(self, parameters: Iterable[tuple[str, str, tuple[int, ...]]]) -> "Storage":
        """The same for these parameters (path, kind, shape): a spec may name types by path."""
        weights = self.precision.weights
        if not isinstance(weights, dict) or not any(_is_path(key) for key in weights):
            return self
        mixed: dict[str, tuple[int, int]] = {}
        for path, kind, shape in parameters:
            stored, elements = mixed.get(kind, (0, 0))
            mixed[kind] = (stored + self.weight(kind, path).bytes_of(shape), elements + prod(shape))
        return replace(self, mixed=mixed)

    def weight(self, kind: str, path: str = "") -> Format:
        """Format of parameters of this kind ("linear", "embedding", "head", "norm", ...), or of the one at a full path.

        One float name holds for all. One quantised name holds for matrices of the layers; embedding, head, norms,
        biases and routers stay in 16 bit. A dict names kinds and paths; "default" is for the others, else 16 bit.
        Without a path, a kind of several types is one format of their mean size.
        """
        weights = self.precision.weights
        if not path and kind in self.mixed:
            stored, elements = self.mixed[kind]
            return Format("mixed", 1, stored / elements)
        if isinstance(weights, dict):
            by_path = (name for key, name in weights.items() if _is_path(key) and fnmatchcase(path, key))
            name = next(by_path, None) or weights.get(kind) or weights.get("default") or self._sixteen_bit()
        elif FORMATS[weights].quantised and kind not in QUANTISED_KINDS:
            name = self._sixteen_bit()
        else:
            name = weights
        return FORMATS[name]

    def _sixteen_bit(self) -> str:
        return "fp16" if self.precision.activations == "fp16" else "bf16"

    @property
    def activation_bytes(self) -> int:
        return int(FORMATS[self.precision.activations].block_bytes)

    @property
    def cache(self) -> Format:
        name = self.precision.cache or self.precision.activations
        return FP8_PLAIN if name == "fp8" else FORMATS[name]

    def value_bytes(self, dtype: str) -> int:
        """Bytes of one element of an activation of this IR type."""
        if dtype == "float":
            return self.activation_bytes
        return BYTES[dtype] if dtype in BYTES else int(FORMATS[dtype].block_bytes)

    def state(self, dtype: str) -> Format:
        return self.cache if dtype == "float" else _plain(dtype, self.value_bytes(dtype))


def _is_path(key: str) -> bool:
    return "." in key or "*" in key


def with_dtype(precision: Precision, dtype: str | None) -> Precision:
    """`--dtype`: a float type is for weights, activations and cache; a quantised one for weights only."""
    if dtype is None:
        return precision
    if dtype not in FORMATS:
        raise InputError(f"unknown dtype {dtype!r}; allowed: {', '.join(FORMATS)}", source="--dtype")
    changes: dict[str, object] = {"weights": dtype}
    if not FORMATS[dtype].quantised:
        changes |= {"activations": dtype, "cache": None}
    return precision.model_copy(update=changes)
