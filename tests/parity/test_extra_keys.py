"""Keys besides those of the sequence: sinks against transformers, memory and learned keys against dense attention, and
the torch package against the reference meaning."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import GptOssConfig, GptOssForCausalLM

from archspec.spec import load_spec, resolve
from compiler import ops
from compiler.lower.program import lower
from compiler.ops.attention.meaning import core
from compiler.ops.attention.torch_helpers import attend_beside
from compiler.ops.context import Context
from tests.emit_torch.packages import spec
from tests.parity.counting import counts, operations
from tests.parity.emitted import emitted_gap, meant
from tests.parity.models import VOCAB, ids, redraw
from tests.parity.targets import everywhere
from tests.zoo import renaming as r
from tests.zoo.shrink import shrunk

torch.set_num_threads(1)
LAYER = r"model.layers.\1."
GPT_OSS: r.Table = {
    r"decoder\.text\.tokens\.weight": "model.embed_tokens.weight",
    r"decoder\.final_norm\.weight": "model.norm.weight",
    r"head\.logits\.weight": "lm_head.weight",
    r"decoder\.(\d+)\.attention\.([qkvo])\.(weight|bias)": LAYER + r"self_attn.\2_proj.\3",
    r"decoder\.(\d+)\.attention\.sink\.weight": LAYER + "self_attn.sinks",
    r"decoder\.(\d+)\.attention\.pre_norm\.weight": LAYER + "input_layernorm.weight",
    r"decoder\.(\d+)\.moe\.pre_norm\.weight": LAYER + "post_attention_layernorm.weight",
    r"decoder\.(\d+)\.moe\.router\.(weight|bias)": LAYER + r"mlp.router.\2",
    **{
        rf"decoder\.(\d+)\.moe\.experts\.{role}\.weight": lambda stored, match, start=start: (
            stored[match.expand(LAYER + "mlp.experts.gate_up_proj")][..., start::2].mT
        )
        for start, role in enumerate(("gate", "up"))
    },
    **{
        rf"decoder\.(\d+)\.moe\.experts\.{role}\.bias": lambda stored, match, start=start: stored[
            match.expand(LAYER + "mlp.experts.gate_up_proj_bias")
        ][..., start::2]
        for start, role in enumerate(("gate", "up"))
    },
    r"decoder\.(\d+)\.moe\.experts\.down\.weight": lambda stored, match: (
        stored[match.expand(LAYER + "mlp.experts.down_proj")].mT
    ),
    r"decoder\.(\d+)\.moe\.experts\.down\.bias": LAYER + "mlp.experts.down_proj_bias",
}


@torch.no_grad()
def test_gpt_oss_is_transformers_gpt_oss(tmp_path: Path) -> None:
    rope = {"rope_type": "yarn", "rope_theta": 150000.0, "factor": 32.0, "truncate": False,
            "original_max_position_embeddings": 4096, "beta_fast": 32.0, "beta_slow": 1.0}  # fmt: skip
    sizes: Any = {
        "vocab_size": VOCAB, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "head_dim": 8,
        "num_attention_heads": 4, "num_key_value_heads": 2, "num_local_experts": 4, "num_experts_per_tok": 2,
        "sliding_window": 5, "rope_parameters": rope, "attn_implementation": "eager",
        "layer_types": ["sliding_attention", "full_attention"],
    }  # fmt: skip
    model = redraw(GptOssForCausalLM(GptOssConfig(**sizes)))
    ours = {"vocab_size": VOCAB, "max_length": 64, "d_model": 32, "d_head": 8, "n_heads": 4, "n_kv_heads": 2,
            "d_ff": 48, "n_experts": 4, "top_k": 2, "behind": 5}  # fmt: skip
    resolved = shrunk("gpt-oss-20b", {"decoder": ["local", "global"]}, ours)
    program = lower(resolved)
    weights = r.renamed(program.parameter_paths(), model.state_dict(), GPT_OSS)
    inputs = {"input_ids": ids(2, 17), "attention_mask": torch.ones(2, 17, dtype=torch.long)}
    inputs["attention_mask"][0, :5] = 0
    everywhere(program, weights, inputs, model(**inputs).logits, tmp_path, valid=inputs["attention_mask"].bool())
    counts(resolved, model, lambda: model(input_ids=ids(1, 1)).logits)
    operations(resolved, model, input_ids=ids(2, 48))


BUCKETS = {"type": "relative_bias", "distance": {"type": "log_buckets", "buckets": 8, "max": 20, "sides": 1}}
FORMS: dict[str, dict[str, Any]] = {
    "sink": {"extra_keys": ["sink"]},
    "sink in a window": {"extra_keys": ["sink"], "mask": {"type": "window", "behind": 4}},
    "sink and cap": {"extra_keys": ["sink"], "softcap": 2},
    "sink and bias": {"extra_keys": ["sink"], "position": [BUCKETS]},
    "sink, bias and cap": {"extra_keys": ["sink"], "position": [BUCKETS], "softcap": 2},
    "learned": {"extra_keys": [{"type": "learned", "count": 3}]},
    "learned and sink": {"extra_keys": [{"type": "learned", "count": 3}, "sink"]},
}


@pytest.mark.parametrize("form", FORMS)
def test_package_means_what_the_spec_means(form: str, tmp_path: Path) -> None:
    given = spec(attention=FORMS[form])
    assert emitted_gap(given, tmp_path / "p", ids(2, 13)) < 2e-5
    plain = spec(attention={k: v for k, v in FORMS[form].items() if k != "extra_keys"})
    assert float((meant(given, 1, input_ids=ids(2, 13)) - meant(plain, 1, input_ids=ids(2, 13))).abs().max()) > 1e-3


@pytest.mark.parametrize("cap", [None, 2.0])
@pytest.mark.parametrize(("new", "keys", "causal"), [(1, 300, False), (600, 600, True), (300, 400, False)])
def test_sink_beside_many_queries(new: int, keys: int, causal: bool, cap: float | None) -> None:
    """Queries are taken 256 at a time."""
    generator = torch.Generator().manual_seed(0)
    q, k, v, sink, draws = (
        torch.randn(*shape, generator=generator, dtype=torch.float64)
        for shape in ((2, 4, new, 8), (2, 2, keys, 8), (2, 2, keys, 8), (4,), (1, 1, new, keys))
    )
    seen = torch.ones(new, keys).tril().bool() if causal else draws < 0.5
    mask = None if causal else torch.zeros_like(draws).masked_fill(~seen, float("-inf"))
    expected = core(q, k, v, seen, [], [], 0.3, cap, (), sink)
    torch.testing.assert_close(attend_beside(q, k, v, mask, causal, 0.3, sink, cap), expected, atol=1e-12, rtol=0)


def turned(x: Tensor, positions: Tensor) -> Tensor:
    fields = {"theta": 10000.0, "dims": x.shape[-1]}
    return ops.meaning("rope").run([x, positions], {}, fields, Context())[0]


def test_memory_is_seen_whole_and_unturned() -> None:
    """LongLLaMA's memory attention, written out: one softmax over memory at position zero and the causal past."""
    memory = {"type": "external", "name": "memory", "position": "zero"}
    document = spec(attention={"n_kv_heads": 4, "extra_keys": [memory]}, layers=["main"])
    block = lower_block(document)
    node = next(node for node in block.nodes if node.op == "attention")
    q, k, v, mk, mv = (torch.randn(2, 4, n, 4, dtype=torch.float64) for n in (7, 7, 7, 11, 11))
    at = torch.arange(7)[None].expand(2, -1)
    q, k = turned(q, at), turned(k, at)
    none = torch.empty(0)
    (found,) = ops.meaning("attention").run([q, k, v, none, mk, mv, none], {}, node.attrs, Context())
    own = (q @ k.mT).masked_fill(~torch.ones(7, 7).tril().bool(), float("-inf"))
    expected = (torch.cat([q @ mk.mT, own], -1) * node.attrs["scale"]).softmax(-1) @ torch.cat([mv, v], 2)
    torch.testing.assert_close(found, expected, atol=1e-12, rtol=0)
    zero = torch.zeros(2, 11, dtype=torch.long)
    torch.testing.assert_close(turned(mk, zero), mk, atol=0, rtol=0)


def lower_block(document: dict[str, Any]) -> Any:

    return next(iter(lower(resolve(load_spec(document))).blocks.values()))
