"""Rotary positions in config.json: `rope_parameters` (transformers 5), or `rope_theta` and `rope_scaling` (before).

Follows transformers 5.23 `modeling_rope_utils.py`: `standardize_rope_params` for what is read from where and the
`_compute_*_parameters` functions for defaults.
"""

from collections.abc import Mapping
from math import log, sqrt
from types import MappingProxyType
from typing import Any

from archspec.interop.hf.config import Config

DEFAULT_THETA = 10000.0


def read_rope(
    config: Config,
    max_length: int,
    d_head: int,
    *,
    partial: bool = False,
    theta: float = DEFAULT_THETA,
    share: float = 1.0,
    original: int | None = None,
    names: Mapping[str, str] = MappingProxyType({}),
) -> dict[str, Any]:
    """The `rope` position of the spec. With `partial` the family can rotate a first part of each head only.

    theta, share, original: what stands for the base, the part of each head and the length before scaling where the
    file says nothing. names: other words of this family for a type of scaling.
    """
    # `rope_scaling` wins where both are present; rope_theta inside wins over the one beside.
    inside = config.group("rope_scaling") or config.group("rope_parameters") or Config({}, config.source)
    config.group("rope_parameters")
    theta = config.number("rope_theta", theta)
    share = config.number("partial_rotary_factor", share)
    # A field on the top level has priority over the one inside (the Phi-3 exception).
    if config.get("original_max_position_embeddings") is not None:
        original = config.integer("original_max_position_embeddings", least=2)
    out, share = read_parameters(inside, max_length, d_head, theta, share, original, names)
    if share != 1 and not partial:
        raise config.fail("partial_rotary_factor", f"{share} is not understood here (whole heads are rotated)")
    return out


def read_parameters(
    inside: Config,
    max_length: int,
    d_head: int,
    theta: float,
    share: float = 1.0,
    original: int | None = None,
    names: Mapping[str, str] = MappingProxyType({}),
) -> tuple[dict[str, Any], float]:
    """The `rope` position that the object `rope_parameters` means, and which part of each head rotates."""
    kind = inside.get("rope_type") or inside.get("type") or "default"
    inside.get("type")
    theta = inside.number("rope_theta", theta)
    share = inside.number("partial_rotary_factor", share)
    if not isinstance(kind, str):
        raise inside.fail("rope_type", f"found {kind!r}, expected a word")
    scaling = _scaling(inside, names.get(kind, kind), max_length, original)
    inside.finish()
    if not 0 < share <= 1:
        raise inside.fail("partial_rotary_factor", f"found {share}, expected a share of each head")
    out: dict[str, Any] = {"type": "rope", "theta": theta}
    if share != 1:
        out["dims"] = int(d_head * share)
    if scaling:
        out["scaling"] = scaling
    return out, share


def _scaling(rope: Config, kind: str, max_length: int, original: int | None) -> dict[str, Any] | None:
    def original_length() -> int:
        inside = rope.integer("original_max_position_embeddings", max_length, least=2, null=True)
        return inside if original is None else original

    match kind:
        case "default":
            return None
        case "linear":
            return {"type": "linear", "factor": rope.number("factor")}
        case "dynamic":
            return {"type": "dynamic", "factor": rope.number("factor"), "original_length": max_length}
        case "llama3":
            return {
                "type": "llama3",
                "factor": rope.number("factor"),
                "low": rope.number("low_freq_factor"),
                "high": rope.number("high_freq_factor"),
                "original_length": original_length(),
            }
        case "yarn":
            length = original_length()
            factor = rope.number("factor", max_length / length)
            return {
                "type": "yarn",
                "factor": factor,
                "original_length": length,
                "beta_fast": rope.number("beta_fast", 32) or 32,
                "beta_slow": rope.number("beta_slow", 1) or 1,
                "truncate": rope.flag("truncate", True),
                "gain": _yarn_gain(rope, factor),
            }
        case "longrope":
            length = original_length()
            factor = rope.number("factor", max_length / length)
            gain = 1.0 if factor <= 1 else sqrt(1 + log(factor) / log(length))
            return {
                "type": "by_length",
                "short": _factors(rope, "short_factor"),
                "long": _factors(rope, "long_factor"),
                "original_length": length,
                "gain": rope.number("attention_factor", gain),
            }
    raise rope.fail("rope_type", f"found {kind!r}, understood are default, dynamic, linear, llama3, longrope, yarn")


def _factors(rope: Config, name: str) -> list[float]:
    factors = rope.get(name)
    if not isinstance(factors, list) or not factors:
        raise rope.fail(name, f"found {factors!r}, expected a list of numbers")
    return factors


def _yarn_gain(rope: Config, factor: float) -> float:
    def mscale(weight: float) -> float:
        return 1.0 if factor <= 1 else 0.1 * weight * log(factor) + 1.0

    top, bottom = rope.number("mscale", 0), rope.number("mscale_all_dim", 0)
    return rope.number("attention_factor", mscale(top) / mscale(bottom) if top and bottom else mscale(1))


def write_rope(rope: Any, d_head: int) -> dict[str, Any]:
    """`rope_parameters` for a resolved rope position. What they cannot say is left out: the caller reads it back."""
    out: dict[str, Any] = {"rope_type": "default", "rope_theta": rope.theta}
    if rope.dims != d_head:
        out["partial_rotary_factor"] = rope.dims / d_head
    s = rope.scaling
    match s and s.type:
        case "linear" | "dynamic":
            out |= {"rope_type": s.type, "factor": s.factor}
        case "llama3":
            out |= {"rope_type": "llama3", "factor": s.factor, "low_freq_factor": s.low, "high_freq_factor": s.high}
            out |= {"original_max_position_embeddings": s.original_length}
        case "yarn":
            out |= {"rope_type": "yarn", "factor": s.factor, "original_max_position_embeddings": s.original_length}
            out |= {
                "beta_fast": s.beta_fast,
                "beta_slow": s.beta_slow,
                "truncate": s.truncate,
                "attention_factor": s.gain,
            }
        case "by_length":
            out |= {"rope_type": "longrope", "short_factor": list(s.short), "long_factor": list(s.long)}
            out |= {"original_max_position_embeddings": s.original_length, "attention_factor": s.gain}
    return out


def in_old_spelling(config: Mapping[str, Any]) -> dict[str, Any]:
    """The same configuration with `rope_parameters` written as `rope_theta` and `rope_scaling`."""
    out = dict(config)
    rope = dict(out.pop("rope_parameters"))
    out["rope_theta"] = rope.pop("rope_theta")
    out["rope_scaling"] = None if rope == {"rope_type": "default"} else rope
    return out
