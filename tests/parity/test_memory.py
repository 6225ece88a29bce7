"""LongLLaMA: layers that see a memory given at run time, against its published rule written out (arXiv 2307.03170).

The rule, as its code has it: a memory layer rotates queries and local keys by their positions, keys of the memory by
position zero, and takes one softmax over all memory keys and the local ones up to the own.
"""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from compiler.ir.program import Program
from compiler.lower.program import lower
from compiler.verify.interpreter import interpret
from tests.emit_onnx.exact import emitted as onnx_package
from tests.emit_torch.exact import cuts, emitted
from tests.emit_torch.packages import ids
from tests.parity.drawn import weights_of
from tests.parity.targets import SIZES, near
from tests.zoo.shrink import shrunk

VOCABULARY, D, HEADS, TOKENS = 61, 32, 4, 14
LENGTHS = {1: 9, 3: 5}  # layer -> keys in its memory


def program() -> tuple[Program, dict[str, Tensor]]:
    """Four layers, of which the second and fourth see memories of different lengths."""
    names = {"memory_6": "memory_1"}
    sizes = {"vocab_size": VOCABULARY, "d_model": D, "n_heads": HEADS, "d_ff": 48, "name": names}
    other = {"block": "memory", "set": {"/0/op/extra_keys/0/name": "memory_3"}}
    made = lower(shrunk("longllama-3b", {"decoder": ["plain", "memory", "plain", other]}, sizes))
    return made, weights_of(made)


def memories() -> dict[str, Tensor]:
    noise = torch.Generator().manual_seed(3)
    return {
        f"memory_{layer}_{kind}": torch.randn(2, HEADS, n, D // HEADS, generator=noise)
        for layer, n in LENGTHS.items()
        for kind in ("keys", "values")
    }


def turned(x: Tensor, positions: Tensor) -> Tensor:
    """Rotary embedding, the first half of a head against the second."""
    angle = positions[:, None] * 10000.0 ** (-torch.arange(0, x.shape[-1], 2, dtype=x.dtype) / x.shape[-1])
    cos, sin = torch.cat([angle, angle], -1).cos(), torch.cat([angle, angle], -1).sin()
    first, second = x.chunk(2, -1)
    return x * cos + torch.cat([-second, first], -1) * sin


def rms(x: Tensor, weight: Tensor) -> Tensor:
    return x / (x.pow(2).mean(-1, keepdim=True) + 1e-6).sqrt() * weight


def by_the_rule(weights: dict[str, Tensor], tokens: Tensor, memory: dict[str, Tensor]) -> Tensor:
    x, n = weights["decoder.text.tokens.weight"][tokens], tokens.shape[1]
    at, zero = torch.arange(n).double(), torch.zeros(1).double()
    for layer in range(4):
        own = {k.removeprefix(f"decoder.{layer}."): w for k, w in weights.items() if f"decoder.{layer}." in k}
        h = rms(x, own["attention.pre_norm.weight"])
        q, k, v = (
            (h @ own[f"attention.{r}.weight"].T).unflatten(-1, (HEADS, -1)).transpose(1, 2) for r in ("q", "k", "v")
        )
        q, k = turned(q, at), turned(k, at)
        scores = (q @ k.mT).masked_fill(~torch.ones(n, n).tril().bool(), float("-inf"))
        if f"memory_{layer}_keys" in memory:
            keys, values = memory[f"memory_{layer}_keys"], memory[f"memory_{layer}_values"]
            scores = torch.cat([q @ turned(keys, zero).mT, scores], -1)
            v = torch.cat([values, v], 2)
        y = (scores / (D // HEADS) ** 0.5).softmax(-1) @ v
        x = x + y.transpose(1, 2).flatten(2) @ own["attention.o.weight"].T
        h = rms(x, own["gated_mlp.pre_norm.weight"])
        gate = torch.nn.functional.silu(h @ own["gated_mlp.gate.weight"].T)
        x = x + (gate * (h @ own["gated_mlp.up.weight"].T)) @ own["gated_mlp.down.weight"].T
    return rms(x, weights["decoder.final_norm.weight"]) @ weights["head.logits.weight"].T


@torch.no_grad()
def test_longllama(tmp_path: Path) -> None:
    """Every layer with its own memory, and with none: the meaning, both packages, steps."""
    made, weights = program()
    tokens, wide = ids(2, TOKENS, vocabulary=VOCABULARY), {k: w.double() for k, w in weights.items()}
    model = emitted(made, weights, tmp_path / "torch")
    packages = [onnx_package(made, weights, tmp_path / kind, runtime=kind)[0] for kind in ("ort", "portable")]
    for memory in ({}, memories()):
        given = {"input_ids": tokens, **{k: x.double() for k, x in memory.items()}}
        expected = by_the_rule(wide, tokens, given)
        near(next(iter(interpret(made, wide, given).values())), expected)
        near(model(tokens, **memory), expected)
        for sizes in SIZES:
            state, parts = model.new_state(2, TOKENS), []
            for part in cuts(TOKENS, sizes):
                y, state = model.step(tokens[:, part], state, **memory)
                parts.append(y)
            near(torch.cat(parts, 1), expected)
        for package in packages:
            near(package.forward({"input_ids": tokens, **memory}), expected)
            near(package.stepped({"input_ids": tokens, **memory}, (5, 6, 13)), expected)


@torch.no_grad()
def test_generation_sees_the_memory(tmp_path: Path) -> None:
    """Every new token sees the same memory as the prompt."""
    made, weights = program()
    model, wide = emitted(made, weights, tmp_path), {k: w.double() for k, w in weights.items()}
    prompt, memory = ids(2, 5, vocabulary=VOCABULARY), memories()
    expected = prompt
    for _ in range(6):
        given = {k: x.double() for k, x in memory.items()}
        expected = torch.cat([expected, by_the_rule(wide, expected, given)[:, -1:].argmax(-1)], 1)
    assert model.generate(prompt, 6, **memory).tolist() == expected.tolist()
    assert model.generate(prompt, 6).tolist() != expected.tolist()


@pytest.mark.parametrize("wrong", [{"batch": 3}, {"heads": HEADS + 1}, {"width": 4}])
def test_memory_of_another_shape_is_refused(wrong: dict[str, int], tmp_path: Path) -> None:
    made, weights = program()
    model, sizes = emitted(made, weights, tmp_path), {"batch": 2, "heads": HEADS, "width": D // HEADS} | wrong
    keys = torch.zeros(sizes["batch"], sizes["heads"], 9, sizes["width"])
    with pytest.raises(ValueError, match=r"memory_1_keys must have shape \(2, 4, .*, 8\)"):
        model(ids(2, 5, vocabulary=VOCABULARY), memory_1_keys=keys, memory_1_values=keys)
