"""Longformer's dilated windows (arXiv 2004.05150, section 3.1), the dilation chosen for each head and layer.

Against dense models written here from the published formulas, as transformers has no dilation and the paper's own
kernel runs on CUDA only. The first is transformers' Longformer where nothing is dilated.
"""

import copy
import math
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn.functional import gelu, layer_norm, linear, relu
from transformers import LongformerConfig, LongformerForMaskedLM

from archspec import zoo
from archspec.spec import load_spec, resolve
from compiler.ir.program import Program
from compiler.lower.program import lower
from tests.parity.models import VOCAB, ids, redraw
from tests.parity.targets import everywhere, near
from tests.zoo import renaming_pairs as p
from tests.zoo.renaming import renamed

HEADS, WIDTH, HALF = 4, 32, 2
Weights = dict[str, Tensor]


def dense(scores: Tensor, v: Tensor, sees: Callable[[int, int, int], bool]) -> Tensor:
    """softmax over the keys j that query i sees through head h: scores (B, H, S, S), v (B, H, S, D) -> (B, S, H·D)."""
    n = scores.shape[-1]
    seen = torch.tensor([[[sees(h, i, j) for j in range(n)] for i in range(n)] for h in range(HEADS)])
    shares = scores.masked_fill(~seen, -math.inf).softmax(-1).nan_to_num(0.0)  # a padded row may see nothing
    return (shares @ v).transpose(1, 2).flatten(2)


def both_ways(dilations: Sequence[int]) -> Callable[[int, int, int], bool]:
    """HALF steps to each side, each of them so far apart; the own token always."""
    return lambda h, i, j: (i - j) % dilations[h] == 0 and abs(i - j) <= HALF * dilations[h]


def of_heads(x: Tensor) -> Tensor:
    return x.unflatten(-1, (HEADS, -1)).transpose(1, 2)


