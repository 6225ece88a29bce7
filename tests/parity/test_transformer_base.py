"""The first transformer against torch.nn.Transformer: as published, and with that module's own defaults.

Published: no biases in attention, no norm after the last layer, one table for both vocabularies and the head. The
module's defaults: biases everywhere, a final norm after each stack, tables of their own.
"""

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from archspec.spec import Resolved
from compiler.cost.report import cost
from compiler.lower.program import lower
from tests.parity.frozen.drawing import sinusoids
from tests.parity.models import VOCAB, ids, redraw
from tests.parity.targets import everywhere
from tests.zoo.renaming import Table, part, renamed
from tests.zoo.shrink import shrunk

WIDTH, HEADS, HIDDEN, LAYERS = 32, 4, 64, 2


class Translator(nn.Module):
    """torch.nn.Transformer between scaled embeddings with sinusoids and a projection on the vocabulary."""

    def __init__(self, published: bool) -> None:
        super().__init__()
        self.source = nn.Embedding(VOCAB, WIDTH)
        self.target = self.source if published else nn.Embedding(VOCAB, WIDTH)
        fields: dict[str, Any] = {"dropout": 0.0, "batch_first": True, "layer_norm_eps": 1e-6 if published else 1e-5}
        custom: dict[str, Any] = {}
        if published:
            encoder = nn.TransformerEncoderLayer(WIDTH, HEADS, HIDDEN, **fields)
            decoder = nn.TransformerDecoderLayer(WIDTH, HEADS, HIDDEN, **fields)
            custom["custom_encoder"] = nn.TransformerEncoder(encoder, LAYERS)
            custom["custom_decoder"] = nn.TransformerDecoder(decoder, LAYERS)
        self.core = nn.Transformer(WIDTH, HEADS, LAYERS, LAYERS, HIDDEN, **fields, **custom)
        self.core.encoder.use_nested_tensor = False  # a shortcut, and a warning
        self.head = nn.Linear(WIDTH, VOCAB, bias=not published)
        if published:
            self.head.weight = self.source.weight
        redraw(self)
        if published:  # attention without biases
            for name, weight in self.named_parameters():
                if "attn" in name and "bias" in name:
                    nn.init.zeros_(weight)

    def placed(self, table: nn.Embedding, tokens: Tensor) -> Tensor:
        return table(tokens) * math.sqrt(WIDTH) + sinusoids(tokens.shape[1], WIDTH)

    def forward(self, source: Tensor, target: Tensor, real: Tensor, real_target: Tensor) -> Tensor:
        later = torch.ones(target.shape[1], target.shape[1], dtype=torch.bool).triu(1)
        h = self.core(
            self.placed(self.source, source), self.placed(self.target, target), tgt_mask=later,
            src_key_padding_mask=~real, memory_key_padding_mask=~real, tgt_key_padding_mask=~real_target,
        )  # fmt: skip
        logits: Tensor = self.head(h)
        return logits


def rows(name: str) -> Any:
    return part(name, of=3, names=("q", "k", "v"))


def attention(ours: str, theirs: str) -> Table:
    return {
        ours + r"\.([qkv])\.weight": rows(theirs + ".in_proj_weight"),
        ours + r"\.([qkv])\.bias": rows(theirs + ".in_proj_bias"),
        ours + r"\.o\.(weight|bias)": theirs + r".out_proj.\2",
    }


TABLE: Table = {
    r"vocab\.weight": "source.weight",
    r"encoder\.text\.tokens\.weight": "source.weight",
    r"decoder\.target\.tokens\.weight": "target.weight",
    r"head\.logits\.(weight|bias)": r"head.\1",
    r"(\w+)\.final_norm\.(weight|bias)": r"core.\1.norm.\2",
    **attention(r"encoder\.(\d+)\.attention", r"core.encoder.layers.\1.self_attn"),
    **attention(r"decoder\.(\d+)\.attention", r"core.decoder.layers.\1.self_attn"),
    **attention(r"decoder\.(\d+)\.attention_2", r"core.decoder.layers.\1.multihead_attn"),
    r"(\w+)\.(\d+)\.mlp\.up\.(weight|bias)": r"core.\1.layers.\2.linear1.\3",
    r"(\w+)\.(\d+)\.mlp\.down\.(weight|bias)": r"core.\1.layers.\2.linear2.\3",
    r"(\w+)\.(\d+)\.attention\.sum_norm\.(weight|bias)": r"core.\1.layers.\2.norm1.\3",
    r"decoder\.(\d+)\.attention_2\.sum_norm\.(weight|bias)": r"core.decoder.layers.\1.norm2.\2",
    r"encoder\.(\d+)\.mlp\.sum_norm\.(weight|bias)": r"core.encoder.layers.\1.norm2.\2",
    r"decoder\.(\d+)\.mlp\.sum_norm\.(weight|bias)": r"core.decoder.layers.\1.norm3.\2",
}


def spec_of(published: bool) -> Resolved:
    layers = [{"repeat": LAYERS, "of": ["main"]}]
    sizes: dict[str, Any] = {"vocab_size": VOCAB, "max_length": 64, "d_model": WIDTH, "n_heads": HEADS, "d_ff": HIDDEN}
    name = "transformer-base" if published else "transformer-base-torch"
    return shrunk(name, {"encoder": layers, "decoder": layers}, sizes)


def given() -> dict[str, Tensor]:
    """Sources padded on the right; targets padded on the right, so that positions stay those of the slots."""
    inputs = {"input_ids": ids(2, 13), "decoder_input_ids": ids(2, 11, seed=1)}
    masks = {name: torch.ones_like(tokens) for name, tokens in inputs.items()}
    masks["input_ids"][1, -4:] = 0
    masks["decoder_input_ids"][0, -3:] = 0
    return {**inputs, **{name.replace("input_ids", "attention_mask"): mask for name, mask in masks.items()}}


@pytest.mark.parametrize("published", [True, False], ids=["as published", "the module's defaults"])
@torch.no_grad()
def test_torch_transformer(published: bool, tmp_path: Path) -> None:
    theirs, program, inputs = Translator(published).eval(), lower(spec_of(published)), given()
    source, target = inputs["input_ids"], inputs["decoder_input_ids"]
    mask, real = inputs["attention_mask"], inputs["decoder_attention_mask"].bool()
    expected = theirs(source, target, mask.bool(), real)
    weights = renamed(program.parameter_paths(), dict(theirs.state_dict()), TABLE)
    everywhere(program, weights, inputs, expected, tmp_path, valid=real)


@pytest.mark.parametrize("published", [True, False], ids=["as published", "the module's defaults"])
def test_exact_cost(published: bool) -> None:
    """The module's parameters, less attention's biases where they are zero, and every product that it executes."""
    theirs, tokens = Translator(published).train(), ids(2, 13)  # evaluation has a shortcut that is not counted
    none = 3 * LAYERS * 4 * WIDTH if published else 0  # attentions: encoder's, decoder's, across
    report = cost(spec_of(published), context=13, batch=2)
    assert report.parameters.total == sum(p.numel() for p in theirs.parameters()) - none
    real = torch.ones(2, 13, dtype=torch.bool)
    with FlopCounterMode(display=False) as counter, torch.no_grad(), sdpa_kernel(SDPBackend.MATH):
        theirs(tokens, tokens, real, real)
    assert report.flops.prefill == counter.get_total_flops()
