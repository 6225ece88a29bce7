"""Layers with a window among layers without: `layer_types`, and the rules that stand in for it."""

from collections.abc import Sequence
from typing import Any

from archspec.interop.hf.config import Config
from archspec.interop.hf.family import CannotSay

KINDS = ("full_attention", "sliding_attention")


def read_types(config: Config, n_layers: int, default: Sequence[str], kinds: Sequence[str] = KINDS) -> list[str]:
    """One kind for each layer, each one of `kinds`; `default` where the file has no list."""
    types = config.get("layer_types")
    if types is None:
        return list(default)
    if not isinstance(types, list) or len(types) != n_layers:
        raise config.fail("layer_types", f"expected a list of {n_layers} types, one for each layer")
    for layer, kind in enumerate(types):
        if kind not in kinds:
            raise config.fail(f"layer_types/{layer}", f"found {kind!r}, understood are {', '.join(map(repr, kinds))}")
    return types


def alternating(config: Config, n_layers: int, period: int, window: int) -> tuple[int | None, ...]:
    """Windows in all layers but each `period`-th one (Gemma2Config, Gemma3TextConfig, GptOssConfig)."""
    default = ["sliding_attention" if (layer + 1) % period else "full_attention" for layer in range(n_layers)]
    types = read_types(config, n_layers, default)
    size = config.integer("sliding_window", window, null=True)
    if config.is_null("sliding_window") and "sliding_attention" in types:
        raise config.fail("sliding_window", "null, but there are layers with a window")
    return tuple(size if kind == "sliding_attention" else None for kind in types)


def upper(config: Config, n_layers: int) -> tuple[int | None, ...]:
    """`layer_types`, or the rule that stands in for it: windows from layer `max_window_layers` on (Qwen2Config)."""
    use = config.flag("use_sliding_window", False)
    window = config.integer("sliding_window", 4096, null=not use)
    first = config.integer("max_window_layers", 28, least=0, null=not use)
    default = ["sliding_attention" if use and layer >= first else "full_attention" for layer in range(n_layers)]
    types = read_types(config, n_layers, default)
    for layer, kind in enumerate(types):
        if kind == "sliding_attention" and not use:
            raise config.fail(f"layer_types/{layer}", "a sliding layer, but use_sliding_window is false")
    return tuple(window if kind == "sliding_attention" else None for kind in types)


def fields(windows: Sequence[int | None]) -> dict[str, Any]:
    """The fields of families with a window in some layers."""
    sizes = {window for window in windows if window}
    if len(sizes) > 1:
        raise CannotSay(f"one window size for all layers, found {sorted(sizes)}")
    types = ["sliding_attention" if window else "full_attention" for window in windows]
    return {"layer_types": types} | ({"sliding_window": sizes.pop()} if sizes else {})


def upper_fields(windows: Sequence[int | None]) -> dict[str, Any]:
    """The same, of families that `upper` reads."""
    return {"use_sliding_window": any(windows), **fields(windows)}
