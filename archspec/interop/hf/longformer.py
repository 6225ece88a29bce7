"""Longformer: RoBERTa whose words see a window, and some of them everything, through projections of their own.

Defaults: transformers 5.23 `models/longformer/configuration_longformer.py` LongformerConfig. Its window of w shows w/2
positions before and after; rows marked by `global_attention_mask` see all and are seen by all.
"""

from dataclasses import replace
from typing import Any

from archspec.interop.hf import encoder, roberta
from archspec.interop.hf.config import Config
from archspec.interop.hf.encoder import STACK, attention_of
from archspec.interop.hf.family import CannotSay, Family, HeadKind
from archspec.interop.hf.layout import entries
from archspec.interop.hf.reading import all_of, expect
from archspec.interop.recipe import Stored
from archspec.interop.tensor_map import TensorMap, per_layer
from archspec.spec import Resolved
from archspec.spec.types import Attention, Or, Window

GLOBAL = {"type": "rows_input", "name": "global_attention_mask"}
OWN = {"q": "query", "k": "key", "v": "value"}


def read(config: Config) -> encoder.Encoder:
    config.fixed("attention_mode", "longformer")
    config.fixed("ignore_attention_mask", False)
    config.fixed("is_decoder", False)
    return roberta.read(config, vocab_size=30522)


def _windows(config: Config, n_layers: int) -> list[int]:
    said = config.get("attention_window", 512)
    windows = said if isinstance(said, list) else [said] * n_layers
    if len(windows) != n_layers:
        raise config.fail("attention_window", f"expected one number, or a list of {n_layers}, one for each layer")
    for window in windows:
        if isinstance(window, bool) or not isinstance(window, int) or window < 2 or window % 2:
            raise config.fail("attention_window", f"found {window!r}, expected even numbers from 2 on")
    return windows


def _mask(window: int) -> dict[str, Any]:
    near = {"type": "window", "behind": window // 2 + 1, "ahead": window // 2}
    return {"type": "or", "of": [near, {"type": "keys", "of": GLOBAL}, {"type": "queries", "of": GLOBAL}]}


def to_spec(config: Config, head: HeadKind) -> dict[str, Any]:
    m = read(config)
    out, windows = encoder.spec(m, head), _windows(config, m.n_layers)
    stack = out["stacks"][STACK]
    attention_of(out).update(mask=_mask(windows[0]), own_projections={"rows": GLOBAL, "of": list(OWN)})
    names = {window: f"window_{window}" if len(set(windows)) > 1 else "main" for window in windows}
    first = names[windows[0]]
    stack["blocks"] = {first: stack["blocks"]["main"]} | {
        name: {"like": first, "set": {"/0/op/mask": _mask(window)}} for window, name in names.items() if name != first
    }
    stack["layers"] = entries([names[window] for window in windows])
    return out


def tensors(config: Config, head: HeadKind) -> TensorMap:
    m = read(config)
    found = encoder.tensors(m, head, "longformer.", roberta.NAMES)
    own = per_layer(m.n_layers, {
        f"{STACK}.{{}}.attention.own.{part}.{role}":
            Stored(f"longformer.encoder.layer.{{}}.attention.self.{name}_global.{role}")
        for part, name in OWN.items() for role in ("weight", "bias")
    })  # fmt: skip
    return replace(found, recipes={**found.recipes, **own})


def to_config(resolved: Resolved) -> dict[str, Any]:
    windows = []
    for attention in all_of(resolved, Attention):
        near = [mask for mask in expect(Or, attention.mask, "the mask").of if isinstance(mask, Window)]
        if len(near) != 1:
            raise CannotSay("each layer has one window, and rows that see everything")
        windows.append(2 * near[0].ahead)
    fields = roberta.to_config(resolved) | {"attention_window": windows}
    del fields["is_decoder"]
    return fields


FAMILY = Family(
    model_type="longformer",
    spec=to_spec,
    tensors=tensors,
    config=to_config,
    heads={"LongformerForMaskedLM": "tokens", "LongformerModel": "none"},
    inert=frozenset({"onnx_export"}),
)
