"""Reformer, its reversible streams and its attention by hashing: against transformers, and the torch package."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import ReformerConfig, ReformerModelWithLMHead

from tests.emit_torch.packages import spec
from tests.parity.emitted import emitted_gap
from tests.parity.models import VOCAB, ids, redraw
from tests.parity.test_several_streams import found
from tests.zoo import renaming as r
from tests.zoo.shrink import shrunk

torch.set_num_threads(1)
L = r"reformer.encoder.layers.\1."
A = L + "attention.self_attention."
REFORMER: r.Table = {
    r"decoder\.text\.tokens\.weight": "reformer.embeddings.word_embeddings.weight",
    r"decoder\.text\.axial\.axis_(\d)\.weight": lambda stored, match: stored[
        match.expand(r"reformer.embeddings.position_embeddings.weights.\1")
    ].flatten(0, 1),
    **{
        rf"decoder\.(\d+)\.(?:lsh_)?attention\.{role}\.weight": f"{A}{name}.weight"
        for role, name in (("q", "query"), ("k", "key"), ("qk", "query_key"), ("v", "value"))
    },
    r"decoder\.(\d+)\.(?:lsh_)?attention\.o\.weight": L + "attention.output.dense.weight",
    r"decoder\.(\d+)\.(?:lsh_)?attention\.pre_norm\.(weight|bias)": L + r"attention.layer_norm.\2",
    r"decoder\.(\d+)\.mlp\.pre_norm\.(weight|bias)": L + r"feed_forward.layer_norm.\2",
    r"decoder\.(\d+)\.mlp\.up\.(weight|bias)": L + r"feed_forward.dense.dense.\2",
    r"decoder\.(\d+)\.mlp\.down\.(weight|bias)": L + r"feed_forward.output.dense.\2",
    r"decoder\.final_norm\.(weight|bias)": r"reformer.encoder.layer_norm.\1",
    r"head\.logits\.weight": "lm_head.decoder.weight",
    # transformers 5.23 stores lm_head.bias and never adds it.
    r"head\.logits\.bias": lambda stored, match: torch.zeros_like(stored["lm_head.bias"]),
}


CASES = pytest.mark.parametrize(("length", "padded"), [(32, 0), (32, 3), (21, 0), (7, 0)])


@CASES
@torch.no_grad()
def test_reformer_is_transformers(length: int, padded: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every row, in float64. The reference draws its rotations in the type of its vectors: here in float32."""
    draw = torch.randn
    monkeypatch.setattr(torch, "randn", lambda *shape, dtype=torch.float32, **how: draw(*shape, **how).to(dtype))
    gap, real = gaps(length, padded, torch.float64)
    assert float(gap[real].max()) < 1e-10


@CASES
@torch.no_grad()
def test_rows_that_see_others_in_float32(length: int, padded: int) -> None:
    """The first row, at times the second too, sees itself alone in every round, at a score of -1e5: the reference joins
    rounds by exp(a - b) of such numbers, whose steps in float32 are 0.008; the meaning takes a softmax. In float64 all
    rows agree (above)."""
    gap, real = gaps(length, padded, torch.float32)
    assert float(gap[:, :2].max()) < 0.008
    assert float(gap[:, 2:][real[:, 2:]].max()) < 1e-4


def gaps(length: int, padded: int, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Differences of all logits, and which rows are real."""
    config: Any = {
        "vocab_size": VOCAB, "hidden_size": 32, "feed_forward_size": 48, "attention_head_size": 8,
        "num_attention_heads": 4, "attn_layers": ["local", "lsh"], "axial_pos_shape": [4, 8],
        "axial_pos_embds_dim": [8, 24], "max_position_embeddings": 32, "is_decoder": True, "lsh_attn_chunk_length": 8,
        "local_attn_chunk_length": 8, "num_buckets": 4, "num_hashes": 2, "hash_seed": 7, "pad_token_id": 0,
    }  # fmt: skip
    model = redraw(ReformerModelWithLMHead(ReformerConfig(**config))).to(dtype)
    sizes = {"vocab_size": VOCAB, "max_length": 32, "d_model": 32, "n_heads": 4, "d_head": 8, "d_ff": 48, "chunk": 8,
             "shape": [4, 8], "widths": [8, 24], "rounds": 2, "buckets": 4, "seed": 7, "block": 8}  # fmt: skip
    given = shrunk("reformer-enwik8", {"decoder": ["local", "lsh"]}, sizes)
    tokens, mask = ids(2, length), torch.ones(2, length, dtype=torch.long)
    mask[1, length - padded :] = 0
    inputs = {"input_ids": tokens, "attention_mask": mask}
    got, want = found(given, model, REFORMER, inputs), model(**inputs).logits
    assert got.dtype == want.dtype == dtype
    return (got - want).abs(), mask.bool()


@pytest.mark.parametrize("rounds", [1, 3])
@pytest.mark.parametrize("span", [{"behind": 2}, {"behind": 1, "ahead": 1}])
def test_package_means_what_the_spec_means(rounds: int, span: dict[str, int], tmp_path: Path) -> None:
    op = {"type": "lsh_attention", "n_heads": 2, "chunk": 4, "rounds": rounds, "buckets": 6, "seed": 3, **span}
    assert emitted_gap(spec(blocks={"main": [{"pre_norm": "rms", "op": op}]}), tmp_path / "p", ids(2, 13)) < 2e-5
