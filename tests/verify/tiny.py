"""A tiny decoder, its weights and its inputs."""

from functools import cache
from typing import Any

import torch

from archspec.spec import load_spec, resolve
from compiler.ir.program import Program
from compiler.lower.program import lower
from compiler.weights.init import init_weights

torch.set_num_threads(1)
RMS = {"type": "rms", "eps": 1e-5}


def spec_of(**attention: Any) -> dict[str, Any]:
    op = {"type": "attention", "n_heads": 4, "n_kv_heads": 2, "mask": "causal", "position": ["rope"]} | attention
    body = [
        {"pre_norm": RMS, "op": op},
        {"pre_norm": RMS, "op": {"type": "gated_mlp", "d_ff": 24, "activation": "silu"}},
    ]
    stack = {"d_model": 16, "input": {"sum": ["tokens"]}, "blocks": {"main": body},
             "layers": [{"repeat": 2, "of": ["main"]}], "final_norm": RMS}  # fmt: skip
    return {"archspec": 1, "name": "tiny", "vocab_size": 31, "max_length": 32, "stacks": {"decoder": stack},
            "head": {"logits": "linear"}}  # fmt: skip


@cache
def program_of() -> Program:
    return lower(resolve(load_spec(spec_of())))


def weights_of(program: Program) -> dict[str, torch.Tensor]:
    return init_weights({path: p.shape for path, p in program.parameter_paths().items()}, 0, torch.float64)


def inputs_of() -> dict[str, torch.Tensor]:
    """Two rows, the first padded on the left."""
    ids = torch.randint(31, (2, 6), generator=torch.Generator().manual_seed(0))
    mask = torch.ones(2, 6, dtype=torch.long)
    mask[0, :2] = 0
    return {"input_ids": ids, "attention_mask": mask}
