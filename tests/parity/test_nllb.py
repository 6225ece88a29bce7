"""NLLB's mixture: transformers' model with its mixture replaced, since that runs two of the experts only.

In its place stands an own dense one: every expert on every token, weighed by the published router (arXiv 2207.04672,
section 6; fairseq's top2gate), written token by token and checked against GShard's fixture.
"""

import math
from pathlib import Path
from types import MethodType
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import NllbMoeConfig, NllbMoeForConditionalGeneration
from transformers.models.nllb_moe.modeling_nllb_moe import NllbMoeSparseMLP

from archspec.spec import Resolved
from compiler.lower.program import lower
from tests.parity.counting import counts
from tests.parity.models import VOCAB, ids, redraw
from tests.parity.pairs import both_everywhere
from tests.parity.targets import frozen, meaning
from tests.zoo import renaming as r
from tests.zoo import renaming_pairs as p
from tests.zoo.shrink import shrunk

torch.set_num_threads(1)


def published(scores: Tensor, places: int, divide_first: bool) -> Tensor:
    """scores (N, E) of a router -> weights (N, E): two experts for each token, as long as they have places.

    All first choices find theirs before the second ones. The two weights are divided by their sum, either before it is
    known who found a place, or after it.
    """
    taken, weights = [0] * scores.shape[1], torch.zeros_like(scores)
    best = [row.sort(descending=True).indices[:2].tolist() for row in scores]
    for choice in range(2):
        for token, chosen in enumerate(best):
            if taken[chosen[choice]] < places:
                taken[chosen[choice]] += 1
                weights[token, chosen[choice]] = scores[token, chosen[choice]]
    for token, chosen in enumerate(best):
        total = float(scores[token, chosen].sum() if divide_first else weights[token].sum())
        weights[token] /= total or 1
    return weights


def test_the_published_router_is_gshards() -> None:
    """With the weights divided first and the tokens of each sequence apart, these are GShard's."""
    for name, places in (("roomy", 7), ("tight", 4)):
        given = frozen(f"gshard_{name}")
        w, x = given.weights, given.inputs["x"]
        scores = torch.softmax(x @ w["gate.w_gating"], -1)
        weights = torch.stack([published(row, places, True) for row in scores])
        experts = torch.einsum("bneh,ehd->bned", torch.einsum("bnd,edh->bneh", x, w["experts.w1"]).relu(),
                               w["experts.w2"])  # fmt: skip
        found = (experts * weights[..., None]).sum(2)
        torch.testing.assert_close(found, given.outputs["y"], atol=1e-5, rtol=1e-5)


def dense(mixture: Any, x: Tensor, fraction: float, divide_first: bool, kept: float) -> Tensor:
    """Every expert on every token; kept: what training's masking of outputs leaves of them on average."""
    tokens = x.flatten(0, 1)
    scores = torch.softmax(mixture.router.classifier(tokens), -1)
    weights = published(scores.detach(), math.ceil(fraction * len(tokens)), divide_first)
    y = sum(kept * weights[:, e, None] * mixture.experts[f"expert_{e}"](tokens) for e in range(scores.shape[1]))
    return y.view_as(x)


BLOCK = r"model.\1.layers.\2.ffn."


def stacked(name: str) -> r.Target:
    return lambda stored, match: torch.stack([stored[match.expand(name) % e] for e in range(4)])


