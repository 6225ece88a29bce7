"""BigBird's random blocks and MoBA's chosen ones, whole models: all at once, padded and, where it steps, in steps."""

from pathlib import Path

import pytest
import torch
from torch import Tensor
from transformers import BigBirdConfig, BigBirdForMaskedLM

from compiler.ir.program import Program
from compiler.lower.program import lower
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
    return redraw(BigBirdForMaskedLM(config)).train(train)


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
