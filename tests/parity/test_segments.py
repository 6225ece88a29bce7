"""Segments with a memory of earlier ones: TransfoXLLMHeadModel of transformers 4.35.2 and labml-nn's Transformer-XL.

Each reference carries the inputs of its layers over; here a segment is a mask, and the packages carry keys and values.
"""

from pathlib import Path
from typing import Any

import pytest

from compiler.lower.program import lower
from tests.parity.targets import everywhere, frozen
from tests.zoo.renaming import L, Table, Target, renamed
from tests.zoo.shrink import shrunk

SIZES: dict[str, Any] = {
    "vocab_size": 60, "max_length": 64, "d_model": 32, "d_head": 8, "n_heads": 4, "d_ff": 48, "cutoffs": [20, 40],
    "divide": 2, "clamp": 10,
}  # fmt: skip
TWO = {"decoder": [{"repeat": 2, "of": ["main"]}]}
LAYER = r"transformer.layers.\1."


def third(which: int) -> Target:
    return lambda stored, match: stored[match.expand(LAYER + "dec_attn.qkv_net.weight")].chunk(3)[which]


LAYERS: Table = {
    **{L + rf"attention\.{role}\.weight": third(i) for i, role in enumerate("qkv")},
    L + r"attention\.o\.weight": LAYER + "dec_attn.o_net.weight",
    L + r"attention\.relative_vectors\.r\.weight": LAYER + "dec_attn.r_net.weight",
    L + r"attention\.relative_vectors\.u\.weight": LAYER + "dec_attn.r_w_bias",
    L + r"attention\.relative_vectors\.v\.weight": LAYER + "dec_attn.r_r_bias",
    L + r"attention\.sum_norm\.(weight|bias)": LAYER + r"dec_attn.layer_norm.\2",
    L + r"mlp\.up\.(weight|bias)": LAYER + r"pos_ff.CoreNet.0.\2",
    L + r"mlp\.down\.(weight|bias)": LAYER + r"pos_ff.CoreNet.3.\2",
    L + r"mlp\.sum_norm\.(weight|bias)": LAYER + r"pos_ff.layer_norm.\2",
    r"head\.logits\.clusters\.weight": "crit.cluster_weight",
    r"head\.logits\.clusters\.bias": "crit.cluster_bias",
}
CLUSTERS: Table = LAYERS | {
    r"vocab\.table_(\d)\.weight": r"transformer.word_emb.emb_layers.\1.weight",
    r"vocab\.projection_(\d)\.weight": r"transformer.word_emb.emb_projs.\1",
    r"head\.logits\.projection_0\.weight": "crit.out_projs.0",
    r"head\.logits\.bias_(\d)": r"crit.out_layers.\1.bias",
}


def rows(name: str) -> Target:
    """The rows of one cluster of 20 in a table of all."""
    return lambda stored, match: stored[name][20 * int(match[1]) :][:20]


ONE_WIDTH: Table = LAYERS | {
    r"vocab\.table_(\d)\.weight": rows("transformer.word_emb.emb_layers.0.weight"),
    r"head\.logits\.bias_(\d)": rows("crit.out_layers.0.bias"),
}
SEGMENTS = {"type": "and", "of": ["causal", {"type": "segment", "length": 9, "memory": 12}]}


@pytest.mark.parametrize("output", ["clusters", "same_length"])
def test_transformers(output: str, tmp_path: Path) -> None:
    """Adaptive embedding and softmax, all projections but the first tied; memory dropped beyond twelve rows."""
    given = frozen("transformer_xl_hf")
    more = {"mask": SEGMENTS} if output == "clusters" else {"behind": 12}
    program = lower(shrunk("transformer-xl-wt103", TWO, SIZES | more))
    weights = renamed(program.parameter_paths(), given.weights, CLUSTERS)
    everywhere(program, weights, given.inputs, given.outputs[output], tmp_path)


def test_memory_that_begins_with_zeros(tmp_path: Path) -> None:
    """What transformers does where no memory is given: twelve rows of zeros that every query in reach sees."""
    given = frozen("transformer_xl_hf")
    entry = {"block": "main", "set": {"/0/op/extra_keys": [{"type": "zeros", "count": 12}]}}
    program = lower(shrunk("transformer-xl-wt103", {"decoder": [entry, entry]}, SIZES | {"mask": SEGMENTS}))
    weights = renamed(program.parameter_paths(), given.weights, CLUSTERS)
    everywhere(program, weights, given.inputs, given.outputs["zeros"], tmp_path)


def test_clusters_of_one_width_have_no_projections(tmp_path: Path) -> None:
    given = frozen("transformer_xl_hf_one_width")
    program = lower(shrunk("transformer-xl-wt103", TWO, {**SIZES, "divide": 1, "mask": SEGMENTS}))
    weights = renamed(program.parameter_paths(), given.weights, ONE_WIDTH)
    everywhere(program, weights, given.inputs, given.outputs["clusters"], tmp_path)


OWN = r"transformer.layers.\1."
LABML: Table = {
    r"decoder\.text\.tokens\.weight": "src_embed.weight",
    r"decoder\.final_norm\.(weight|bias)": r"transformer.norm.\1",
    r"head\.logits\.(weight|bias)": r"generator.\1",
    **{
        L + rf"attention\.{role}\.(weight|bias)": OWN + rf"self_attn.{name}.\2"
        for role, name in (("q", "query.linear"), ("k", "key.linear"), ("v", "value.linear"), ("o", "output"))
    },
    L + r"attention\.relative_vectors\.u\.weight": OWN + "self_attn.query_pos_bias",
    L + r"attention\.relative_vectors\.s\.weight": lambda stored, match: (
        stored[match.expand(OWN + "self_attn.key_pos_bias")].T
    ),
    L + r"attention\.relative_vectors\.table\.weight": lambda stored, match: stored[
        match.expand(OWN + "self_attn.key_pos_embeddings")
    ].transpose(0, 1),
    L + r"attention\.pre_norm\.(weight|bias)": OWN + r"norm_self_attn.\2",
    L + r"mlp\.pre_norm\.(weight|bias)": OWN + r"norm_ff.\2",
    L + r"mlp\.up\.(weight|bias)": OWN + r"feed_forward.layer1.\2",
    L + r"mlp\.down\.(weight|bias)": OWN + r"feed_forward.layer2.\2",
}


def test_labml(tmp_path: Path) -> None:
    given = frozen("transformer_xl_labml")
    sizes = {**SIZES, "vocab_size": 61, "length": 9, "memory": 12, "left": 32, "right": 31}
    program = lower(shrunk("transformer-xl-labml", TWO, sizes))
    weights = renamed(program.parameter_paths(), given.weights, LABML)
    everywhere(program, weights, given.inputs, given.outputs["logits"], tmp_path)
