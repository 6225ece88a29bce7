"""Longformer's own projections of some rows: against transformers, weights copied."""

from typing import Any

import torch
from torch import Tensor
from transformers import (
    LongformerConfig,
    LongformerForMaskedLM,
)

from archspec.spec import Resolved
from compiler.lower.program import lower
from compiler.verify.interpreter import interpret
from tests.parity.models import VOCAB, ids, redraw
from tests.zoo import renaming as r
from tests.zoo import renaming_pairs as p
from tests.zoo.shrink import shrunk

torch.set_num_threads(1)
SMALL: dict[str, Any] = {"vocab_size": VOCAB, "max_length": 64, "d_model": 32, "d_head": 8, "n_heads": 4, "d_ff": 48}


def found(spec: Resolved, model: torch.nn.Module, table: r.Table, inputs: dict[str, Tensor]) -> Tensor:
    """What the spec means with the model's weights, which must all fit."""
    program = lower(spec)
    paths = program.parameter_paths()
    weights = r.renamed(paths, model.state_dict(), table)
    assert {k: tuple(v.shape) for k, v in weights.items()} == {k: param.shape for k, param in paths.items()}
    return next(iter(interpret(program, weights, inputs).values()))


WORDS = {"q": "query", "k": "key", "v": "value"}
L = r"longformer.encoder.layer.\1.attention.self."
LONGFORMER: r.Table = {
    **{
        rf"encoder\.(\d+)\.attention\.own\.{role}\.(weight|bias)": f"{L}{word}_global.\\2"
        for role, word in WORDS.items()
    },
    **p.bert("longformer", "lm_head", "lm_head"),
}


@torch.no_grad()
def test_longformer_rows_with_projections_of_their_own() -> None:
    config: Any = {
        "vocab_size": VOCAB, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4,
        "intermediate_size": 48, "max_position_embeddings": 66, "attention_window": 4, "pad_token_id": 1,
        "type_vocab_size": 1,
        "layer_norm_eps": 1e-5,
    }  # fmt: skip
    model = redraw(LongformerForMaskedLM(LongformerConfig(**config)))
    tokens, mask, marked = ids(2, 32), torch.ones(2, 32, dtype=torch.long), torch.zeros(2, 32, dtype=torch.long)
    mask[1, -5:] = 0
    tokens[1, -5:] = 1
    marked[:, 0] = marked[:, 7] = 1
    inputs = {"input_ids": tokens, "attention_mask": mask, "global_attention_mask": marked}
    sizes = {**SMALL, "size": {4098: 66}, "width": 32, "behind": 3, "ahead": 2}
    spec = shrunk("longformer-base-4096", {"encoder": [{"repeat": 2, "of": ["main"]}]}, sizes)
    gap = (found(spec, model, LONGFORMER, inputs) - model(**inputs).logits).abs()
    assert float(gap[mask.bool()].max()) < 1e-4
