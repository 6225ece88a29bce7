"""Small specs to cost, as JSON."""

from typing import Any

from archspec.spec import Resolved, load_spec, resolve


def decoder(
    *, layers: int = 2, d_model: int = 32, heads: int = 4, kv_heads: int = 2, d_ff: int = 64, vocab: int = 100,
    mask: Any = "causal", max_length: int = 256, precision: dict[str, Any] | None = None, **head: Any,
) -> dict[str, Any]:  # fmt: skip
    """A plain decoder; `head` changes the logits."""
    attention = {"type": "attention", "n_heads": heads, "n_kv_heads": kv_heads, "mask": mask, "position": ["rope"]}
    block = [
        {"pre_norm": "rms", "op": attention},
        {"pre_norm": "rms", "op": {"type": "gated_mlp", "d_ff": d_ff, "activation": "silu"}},
    ]
    stack = {
        "d_model": d_model, "input": {"sum": [{"type": "tokens", "weights": "/vocab"} if head else "tokens"]},
        "blocks": {"main": block}, "layers": [{"repeat": layers, "of": ["main"]}], "final_norm": "rms",
    }  # fmt: skip
    logits = {"type": "linear", **head} if head else "linear"
    spec = {"archspec": 1, "name": "plain", "vocab_size": vocab, "max_length": max_length,
            "stacks": {"decoder": stack}, "head": {"logits": logits}}  # fmt: skip
    return spec | ({"precision": precision} if precision else {})


def window(behind: int) -> dict[str, Any]:
    return {"type": "and", "of": ["causal", {"type": "window", "behind": behind}]}


def resolved(document: dict[str, Any]) -> Resolved:
    return resolve(load_spec(document))