def encoder(w: Weights, tokens: Tensor, real: Tensor, dilations: Sequence[Sequence[int]]) -> Tensor:
    """Longformer's encoder with its head, by the names of transformers' weights."""

    def at(x: Tensor, name: str) -> Tensor:
        return linear(x, w[f"{name}.weight"], w[f"{name}.bias"])

    def normed(x: Tensor, name: str) -> Tensor:
        return layer_norm(x, (WIDTH,), w[f"{name}.weight"], w[f"{name}.bias"])

    root = "longformer.embeddings"
    places = real.cumsum(1) * real + 1  # counted over real tokens, behind the id of padding
    x = w[f"{root}.word_embeddings.weight"][tokens] + w[f"{root}.position_embeddings.weight"][places]
    x = normed(x + w[f"{root}.token_type_embeddings.weight"][0], f"{root}.LayerNorm")
    for i, by_head in enumerate(dilations):
        layer = f"longformer.encoder.layer.{i}"
        q, k, v = (of_heads(at(x, f"{layer}.attention.self.{name}")) for name in ("query", "key", "value"))
        scores = (q @ k.mT / (WIDTH // HEADS) ** 0.5).masked_fill(real[:, None, None] == 0, -math.inf)
        y = at(dense(scores, v, both_ways(by_head)), f"{layer}.attention.output.dense")
        x = normed(x + y, f"{layer}.attention.output.LayerNorm")
        y = at(gelu(at(x, f"{layer}.intermediate.dense")), f"{layer}.output.dense")
        x = normed(x + y, f"{layer}.output.LayerNorm")
    x = normed(gelu(at(x, "lm_head.dense")), "lm_head.layer_norm")
    return linear(x, w[f"{root}.word_embeddings.weight"], w["lm_head.bias"])


def dilated_encoder(dilations: Sequence[Sequence[int]]) -> Program:
    document = copy.deepcopy(zoo.read("longformer-base-4096"))
    document |= {"vocab_size": VOCAB, "max_length": 64}
    stack = document["stacks"]["encoder"]
    stack["d_model"] = document["head"]["then"][0]["width"] = WIDTH
    stack["input"]["sum"][2]["size"] = 66
    (block,) = stack["blocks"].values()
    block[0]["op"]["n_heads"], block[1]["op"]["d_ff"] = HEADS, 48
    del block[0]["op"]["own_projections"]
    stack["layers"] = [f"layer_{i}" for i in range(len(dilations))]
    stack["blocks"] = {name: copy.deepcopy(block) for name in stack["layers"]}
    for name, by_head in zip(stack["layers"], dilations, strict=True):
        windows = [{"type": "window", "behind": HALF + 1, "ahead": HALF, "dilation": d} for d in by_head]
        stack["blocks"][name][0]["op"]["mask"] = {"type": "by_head", "of": windows}
    return lower(resolve(load_spec(document)))


@pytest.mark.parametrize(
    "dilations", [((1,) * 4,) * 2, ((1, 1, 2, 3), (2, 1, 4, 1))], ids=["none", "by head and layer"]
)
@torch.no_grad()
def test_encoder(dilations: Sequence[Sequence[int]], tmp_path: Path) -> None:
    config = LongformerConfig(
        vocab_size=VOCAB, hidden_size=WIDTH, num_hidden_layers=2, num_attention_heads=HEADS, intermediate_size=48,
        max_position_embeddings=66, attention_window=2 * HALF, pad_token_id=1, type_vocab_size=1, layer_norm_eps=1e-5,
    )  # fmt: skip
    model = redraw(LongformerForMaskedLM(config))
    tokens, mask = ids(2, 24), torch.ones(2, 24, dtype=torch.long)
    mask[1, -5:], tokens[1, -5:] = 0, 1
    inputs = {"input_ids": tokens, "attention_mask": mask}
    expected = encoder(dict(model.state_dict()), tokens, mask, dilations)
    if max(map(max, dilations)) == 1:
        near(expected, model(**inputs).logits, mask.bool())
    program = dilated_encoder(dilations)
    weights = renamed(program.parameter_paths(), model.state_dict(), p.bert("longformer", "lm_head", "lm_head"))
    everywhere(program, weights, inputs, expected, tmp_path, steps=False, valid=mask.bool())


BEHIND = 3
# The zoo's small character model: two of its heads are dilated, more so in higher layers.
LAYERS = {"near": (1, 1, 1, 1), "far": (2, 2, 1, 1), "farther": (3, 3, 1, 1), "farthest": (4, 4, 1, 1)}


def decoder(w: Weights, tokens: Tensor) -> Tensor:
    """Pre-norm layers with Transformer-XL's relative scores (arXiv 1901.02860, section 3.3) in causal windows, by our
    parameter paths."""
    x, n = w["vocab.weight"][tokens], tokens.shape[1]
    steps = torch.arange(n).float()[:, None] / 10000 ** (torch.arange(0, WIDTH, 2).float() / WIDTH)
    waves = torch.cat([steps.sin(), steps.cos()], -1)  # of distances 0, 1, ...
    for number, dilations in enumerate(LAYERS.values()):

        def at(x: Tensor, name: str, home: str = f"decoder.{number}") -> Tensor:
            return linear(x, w[f"{home}.{name}.weight"], w.get(f"{home}.{name}.bias"))

        def normed(x: Tensor, name: str, home: str = f"decoder.{number}") -> Tensor:
            return layer_norm(x, (WIDTH,), w[f"{home}.{name}.weight"], w[f"{home}.{name}.bias"])

        h = normed(x, "attention.pre_norm")
        q, k, v = (of_heads(at(h, f"attention.{role}")) for role in "qkv")
        r = of_heads(at(waves, "attention.relative_vectors.r")[None])  # (1, H, n, D)
        u, b = (w[f"decoder.{number}.attention.relative_vectors.{name}.weight"][:, None] for name in "uv")
        scores = (q + u) @ k.mT
        by_distance = (q + b) @ r.mT  # (B, H, S, n)
        for i in range(n):
            for j in range(i + 1):
                scores[..., i, j] += by_distance[..., i, i - j]

        def sees(head: int, i: int, j: int, apart: Sequence[int] = dilations) -> bool:
            return i >= j and (i - j) % apart[head] == 0 and i - j < BEHIND * apart[head]

        x = x + at(dense(scores / (WIDTH // HEADS) ** 0.5, v, sees), "attention.o")
        x = x + at(relu(at(normed(x, "mlp.pre_norm"), "mlp.up")), "mlp.down")
    x = layer_norm(x, (WIDTH,), w["decoder.final_norm.weight"], w["decoder.final_norm.bias"])
    return x @ w["vocab.weight"].T


@torch.no_grad()
def test_decoder(tmp_path: Path) -> None:
    """In steps, too: a dilated window's cache holds what its longest step back reaches."""
    document = copy.deepcopy(zoo.read("longformer-enwik8")) | {"vocab_size": VOCAB, "max_length": 64}
    stack = document["stacks"]["decoder"] | {"d_model": WIDTH, "layers": [*LAYERS]}
    attention, mlp = (branch["op"] for branch in stack["blocks"]["near"])
    attention |= {"n_heads": HEADS, "mask": {"type": "window", "behind": BEHIND}}
    mlp["d_ff"] = 48
    for name in ("far", "farther", "farthest"):
        kept = stack["blocks"][name]["set"]["/0/op/mask"]
        assert sorted({m.get("dilation", 1) for m in kept["of"]}) == sorted(set(LAYERS[name]))
        kept["of"] = [{"type": "window", "behind": BEHIND, "dilation": d} for d in LAYERS[name]]
    document["stacks"]["decoder"] = stack
    program = lower(resolve(load_spec(document)))
    generator = torch.Generator().manual_seed(0)
    weights = {
        path: torch.randn(param.shape, generator=generator) * (0.3 if len(param.shape) > 1 else 0.1)
        + (path.endswith("norm.weight"))
        for path, param in program.parameter_paths().items()
    }
    tokens = ids(2, 21)
    everywhere(program, weights, {"input_ids": tokens}, decoder(weights, tokens), tmp_path)
