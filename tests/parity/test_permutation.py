"""XLNet's two streams with given permutation and targets: against transformers, weights copied; both targets."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import XLNetConfig, XLNetLMHeadModel

from compiler.lower.program import lower
from tests.parity.models import VOCAB, ids, redraw
from tests.parity.targets import everywhere
from tests.zoo import renaming as r
from tests.zoo.shrink import shrunk

SMALL: dict[str, Any] = {"vocab_size": VOCAB, "max_length": 64, "d_model": 32, "d_head": 8, "n_heads": 4, "d_ff": 48}


def by_heads(name: str, turned: bool = True) -> r.Target:
    """(d, H, D) as a matrix (H·D, d), or (d, H·D)."""

    def target(stored: r.Stored, match: Any) -> Tensor:
        flat = stored[match.expand(name)].flatten(1)
        return flat.T if turned else flat

    return target


LAYER = r"transformer.layer.\1."
XLNET: r.Table = {
    r"vocab\.weight": "transformer.word_embedding.weight",
    r"head\.logits\.bias": "lm_loss.bias",
    r"decoder\.targets\.placeholder\.weight": lambda stored, match: stored["transformer.mask_emb"][0],
    r"decoder\.(\d+)\.a\.([qkv])\.weight": by_heads(LAYER + r"rel_attn.\2"),
    r"decoder\.(\d+)\.a\.o\.weight": by_heads(LAYER + "rel_attn.o", turned=False),
    r"decoder\.(\d+)\.a\.relative_vectors\.r\.weight": by_heads(LAYER + "rel_attn.r"),
    r"decoder\.(\d+)\.a\.relative_vectors\.u\.weight": LAYER + "rel_attn.r_w_bias",
    r"decoder\.(\d+)\.a\.relative_vectors\.v\.weight": LAYER + "rel_attn.r_r_bias",
    r"decoder\.(\d+)\.a\.relative_segments\.bias": LAYER + "rel_attn.r_s_bias",
    r"decoder\.(\d+)\.a\.relative_segments\.vectors": LAYER + "rel_attn.seg_embed",
    r"decoder\.(\d+)\.n1\.(weight|bias)": LAYER + r"rel_attn.layer_norm.\2",
    r"decoder\.(\d+)\.n2\.(weight|bias)": LAYER + r"ff.layer_norm.\2",
    r"decoder\.(\d+)\.f\.up\.(weight|bias)": LAYER + r"ff.layer_1.\2",
    r"decoder\.(\d+)\.f\.down\.(weight|bias)": LAYER + r"ff.layer_2.\2",
}


@torch.no_grad()
def test_xlnet(tmp_path: Path) -> None:
    """The content stream sees itself, the query stream stands on the targets and does not; padding on the left."""
    config: Any = {"vocab_size": VOCAB, "d_model": 32, "n_layer": 2, "n_head": 4, "d_inner": 48, "pad_token_id": 5,
                   "bos_token_id": 1, "eos_token_id": 2}  # fmt: skip
    model, n = redraw(XLNetLMHeadModel(XLNetConfig(**config))), 9
    order = torch.randperm(n, generator=torch.Generator().manual_seed(0))
    rank = order.argsort()
    targets = torch.zeros(2, 2, n)
    targets[:, 0, order[-2]] = targets[:, 1, order[-1]] = 1
    mask = torch.ones(2, n, dtype=torch.long)
    mask[1, : int(min(order[-2:]))] = 0
    assert 0 < mask[1].sum() < n
    inputs = {
        "input_ids": ids(2, n), "attention_mask": mask, "target_mapping": targets,
        "perm_mask": (rank[:, None] <= rank[None, :]).float().expand(2, n, n),
        "token_type_ids": (torch.arange(n) > 4).long().expand(2, -1),
    }  # fmt: skip
    program = lower(shrunk("xlnet-base", {"decoder": [{"repeat": 2, "of": ["main"]}]}, SMALL))
    weights = {k: v.contiguous() for k, v in r.renamed(program.parameter_paths(), model.state_dict(), XLNET).items()}
    everywhere(program, weights, inputs, model(**inputs).logits, tmp_path, steps=False)
