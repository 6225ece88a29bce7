"""Specs that the tests share."""

import copy
import json
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted((ROOT / "examples").glob("*.json")) + sorted((ROOT / "examples" / "fragments").glob("*.json"))
SPACES = sorted((ROOT / "examples" / "spaces").glob("*.json"))

_LLAMA = """
{"archspec": 1, "name": "tiny", "vocab_size": 100, "max_length": 64,
 "stacks": {"decoder": {"d_model": 32, "input": {"sum": ["tokens"]},
   "blocks": {"main": [
     {"pre_norm": "rms",
      "op": {"type": "attention", "n_heads": 4, "n_kv_heads": 2, "mask": "causal", "position": ["rope"]}},
     {"pre_norm": "rms", "op": {"type": "gated_mlp", "d_ff": 64, "activation": "silu"}}]},
   "layers": [{"repeat": 3, "of": ["main"]}],
   "final_norm": "rms"}},
 "head": {"logits": "linear"}}
"""


def tiny(changes: dict[str, Any] | None = None) -> dict[str, Any]:
    """A small decoder; `changes`: place as "stacks/decoder/d_model" -> value, or `...` to leave the field out."""
    document = json.loads(_LLAMA)
    for place, value in (changes or {}).items():
        *way, last = [int(part) if part.isdigit() else part for part in place.split("/")]
        target: Any = document
        for part in way:
            target = target[part]
        if value is ...:
            del target[last]
        else:
            target[last] = copy.deepcopy(value)
    return document


STACK = "stacks/decoder"
ATTENTION = f"{STACK}/blocks/main/0/op"
MLP = f"{STACK}/blocks/main/1/op"
