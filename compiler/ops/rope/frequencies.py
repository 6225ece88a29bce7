"""Inverse frequencies of rotary positions with every scaling, as plain numbers.

Sources: linear (position interpolation, arXiv 2306.15595); llama3 (Llama 3.1, transformers
`_compute_llama3_parameters`); yarn (arXiv 2309.00071, transformers `_compute_yarn_parameters`); by_length (LongRoPE,
arXiv 2402.13753, transformers `_compute_longrope_parameters`); dynamic (transformers
`_compute_dynamic_ntk_parameters`). The last two follow the length n of the text: by_length takes `short` for
n <= original_length, else `long`; for longer ones dynamic has the base theta·r^(d / (d - 2)) with
r = 1 + factor·(n / original_length - 1).

n is the number of rows that a pass is given or, in steps, what the state has room for: the caller says how long the
text will be, and every token is turned alike. So steps equal the full forward where the room is the text's length.
"""

import math
from functools import lru_cache
from typing import Any

from compiler.ops.base import Attrs


def frequencies(attrs: Attrs, length: int = 0) -> tuple[list[float], float]:
    """dims/2 inverse frequencies in a text of `length` rows, and the factor on cos and sin."""
    return _frequencies(attrs["theta"], attrs["dims"], attrs.get("ladder", "open"), _freeze(attrs.get("scaling")),
                        attrs.get("max_length", 0), length if original_length(attrs) else 0)  # fmt: skip


def original_length(attrs: Attrs) -> int | None:
    """The length of text beyond which the frequencies are others; None where they are always the same."""
    scaling = attrs.get("scaling")
    return int(scaling["original_length"]) if scaling and scaling["type"] in ("by_length", "dynamic") else None


def powers(attrs: Attrs) -> list[float]:
    """By which power of r (see above) each frequency of `dynamic` falls: base^-e becomes base^-e / r^power."""
    dims = attrs["dims"]
    half = dims // 2
    steps = max(half - 1, 1) if attrs.get("ladder", "open") == "closed" else half
    return [i / steps * dims / max(dims - 2, 1) for i in range(half)]  # a single pair does not move


def _freeze(value: Any) -> Any:
    if isinstance(value, dict):
        return tuple(sorted((k, _freeze(v)) for k, v in value.items()))
    return tuple(map(_freeze, value)) if isinstance(value, list | tuple) else value


@lru_cache(256)
def _frequencies(
    theta: float, dims: int, ladder: str, scaling: Any, max_length: int, length: int
) -> tuple[list[float], float]:
    half = dims // 2
    if ladder == "closed":
        inverse = [theta ** (-i / max(half - 1, 1)) for i in range(half)]
    else:
        inverse = [theta ** (-2 * i / dims) for i in range(half)]
    if scaling is None:
        return inverse, 1.0
    fields = dict(scaling)
    match fields["type"]:
        case "linear":
            return [f / fields["factor"] for f in inverse], 1.0
        case "llama3":
            return [_llama3(f, fields) for f in inverse], 1.0
        case "yarn":
            return _yarn(inverse, theta, dims, fields)
        case "dynamic":
            r = 1 + fields["factor"] * max(length / fields["original_length"] - 1, 0)
            falling = powers({"dims": dims, "ladder": ladder})
            return [f / r**power for f, power in zip(inverse, falling, strict=True)], 1.0
        case "by_length":
            factors = fields["long"] if length > fields["original_length"] else fields["short"]
            gain = fields.get("gain")
            if gain is None:
                ratio = max_length / fields["original_length"]
                gain = math.sqrt(1 + math.log(ratio) / math.log(fields["original_length"])) if ratio > 1 else 1.0
            return [f / s for f, s in zip(inverse, factors, strict=True)], gain
    raise ValueError(fields["type"])


def _llama3(f: float, fields: dict[str, float]) -> float:
    wavelength = 2 * math.pi / f
    low, high, length = fields["low"], fields["high"], fields["original_length"]
    if wavelength > length / low:
        return f / fields["factor"]
    if wavelength < length / high:
        return f
    smooth = (length / wavelength - low) / (high - low)
    return (1 - smooth) * f / fields["factor"] + smooth * f


def _yarn(inverse: list[float], theta: float, dims: int, fields: dict[str, Any]) -> tuple[list[float], float]:
    def dim_of(rotations: float) -> float:
        return dims * math.log(fields["original_length"] / (rotations * 2 * math.pi)) / (2 * math.log(theta))

    low, high = dim_of(fields.get("beta_fast", 32)), dim_of(fields.get("beta_slow", 1))
    if fields.get("truncate", True):
        low, high = math.floor(low), math.ceil(high)
    low, high = max(low, 0), min(high, dims - 1)
    if low == high:
        high += 0.001
    ramp = [min(max((i - low) / (high - low), 0.0), 1.0) for i in range(dims // 2)]
    scaled = [f / fields["factor"] * r + f * (1 - r) for f, r in zip(inverse, ramp, strict=True)]
    gain = fields.get("gain")
    if gain is None:
        gain = 0.1 * math.log(fields["factor"]) + 1.0 if fields["factor"] > 1 else 1.0
    return scaled, gain
