"""genai_config.json: what onnxruntime-genai (0.18) must know to generate with the model. It needs no more than this.

Its batches are padded on the right; the graph counts each row's tokens from `attention_mask` (see
`grouped_query_attention/write_onnx.py`). `past_present_share_buffer` is possible where every cache is a
GroupQueryAttention's: one preallocated buffer of max_length slots.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from archspec.errors import InputError
from compiler.emit.onnx.model import MODEL_FILE
from compiler.emit.onnx.sheet import Sheet
from compiler.emit.onnx.target import Target

CONFIG_FILE = "genai_config.json"


def write(config: Mapping[str, Any], folder: Path) -> Path:
    path = folder / CONFIG_FILE
    path.write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    return path


def configuration(sheet: Sheet, target: Target, tokens: Mapping[str, Any]) -> dict[str, Any]:
    """What genai_config.json says; InputError where its schema cannot describe the model."""
    program = sheet.program
    shapes = {(cache.heads, cache.key_width, cache.value_width) for cache in sheet.caches}
    if len(shapes) != 1 or len(set(next(iter(shapes))[1:])) != 1:
        found = ", ".join(f"{heads} heads of {key} and {value}" for heads, key, value in sorted(shapes))
        raise InputError(
            f"--runtime genai: every layer's cache must have one shape, found {found}", source=program.name
        )
    if "vocab_size" not in program.meta or not program.meta.get("has_head"):
        raise InputError("--runtime genai needs a head with logits", source=program.name)
    if not {"input_ids", "attention_mask"} <= set(sheet.inputs):
        raise InputError("--runtime genai needs inputs called input_ids and attention_mask", source=program.name)
    if others := set(sheet.inputs) - {"input_ids", "attention_mask"}:
        raise InputError(
            f"--runtime genai gives input_ids and attention_mask, not {', '.join(sorted(others))}", source=program.name
        )
    heads, width, _ = shapes.pop()
    length = int(program.meta.get("max_length") or 0)
    if not length:
        raise InputError("--runtime genai needs max_length", source=program.name)
    shares = all(line.op != "Attention" for line in sheet.lines) and any(
        line.op == "GroupQueryAttention" for line in sheet.lines
    )
    provider: list[dict[str, Any]] = [{"cuda": {}}] if target.provider == "cuda" else []
    ends = list(tokens.get("eos_token_id", []))
    if not ends:
        ends = [int(program.meta["vocab_size"]) - 1]
        sheet.notes.setdefault(f"no end of sequence is known; genai demands one, so {ends[0]} stands for it")
    return {
        "model": {
            "type": "decoder",
            "vocab_size": program.meta["vocab_size"],
            "context_length": length,
            "bos_token_id": tokens.get("bos_token_id", ends[0]),
            "eos_token_id": ends if len(ends) > 1 else ends[0],
            "pad_token_id": tokens.get("pad_token_id", ends[0]),
            "decoder": {
                "filename": MODEL_FILE,
                "session_options": {"provider_options": provider},
                "hidden_size": program.meta["d_model"],
                "head_size": width,
                "num_attention_heads": query_heads(sheet),
                "num_key_value_heads": heads,
                "num_hidden_layers": len(sheet.caches),
                "inputs": {
                    "input_ids": "input_ids",
                    "attention_mask": "attention_mask",
                    "past_key_names": "past_key_values.%d.key",
                    "past_value_names": "past_key_values.%d.value",
                },
                "outputs": {
                    "logits": "logits",
                    "present_key_names": "present.%d.key",
                    "present_value_names": "present.%d.value",
                },
            },
        },
        "search": {
            "max_length": length,
            "past_present_share_buffer": shares,
            "do_sample": False,
            "num_beams": 1,
        },
    }


def query_heads(sheet: Sheet) -> int:
    """Heads of the first attention (genai only reports this number)."""
    program = sheet.program
    for graph in program.graphs():
        for node in graph.nodes:
            if node.op == "attention":
                return int(graph.types[node.inputs[0]].shape[1])
            if node.op == "grouped_query_attention":
                return int(node.attrs["heads"])
    raise InputError("--runtime genai needs attention", source=program.name)
