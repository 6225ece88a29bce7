"""MoBA (arXiv 2502.13189): transformers' Llama with block attention written from the published rule, query by query;
and both targets beside the reference meaning, padded and in steps."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from transformers import AttentionInterface, LlamaConfig, LlamaForCausalLM

from archspec.spec import load_spec, resolve
from compiler import ops
from compiler.ir.program import Program
from compiler.lower.program import lower
from compiler.masks.dense import Attended, dense_mask
from compiler.masks.facts import cache_limit, looks_ahead
from compiler.masks.pairs import causal_window, visible_pairs
from compiler.verify.interpreter import interpret
from compiler.weights.init import init_weights
from tests.emit_onnx.exact import check as check_onnx
from tests.emit_torch.exact import check as check_torch
from tests.emit_torch.exact import drawn
from tests.emit_torch.packages import spec
from tests.parity.models import VOCAB, ids, redraw
from tests.parity.targets import everywhere
from tests.zoo.renaming import LLAMA, renamed
from tests.zoo.shrink import shrunk

BLOCK, COUNT, SPARSE = 4, 3, 2
CAUSAL = {"type": "causal"}
TOP: dict[str, Any] = {"type": "top_blocks", "block": BLOCK, "count": COUNT}


def one_head(q: Tensor, k: Tensor, v: Tensor, scale: float) -> Tensor:
    """(n, d) each: every query sees its own block so far, and those COUNT - 1 whole blocks before it whose mean key has
    the largest product with it."""
    out = []
    for i in range(len(q)):
        own = i // BLOCK
        gates = [(float(q[i] @ k[b * BLOCK : (b + 1) * BLOCK].mean(0)), b) for b in range(own)]
        chosen = {own, *(b for _, b in sorted(gates, reverse=True)[: COUNT - 1])}
        seen = [j for j in range(i + 1) if j // BLOCK in chosen]
        out.append(torch.softmax(k[seen] @ q[i] * scale, 0) @ v[seen])
    return torch.stack(out)


def block_attention(
    layer: Any, q: Tensor, k: Tensor, v: Tensor, attention_mask: Tensor | None, scaling: float, **_: Any
) -> tuple[Tensor, None]:
    """MoBA in the first layers, all earlier tokens in the last: what transformers calls in place of its attention."""
    each = q.shape[1] // k.shape[1]
    if layer.layer_idx >= SPARSE:
        k, v = k.repeat_interleave(each, 1), v.repeat_interleave(each, 1)
        return nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True, scale=scaling).transpose(1, 2), None
    rows = [
        torch.stack([one_head(q[b, h], k[b, h // each], v[b, h // each], scaling) for h in range(q.shape[1])], 1)
        for b in range(len(q))
    ]
    return torch.stack(rows), None  # (B, S, H, D)


@pytest.mark.parametrize("length", [22, 24, 5])
@torch.no_grad()
def test_whole_model(length: int, tmp_path: Path) -> None:
    AttentionInterface.register("moba", block_attention)
    config = LlamaConfig(
        vocab_size=VOCAB, hidden_size=32, intermediate_size=48, num_hidden_layers=SPARSE + 1, num_attention_heads=4,
        num_key_value_heads=2, rms_norm_eps=1e-5, max_position_embeddings=64, pad_token_id=0,
        rope_parameters={"rope_type": "llama3", "rope_theta": 500000.0, "factor": 8.0, "low_freq_factor": 1.0,
                         "high_freq_factor": 4.0, "original_max_position_embeddings": 8192},
    )  # fmt: skip
    model = redraw(LlamaForCausalLM._from_config(config, attn_implementation="moba"))
    sizes = {"vocab_size": VOCAB, "max_length": 64, "d_model": 32, "n_heads": 4, "n_kv_heads": 2, "d_ff": 48,
             "block": BLOCK, "count": COUNT}  # fmt: skip
    program = lower(shrunk("moba-8b", {"decoder": [{"repeat": SPARSE, "of": ["sparse"]}, "full"]}, sizes))
    weights = renamed(program.parameter_paths(), model.state_dict(), LLAMA)
    tokens = ids(2, length)
    everywhere(program, weights, {"input_ids": tokens}, model(tokens).logits, tmp_path)


def masked(mask: dict[str, Any], **attention: Any) -> Program:
    return lower(resolve(load_spec(spec(attention={"mask": mask, **attention}))))


MASKS: dict[str, dict[str, Any]] = {
    "mean key": {"type": "and", "of": [CAUSAL, TOP]},
    "best key": {"type": "and", "of": [CAUSAL, {**TOP, "score": "max_key"}]},
    "beside a window": {"type": "or", "of": [{"type": "window", "behind": 6}, {"type": "and", "of": [CAUSAL, TOP]}]},
    "within a window": {"type": "and", "of": [{"type": "window", "behind": 9}, TOP]},
    "what is not chosen": {
        "type": "and", "of": [CAUSAL, {"type": "or", "of": [{"type": "self"}, {"type": "not", "of": TOP}]}]
    },
    "one block": {"type": "and", "of": [CAUSAL, {**TOP, "count": 1}]},
    "looking ahead in the own block": TOP,
}  # fmt: skip


@pytest.mark.parametrize("passes", [None, ()], ids=["all passes", "no pass"])
@pytest.mark.parametrize("form", MASKS)
@torch.no_grad()
def test_targets(form: str, passes: tuple[str, ...] | None, tmp_path: Path) -> None:
    program, tokens = masked(MASKS[form]), ids(2, 21)
    model = check_torch(program, tokens, tmp_path / "torch", passes)
    assert hasattr(type(model), "caches") == (not looks_ahead(MASKS[form]))
    check_onnx(program, drawn(program), tokens, tmp_path / "onnx", passes)


def test_flops() -> None:
    """Beside the visible pairs: one product with the mean key of each block, or with every key."""
    env = {"B": 1, "S": 21, "T": 21}

    def exact(mask: dict[str, Any]) -> int:
        block = masked(mask).blocks["decoder"]
        core = next(node for node in block.nodes if node.op == "attention")
        return int(ops.get("attention").flops([block.types[v] for v in core.inputs[:3]], core.attrs, env).exact)

    heads, width = 4, 4
    segments = {"type": "segment", "length": BLOCK, "memory": BLOCK * (COUNT - 1)}  # sees as many keys, chooses none
    assert exact(MASKS["mean key"]) - exact(segments) == 2 * heads * width * 21 * 6
    assert exact(MASKS["best key"]) - exact(segments) == 2 * heads * width * 21 * 21


@pytest.mark.parametrize("total", [1, 7, 16, 23])
def test_facts(total: int) -> None:
    q, k = (torch.randn(1, 2, total, 8, generator=torch.Generator().manual_seed(seed)) for seed in (0, 1))
    moba = {"type": "and", "of": [CAUSAL, TOP]}
    for mask in (moba, TOP):
        seen = dense_mask(mask, total, total, {}, attended=Attended(q, k, None))
        assert visible_pairs(mask, total, total) == seen[0, 0].sum().item() == seen[0, 1].sum().item()
    assert looks_ahead(TOP) and not looks_ahead(moba)
    assert causal_window({"type": "and", "of": [CAUSAL, {**TOP, "block": 1}]}) is None
    # A block beyond a window is scored whole: its keys stay.
    assert cache_limit({"type": "and", "of": [{"type": "window", "behind": 5}, TOP]}) is None


def test_blocks_of_keys_expanded_from_latents(tmp_path: Path) -> None:
    """Latent attention whose queries choose among blocks of its expanded keys, each head for itself."""
    op = {"type": "latent_attention", "n_heads": 4, "kv_rank": 6, "d_nope": 3, "d_rope": 2, "d_value": 4,
          "mask": {"type": "and", "of": ["causal", TOP]}}  # fmt: skip
    document = spec(blocks={"main": [{"op": op}]}, layers=["main"], stack={"final_norm": None}, head={"logits": None})
    program = lower(resolve(load_spec(document)))
    shapes = {path: param.shape for path, param in program.parameter_paths().items()}
    p = init_weights(shapes, 1, torch.float64)
    given = {"input_ids": ids(2, 18), "attention_mask": torch.ones(2, 18, dtype=torch.bool)}
    x, home = p["decoder.text.tokens.weight"][given["input_ids"]], "decoder.0.latent_attention"
    q = (x @ p[f"{home}.q.weight"].T).unflatten(-1, (4, 5))  # (B, S, H, D)
    c, k_rope = (x @ p[f"{home}.kv_down.weight"].T).split([6, 2], -1)
    k_nope, v = (c @ p[f"{home}.kv_up.weight"].T).unflatten(-1, (4, 7)).split([3, 4], -1)
    k = torch.cat([k_nope, k_rope[:, :, None].expand(-1, -1, 4, -1)], -1)
    rows = [torch.stack([one_head(q[b, :, h], k[b, :, h], v[b, :, h], 5**-0.5) for h in range(4)], 1) for b in range(2)]
    want = x + torch.stack(rows).flatten(2) @ p[f"{home}.o.weight"].T
    (meant,) = interpret(program, p, given).values()
    torch.testing.assert_close(meant, want, atol=1e-12, rtol=0)
    check_torch(program, given["input_ids"], tmp_path / "torch")
    check_onnx(program, drawn(program), given["input_ids"], tmp_path / "onnx")
