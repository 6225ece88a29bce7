"""DeepNorm, LN(alpha·x + f(x)): torchscale's encoder and decoder."""

from pathlib import Path

from compiler.lower.program import lower
from tests.parity.targets import everywhere, frozen, meaning, near
from tests.zoo.renaming import Table, renamed
from tests.zoo.shrink import shrunk

THREE = [{"repeat": 3, "of": ["main"]}]
SIZES = {"vocab_size": 61, "max_length": 64, "d_model": 32, "n_heads": 4, "d_ff": 48}
L = r"\w+coder\.(\d+)\."
TORCHSCALE: Table = {
    r"\w+coder\.text\.tokens\.weight": "embed_tokens.weight",
    r"position_bias\.weight": "relative_position.relative_attention_bias.weight",
    r"head\.logits\.weight": "output_projection.weight",
    L + r"attention\.([qkv])\.(weight|bias)": r"layers.\1.self_attn.\2_proj.\3",
    L + r"attention\.o\.(weight|bias)": r"layers.\1.self_attn.out_proj.\2",
    L + r"attention\.sum_norm\.(weight|bias)": r"layers.\1.self_attn_layer_norm.\2",
    L + r"mlp\.up\.(weight|bias)": r"layers.\1.ffn.fc1.\2",
    L + r"mlp\.down\.(weight|bias)": r"layers.\1.ffn.fc2.\2",
    L + r"mlp\.sum_norm\.(weight|bias)": r"layers.\1.final_layer_norm.\2",
}


def test_encoder(tmp_path: Path) -> None:
    given = frozen("torchscale_encoder")
    program = lower(shrunk("deepnorm-encoder", {"encoder": THREE}, {**SIZES, "buckets": 8, "max": 16}))
    weights = renamed(program.parameter_paths(), given.weights, TORCHSCALE)
    inputs = {"input_ids": given.inputs["tokens"]}
    everywhere(program, weights, inputs, given.outputs["hidden"], tmp_path / "whole", steps=False)
    inputs["attention_mask"] = given.inputs["mask"]
    real = given.inputs["mask"].bool()
    everywhere(program, weights, inputs, given.outputs["padded"], tmp_path / "padded", steps=False, valid=real)


def test_decoder_with_xpos(tmp_path: Path) -> None:
    given = frozen("torchscale_decoder")
    program = lower(shrunk("deepnorm-decoder", {"decoder": THREE}, {**SIZES, "decay_base": 16}))
    weights = renamed(program.parameter_paths(), given.weights, TORCHSCALE)
    inputs = {"input_ids": given.inputs["tokens"]}
    everywhere(program, weights, inputs, given.outputs["logits"], tmp_path)
    near(meaning(program, weights, inputs), given.outputs["steps"])
