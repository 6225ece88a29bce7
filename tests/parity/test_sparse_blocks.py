"""BigBird (arXiv 2007.14062) against transformers' model, and the draw of its random blocks.

In training without dropout that model draws them; outside training all of them are block 0.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from transformers import BigBirdConfig, BigBirdForMaskedLM
from transformers.models.big_bird.modeling_big_bird import BigBirdBlockSparseAttention

from archspec.errors import InputError
from archspec.spec import load_spec, resolve
from compiler.ir.program import Program
from compiler.lower.program import lower
from compiler.masks.dense import dense_mask
from compiler.masks.drawn import NONE, tables, visible_blocks
from compiler.masks.facts import looks_ahead
from compiler.masks.pairs import visible_pairs
from tests.emit_onnx.exact import check as check_onnx
from tests.emit_torch.exact import check as check_torch
from tests.emit_torch.exact import drawn
from tests.emit_torch.packages import spec
from tests.parity.models import VOCAB, ids, redraw
from tests.parity.targets import everywhere
from tests.zoo import renaming as r
from tests.zoo import renaming_pairs as p
from tests.zoo.shrink import shrunk

BLOCK, COUNT = 4, 2
TABLE = p.bert("bert", "cls.predictions", "cls.predictions.transform")


def big_bird(train: bool, length: int = 128, block: int = BLOCK) -> BigBirdForMaskedLM:
    """Zero dropout, so that training changes nothing but the blocks that are drawn."""
    config = BigBirdConfig(
        vocab_size=VOCAB, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
        max_position_embeddings=length, block_size=block, num_random_blocks=COUNT, attention_type="block_sparse",
        use_bias=True, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0, classifier_dropout=0.0,
        pad_token_id=0, hidden_act="gelu_new",
    )  # fmt: skip
    model = BigBirdForMaskedLM(config)
    redraw(model)
    return model.train(train)


def spec_of(name: str, length: int = 128, block: int = BLOCK) -> Program:
    sizes = {
        "vocab_size": VOCAB, "max_length": length, "d_model": 32, "n_heads": 4, "d_ff": 48, "width": 32,
        "size": {4096: length}, "block": {64: block}, "count": {64: block, 3: COUNT},
        "up_to": block * (5 + 2 * COUNT), "add": f"=log({1 + COUNT})",
    }  # fmt: skip
    return lower(shrunk(name, {"encoder": [{"repeat": 2, "of": ["main"]}]}, sizes))


def padded(batch: int, n: int, pad: int) -> tuple[dict[str, Tensor], Tensor]:
    mask = torch.ones(batch, n, dtype=torch.long)
    if pad:
        mask[1, -pad:] = 0
    return {"input_ids": ids(batch, n) * mask, "attention_mask": mask}, mask.bool()


SPECS = {True: "bigbird-roberta-base", False: "bigbird-roberta-base-eval"}
# Length and padding: whole blocks, a short last block (which transformers fills up), the longest that sees everything.
LENGTHS = {"whole blocks": (64, 0), "padding": (64, 11), "a short last block": (58, 7), "all seen": (36, 5)}


@pytest.mark.parametrize("case", LENGTHS)
@pytest.mark.parametrize("train", SPECS)
@torch.no_grad()
def test_big_bird_is_transformers(train: bool, case: str, tmp_path: Path) -> None:
    inputs, real = padded(2, *LENGTHS[case])
    model, program = big_bird(train), spec_of(SPECS[train])
    weights = r.renamed(program.parameter_paths(), model.state_dict(), TABLE)
    expected = model(**inputs).logits
    assert (model.bert.attention_type == "original_full") == (case == "all seen")
    everywhere(program, weights, inputs, expected, tmp_path, steps=False, valid=real)


def theirs(length: int, tokens: int, block: int, count: int, heads: int, seed: int) -> np.ndarray:
    """The blocks that transformers draws (heads, blocks less the first and last, count) for a number of tokens."""
    config = BigBirdConfig(
        hidden_size=heads, num_attention_heads=heads, block_size=block, num_random_blocks=count,
        max_position_embeddings=length,
    )  # fmt: skip
    layer = BigBirdBlockSparseAttention(config, seed).train()
    np.random.seed(seed)
    if tokens in (1024, 3072, 4096):
        plan = [
            layer._bigbird_block_rand_mask(length, length, block, block, count, last_idx=1024) for _ in range(heads)
        ]
        return np.stack([rows[: tokens // block - 2] for rows in plan])
    among, counts = layer._get_rand_attn_plan(tokens, block, count)
    return np.stack(layer._bigbird_block_rand_mask_with_head(tokens, tokens, block, block, heads, among, counts))


@pytest.mark.parametrize(
    ("length", "tokens", "block", "count", "heads", "seed"),
    [(128, 64, 4, 2, 4, 0), (128, 40, 4, 2, 4, 7), (4096, 2048, 64, 3, 12, 11), (4096, 768, 64, 3, 12, 1),
     (64, 32, 2, 1, 3, 5), (4096, 1024, 64, 3, 12, 3), (4096, 3072, 64, 3, 12, 4), (4096, 4096, 64, 3, 12, 0),
     (1024, 1024, 64, 3, 2, 0), (3072, 3072, 32, 2, 2, 9)],
)  # fmt: skip
def test_drawn_as_transformers_draws(length: int, tokens: int, block: int, count: int, heads: int, seed: int) -> None:
    mask = {"type": "random_blocks", "block": block, "count": count, "seed": seed, "heads": heads, "length": length}
    plain, paper = tables(mask)
    table = paper if paper is not None and tokens in (1024, 3072, 4096) else plain
    blocks = tokens // block
    np.testing.assert_array_equal(table[:, 1 : blocks - 1], theirs(length, tokens, block, count, heads, seed))
    seen = visible_blocks(mask, tokens)
    assert seen.shape == (heads, blocks, blocks)
    assert all(set(np.flatnonzero(seen[0, i])) == set(table[0, i]) for i in range(1, blocks - 1))


FROZEN = [[[5, 8, 4], [9, 8, 7], [5, 6, 7], [6, 9, 2]], [[6, 8, 3], [4, 8, 9], [1, 9, 6], [1, 8, 7]]]
FROZEN_OF_THE_PAPER = [
    [[8, 4, 10], [10, 12, 6], [12, 8, 7], [1, 9, 12]],
    [[7, 4, 14], [10, 13, 15], [12, 10, 5], [13, 6, 15]],
]


def test_the_draw_stays() -> None:
    """Written down, so that another release of numpy that draws otherwise is found out."""
    plain, paper = tables({"type": "random_blocks", "block": 64, "count": 3, "seed": 5, "heads": 2, "length": 4096})
    assert plain[:, 1:5].tolist() == FROZEN
    assert paper is not None and paper[:, 1:5].tolist() == FROZEN_OF_THE_PAPER
    assert (plain[:, 0] == NONE).all()


def masked(mask: dict[str, Any], **more: Any) -> Program:
    return lower(resolve(load_spec(spec(attention={"mask": mask, "position": []}, **more))))


WINDOW: dict[str, Any] = {"type": "window", "behind": 2, "ahead": 1, "block": BLOCK}
RANDOM: dict[str, Any] = {"type": "random_blocks", "block": BLOCK, "count": COUNT, "seed": 1}
GLOBAL = [{"type": kind, "of": {"type": "last", "count": 1, "block": BLOCK}} for kind in ("keys", "queries")]
OUTSIDE: dict[str, Any] = {**RANDOM, "count": 1, "outside": {"type": "not", "of": {"type": "causal"}}}
MASKS: dict[str, dict[str, Any]] = {
    "random and window": {"type": "or", "of": [WINDOW, RANDOM]},
    "with last blocks": {"type": "or", "of": [WINDOW, RANDOM, *GLOBAL]},
    "hidden": {"type": "and", "of": [{"type": "causal"}, {"type": "not", "of": RANDOM}]},
    "causal, drawn among the past": {"type": "or", "of": [{"type": "window", "behind": 6}, OUTSIDE]},
    "beside chosen ones": {"type": "and", "of": [
        {"type": "causal"}, {"type": "or", "of": [OUTSIDE, {"type": "top_blocks", "block": BLOCK, "count": 2}]}]},
    "by head": {"type": "by_head", "of": [
        {"type": "causal"}, {"type": "window", "behind": 3},
        {"type": "and", "of": [{"type": "causal"}, {"type": "top_blocks", "block": BLOCK, "count": 2}]},
        {"type": "and", "of": [{"type": "causal"}, OUTSIDE]}]},
    "random by head": {"type": "by_head", "of": [RANDOM, {"type": "full"}, WINDOW, {**RANDOM, "seed": 5}]},
}  # fmt: skip


@pytest.mark.parametrize("form", MASKS)
@torch.no_grad()
def test_targets(form: str, tmp_path: Path) -> None:
    program, tokens = masked(MASKS[form]), ids(2, 33)
    check_torch(program, tokens, tmp_path / "torch")
    check_onnx(program, drawn(program), tokens, tmp_path / "onnx")


@pytest.mark.parametrize("n", [1024, 890])
@torch.no_grad()
def test_lengths_of_the_paper(n: int, tmp_path: Path) -> None:
    """1,024 tokens have a plan of their own, also in the packages."""
    random = {"type": "random_blocks", "block": 128, "count": 1, "seed": 2}
    program, tokens = masked({"type": "or", "of": ["self", random]}, max_length=1024), ids(2, n)
    plain, paper = tables({**random, "heads": 4, "length": 1024})
    assert paper is not None and (plain[:, 1:7] != paper[:, 1:7]).any()
    check_torch(program, tokens, tmp_path / "torch")
    check_onnx(program, drawn(program), tokens, tmp_path / "onnx")


def test_which_step() -> None:
    """The published plans differ by length: what a token sees hangs on later ones. Drawn among the past it does not."""
    causal = {"type": "causal"}
    assert looks_ahead({"type": "and", "of": [causal, RANDOM]})
    assert not looks_ahead({"type": "and", "of": [causal, OUTSIDE]})
    assert looks_ahead({"type": "by_length", "up_to": 8, "then": causal, "otherwise": {"type": "window", "behind": 3}})
    assert looks_ahead({"type": "and", "of": [causal, {"type": "keys", "of": {"type": "last", "count": 2}}]})


@pytest.mark.parametrize("n", [37, 38, 64, 90, 128])
def test_visible_pairs(n: int) -> None:
    core = next(node for node in spec_of("bigbird-roberta-base").blocks["encoder_0"].nodes if node.op == "attention")
    dense = dense_mask(core.attrs["mask"], n, n, {})
    assert dense.shape[1] == 4 and dense[:, 0].ne(dense[:, 1]).any()  # each head draws for itself
    assert visible_pairs(core.attrs["mask"], n, n) * 4 == dense.sum().item()


def test_drawn_outside_a_mask() -> None:
    mask = {**OUTSIDE, "outside": {"type": "window", "behind": 6, "ahead": 9}, "heads": 2, "length": 40}
    seen = visible_blocks(mask, 40)
    near = dense_mask(mask["outside"], 40, 40, {})[0, 0].unflatten(0, (10, 4)).unflatten(2, (10, 4)).any(3).any(1)
    assert not (seen & near.numpy()).any()
    assert (seen.sum(-1) == 1).all()
    np.testing.assert_array_equal(visible_blocks(mask, 23)[:, :6], seen[:, :6, :6])


@pytest.mark.parametrize(
    ("mask", "more", "reason"),
    [
        (RANDOM, {"max_length": None}, "random blocks without a max_length"),
        ({**RANDOM, "outside": {"type": "by_length", "up_to": 9, "then": "full", "otherwise": "causal"}}, {},
         "not known before the run"),
    ],
)  # fmt: skip
def test_refused(mask: dict[str, Any], more: dict[str, Any], reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        masked(mask, **more)


def test_longer_than_drawn(tmp_path: Path) -> None:
    program = masked(MASKS["random and window"])
    model = check_torch(program, ids(2, 33), tmp_path)
    with pytest.raises(ValueError, match="the model takes 64 tokens, found 65"):
        model(ids(1, 65))
