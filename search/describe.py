"""A candidate's spec in one short line, for tables and plots."""

import json
from collections.abc import Mapping
from typing import Any


def describe(spec: str) -> str:
    """`24 x 2048, 16:4 heads x 128, gated 8192, 1/4 local 1024`: the stack with most layers, what its layers have in
    common.

    Reads the JSON as it stands (canonical specs spell everything out but defaults); what it does not know it leaves
    out.
    """
    stacks: list[dict[str, Any]] = list(json.loads(spec).get("stacks", {}).values())
    if not stacks:
        return ""
    stack = max(stacks, key=lambda s: sum(1 for _ in _layers(s.get("layers", []))))
    layers = [step for name in _layers(stack.get("layers", [])) for step in _steps(stack, name)]
    ops = [op for step in layers for op in _ops(step)]
    count = sum(1 for _ in _layers(stack.get("layers", [])))
    parts = [f"{count} x {stack.get('d_model')}"]
    attention = [op for op in ops if op.get("type") == "attention"]
    if attention:
        parts.append(_heads(attention[0], stack.get("d_model")))
        windows = [w for w in map(_window, attention) if w]
        if windows:
            sizes = "/".join(str(size) for size in sorted(set(windows)))
            parts.append(f"{len(windows)}/{len(attention)} local {sizes}")
    forward = next((op for op in ops if op.get("type") in ("mlp", "gated_mlp")), None)
    if forward:
        parts.append(f"{'gated' if forward['type'] == 'gated_mlp' else 'plain'} {forward.get('d_ff')}")
    others = {str(op.get("type")) for op in ops} - {"attention", "mlp", "gated_mlp"}
    return ", ".join([*parts, *sorted(others)])


def precision(spec: str) -> str:
    """`int8/bf16`: of weights and cache."""
    fields: Mapping[str, Any] = json.loads(spec).get("precision", {})
    weights, activations = fields.get("weights", "bf16"), fields.get("activations", "bf16")
    return f"{'mixed' if isinstance(weights, dict) else weights}/{fields.get('cache') or activations}"


def _layers(entries: Any) -> Any:
    """Names of blocks, one for each layer."""
    for entry in entries:
        if isinstance(entry, str):
            yield entry
        elif "block" in entry:
            yield entry["block"]
        else:
            for _ in range(entry["repeat"]):
                yield from _layers(entry["of"])


def _steps(stack: Mapping[str, Any], name: str) -> Any:
    block = stack.get("blocks", {}).get(name, [])
    return block if isinstance(block, list) else []


def _ops(step: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    branches = step.get("parallel", [step])
    return [op if isinstance(op, dict) else {"type": op} for op in (b.get("op") for b in branches) if op]


def _heads(op: Mapping[str, Any], d_model: Any) -> str:
    heads = op.get("n_heads", 1)
    size = op.get("d_head") or (d_model // heads if isinstance(d_model, int) and isinstance(heads, int) else "?")
    return f"{heads}:{op.get('n_kv_heads', heads)} x {size}"


def _window(op: Mapping[str, Any]) -> int | None:
    """The window of a mask that is one, or the conjunction of one with others."""
    mask = op.get("mask")
    parts = mask.get("of", []) if isinstance(mask, dict) and mask.get("type") == "and" else [mask]
    return next((p.get("behind") for p in parts if isinstance(p, dict) and p.get("type") == "window"), None)
