"""StripedHyena of stripedhyena 0.2.2: the whole model and its steps, and a convolution with padding on the left."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from compiler.lower.program import lower
from tests.parity.targets import everywhere, frozen
from tests.zoo import renaming as r
from tests.zoo.shrink import shrunk

L = r"blocks.\1."


def squeezed(name: str) -> r.Target:
    """Without the axis of one that torch's convolutions and the reference's modes have."""

    def target(stored: r.Stored, match: Any) -> Tensor:
        found = stored[match.expand(name)]
        return found.squeeze(1 if "short" in name else 2)

    return target


def rows(start: int, stop: int) -> r.Target:
    return lambda stored, match: stored[match.expand(L + "inner_mha_cls.Wqkv.weight")][start:stop]


HYENA: r.Table = {
    r"decoder\.text\.tokens\.weight": "embedding_layer.weight",
    r"head\.logits\.weight": "unembed.weight",
    r"decoder\.final_norm\.weight": "norm.scale",
    r"decoder\.(\d+)\.\w+\.pre_norm\.weight": lambda stored, match: stored[
        match.expand(L + ("post_norm" if "gated_mlp" in match[0] else "pre_norm") + ".scale")
    ],
    r"decoder\.(\d+)\.long_conv\.in\.(weight|bias)": L + r"projections.\2",
    r"decoder\.(\d+)\.long_conv\.out\.(weight|bias)": L + r"out_filter_dense.\2",
    r"decoder\.(\d+)\.long_conv\.conv\.weight": squeezed(L + "filter.short_filter_weight"),
    r"decoder\.(\d+)\.long_conv\.conv\.bias": L + "filter.short_filter_bias",
    r"decoder\.(\d+)\.long_conv\.filter\.(poles|residues)": squeezed(L + r"filter.\2"),
    r"decoder\.(\d+)\.long_conv\.filter\.skip": L + "filter.D",
    # Four query heads of 6 numbers, then two for keys and two for values.
    r"decoder\.(\d+)\.attention\.q\.weight": rows(0, 24),
    r"decoder\.(\d+)\.attention\.k\.weight": rows(24, 36),
    r"decoder\.(\d+)\.attention\.v\.weight": rows(36, 48),
    r"decoder\.(\d+)\.attention\.o\.weight": L + "inner_mha_cls.out_proj.weight",
    r"decoder\.(\d+)\.gated_mlp\.gate\.weight": L + "mlp.l1.weight",
    r"decoder\.(\d+)\.gated_mlp\.up\.weight": L + "mlp.l2.weight",
    r"decoder\.(\d+)\.gated_mlp\.down\.weight": L + "mlp.l3.weight",
}
SIZES = {"vocab_size": 61, "max_length": 32, "d_model": 24, "n_heads": 4, "n_kv_heads": 2, "d_ff": 40, "order": 4,
         "eps": 1e-2}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "layers"), [("stripedhyena", ["hyena", "attention", "hyena"]), ("stripedhyena_padded", ["hyena"])]
)
def test_model_is_stripedhyena(name: str, layers: list[str], tmp_path: Path) -> None:
    program, found = lower(shrunk("stripedhyena-7b", {"decoder": layers}, SIZES)), frozen(name)
    weights = r.renamed(program.parameter_paths(), found.weights, HYENA)
    mask = found.inputs.get("attention_mask", torch.ones(2, 18))
    inputs = dict(sorted(found.inputs.items(), reverse=True))  # ids first
    everywhere(program, weights, inputs, found.outputs["logits"], tmp_path, valid=mask.bool())