NLLB: r.Table = {
    **p.bart("pre_norm"),
    p.S + r"moe\.router\.weight": BLOCK + "router.classifier.weight",
    p.S + r"moe\.experts\.up\.(weight|bias)": stacked(BLOCK + r"experts.expert_%d.fc1.\3"),
    p.S + r"moe\.experts\.down\.(weight|bias)": stacked(BLOCK + r"experts.expert_%d.fc2.\3"),
    p.S + r"moe\.pre_norm\.(weight|bias)": r"model.\1.layers.\2.ff_layer_norm.\3",
    p.S + r"mlp\.pre_norm\.(weight|bias)": r"model.\1.layers.\2.ff_layer_norm.\3",
    p.S + r"mlp\.up\.(weight|bias)": BLOCK + r"fc1.\3",
    p.S + r"mlp\.down\.(weight|bias)": BLOCK + r"fc2.\3",
    p.S + r"attention_2\.([qkv])\.(weight|bias)": r"model.\1.layers.\2.cross_attention.\3_proj.\4",
    p.S + r"attention_2\.o\.(weight|bias)": r"model.\1.layers.\2.cross_attention.out_proj.\3",
    p.S + r"attention_2\.pre_norm\.(weight|bias)": r"model.\1.layers.\2.cross_attention_layer_norm.\3",
}


def pair(fraction: float, divide_first: bool) -> tuple[Any, Resolved]:
    """transformers' model with the dense mixture, and the zoo's made small."""
    config = NllbMoeConfig(
        vocab_size=VOCAB, d_model=32, encoder_layers=2, decoder_layers=2, encoder_attention_heads=4,
        decoder_attention_heads=4, encoder_ffn_dim=48, decoder_ffn_dim=48, max_position_embeddings=64, num_experts=4,
        encoder_sparse_step=2, decoder_sparse_step=2, scale_embedding=True, moe_token_dropout=0.2, pad_token_id=1,
    )  # fmt: skip
    model: Any = redraw(NllbMoeForConditionalGeneration(config))
    for module in model.modules():
        if isinstance(module, NllbMoeSparseMLP):
            module.forward = MethodType(  # type: ignore[method-assign]
                lambda self, x, *more: dense(self, x, fraction, divide_first, 0.8), module
            )
    layers = {"encoder": ["main", "sparse"], "decoder": ["main", "sparse"]}
    sizes = {
        "vocab_size": VOCAB, "max_length": 64, "d_model": 32, "n_heads": 4, "d_ff": 48, "n_experts": 4,
        "fraction": fraction, "of": "chosen" if divide_first else "placed",
    }  # fmt: skip
    return model, shrunk("nllb-moe-54b", layers, sizes)


def inputs(padded: bool) -> dict[str, Tensor]:
    source, mask = ids(2, 13), torch.ones(2, 13, dtype=torch.long)
    if not padded:
        return {"input_ids": source, "decoder_input_ids": ids(2, 9, seed=1)}
    mask[0, -4:] = 0
    return {"input_ids": source.where(mask.bool(), 1), "attention_mask": mask, "decoder_input_ids": ids(2, 9, seed=1)}


@pytest.mark.parametrize("padded", [True, False])
@torch.no_grad()
def test_as_published(padded: bool, tmp_path: Path) -> None:
    """A place for every token, so nothing is dropped and the decoder steps; positions are counted past padding."""
    model, spec = pair(1, False)
    program, given = lower(spec), inputs(padded)
    weights = r.renamed(program.parameter_paths(), model.state_dict(), NLLB)
    both_everywhere(program, weights, given, model(**given).logits, tmp_path)
    one = {"input_ids": ids(1, 1), "decoder_input_ids": ids(1, 1, seed=1)}
    counts(spec, model, lambda: model(**one).logits)


@pytest.mark.parametrize("divide_first", [True, False])
@torch.no_grad()
def test_with_few_places(divide_first: bool, tmp_path: Path) -> None:
    """All tokens of a batch compete; the one expert that a token is left with weighs 1, or what it weighed of two."""
    model, spec = pair(0.4, divide_first)
    program, given = lower(spec), inputs(False)
    weights = r.renamed(program.parameter_paths(), model.state_dict(), NLLB)
    expected = model(**given).logits
    both_everywhere(program, weights, given, expected, tmp_path, steps=False)
    _, other = pair(0.4, not divide_first)
    assert float((meaning(lower(other), weights, given) - expected).abs().max()) > 1e-2
