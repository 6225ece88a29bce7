"""Vectors by distance of keys alone (in a conformer that looks back only) and of both sides (BERT): whole models."""

from pathlib import Path
from typing import Any

import torch
from transformers import Wav2Vec2BertConfig, Wav2Vec2BertModel

from compiler.lower.program import lower
from tests.emit_torch.packages import model_of, spec, stepped
from tests.parity.models import ids, redraw
from tests.parity.targets import everywhere, frozen
from tests.parity.test_convolutions import CONFORMER
from tests.zoo import renaming as r
from tests.zoo import renaming_pairs as p
from tests.zoo.shrink import shrunk

torch.set_num_threads(1)
TWO = {"encoder": [{"repeat": 2, "of": ["main"]}]}
L = r"encoder.layers.\1."
SHAW: r.Table = {
    **CONFORMER,
    r"encoder\.text\.features\.then\.0\.(weight|bias)": r"feature_projection.layer_norm.\1",
    r"encoder\.text\.features\.then\.1\.(weight|bias)": r"feature_projection.projection.\1",
    r"encoder\.(\d+)\.attention\.relative_vectors\.table\.weight": L + "self_attn.distance_embedding.weight",
    r"encoder\.(\d+)\.conv_module\.norm\.(weight|bias)": L + r"conv_module.depthwise_layer_norm.\2",
}
BERT: r.Table = {
    # BERT counts from the key to the query, the other way round.
    r"encoder\.(\d+)\.attention\.relative_vectors\.table\.weight": lambda stored, match: stored[
        match.expand(r"bert.encoder.layer.\1.attention.self.distance_embedding.weight")
    ].flip(0),
    **p.bert("bert", "cls.predictions", "cls.predictions.transform"),
}


@torch.no_grad()
def test_conformer_is_transformers(tmp_path: Path) -> None:
    """With padding on both sides of one row."""
    config: Any = {
        "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48,
        "feature_projection_input_dim": 20, "position_embeddings_type": "relative_key",
        "left_max_position_embeddings": 5, "right_max_position_embeddings": 3, "conv_depthwise_kernel_size": 5,
    }  # fmt: skip
    model = redraw(Wav2Vec2BertModel(Wav2Vec2BertConfig(**config)))
    sizes = {"d_model": 32, "n_heads": 4, "d_ff": 48, "width": {160: 20, 1024: 32}, "kernel": 5,
             "left": 5, "right": 3}  # fmt: skip
    program = lower(shrunk("w2v-bert-2.0", TWO, sizes))
    features, mask = torch.randn(2, 14, 20, generator=torch.Generator().manual_seed(1)), torch.ones(2, 14).long()
    mask[1, :3] = mask[1, -2:] = 0
    expected = model(input_features=features, attention_mask=mask).last_hidden_state
    weights = r.renamed(program.parameter_paths(), model.state_dict(), SHAW)
    inputs = {"input_features": features, "input_features_mask": mask}
    everywhere(program, weights, inputs, expected, tmp_path, steps=False, valid=mask.bool())


def test_both_sides_are_transformers(tmp_path: Path) -> None:
    """BertForMaskedLM of transformers 4.35.2; padding on both sides of one row, two token types."""
    sizes = {"vocab_size": 61, "max_length": 16, "d_model": 24, "n_heads": 3, "d_ff": 40, "width": 24,
             "left": 15, "right": 15}  # fmt: skip
    program, found = lower(shrunk("bert-base-relative", TWO, sizes)), frozen("bert_relative")
    weights, valid = r.renamed(program.parameter_paths(), found.weights, BERT), found.inputs["attention_mask"].bool()
    inputs = {name: found.inputs[name] for name in ("input_ids", "attention_mask", "token_type_ids")}
    everywhere(program, weights, inputs, found.outputs["logits"], tmp_path, steps=False, valid=valid)


@torch.no_grad()
def test_a_conformer_that_looks_back_steps(tmp_path: Path) -> None:
    """Zeros on the left and causal attention: nothing looks ahead, and the convolution's tail is state."""
    table = {"type": "table", "distance": {"type": "clip", "left": 3, "right": 0}}
    op: dict[str, Any] = {"type": "attention", "n_heads": 4, "mask": "causal",
                          "position": [{"type": "relative_vectors", "vectors": table}]}  # fmt: skip
    conv = {"type": "conv_module", "kernel": 4, "padding": "left", "norm": "layer"}
    document = spec(blocks={"main": [{"pre_norm": "layer", "op": op}, {"pre_norm": "layer", "op": conv}]})
    model, tokens = model_of(document, tmp_path / "p"), ids(2, 13)
    expected = model(tokens)
    for chunks in ((1,) * 13, (5, 1, 3, 4)):
        torch.testing.assert_close(stepped(model, tokens, chunks), expected, atol=1e-5, rtol=1e-5)
    document["stacks"]["decoder"]["blocks"]["main"][1]["op"]["padding"] = "both"
    assert "centred convolution" in model_of(document, tmp_path / "both").refusal
