"""DeepNorm, LN(alpha·x + f(x)): torchscale's encoder, its decoder, and both beside each other."""

from pathlib import Path

from archspec import zoo
from archspec.spec import load_spec, resolve
from compiler.lower.program import lower
from tests.parity.targets import all_parameters, everywhere, frozen, meaning, near
from tests.zoo.renaming import Table, renamed
from tests.zoo.shrink import resized, shrunk

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
    all_parameters(program, given.weights)
    inputs = {"input_ids": given.inputs["tokens"]}
    everywhere(program, weights, inputs, given.outputs["hidden"], tmp_path / "whole", steps=False)
    inputs["attention_mask"] = given.inputs["mask"]
    real = given.inputs["mask"].bool()
    everywhere(program, weights, inputs, given.outputs["padded"], tmp_path / "padded", steps=False, valid=real)


def test_decoder_with_xpos(tmp_path: Path) -> None:
    given = frozen("torchscale_decoder")
    program = lower(shrunk("deepnorm-decoder", {"decoder": THREE}, {**SIZES, "decay_base": 16}))
    weights = renamed(program.parameter_paths(), given.weights, TORCHSCALE)
    all_parameters(program, given.weights)
    inputs = {"input_ids": given.inputs["tokens"]}
    everywhere(program, weights, inputs, given.outputs["logits"], tmp_path)
    near(meaning(program, weights, inputs), given.outputs["steps"])


def two(side: str, crosses: bool) -> Table:
    ours, theirs = side + r"\.(\d+)\.", side + r".layers.\1."
    found: Table = {
        ours + r"attention\.([qkv])\.(weight|bias)": theirs + r"self_attn.\2_proj.\3",
        ours + r"attention\.o\.(weight|bias)": theirs + r"self_attn.out_proj.\2",
        ours + r"attention\.sum_norm\.(weight|bias)": theirs + r"self_attn_layer_norm.\2",
        ours + r"mlp\.up\.(weight|bias)": theirs + r"ffn.fc1.\2",
        ours + r"mlp\.down\.(weight|bias)": theirs + r"ffn.fc2.\2",
        ours + r"mlp\.sum_norm\.(weight|bias)": theirs + r"final_layer_norm.\2",
    }
    if crosses:
        found |= {
            ours + r"attention_2\.([qkv])\.(weight|bias)": theirs + r"encoder_attn.\2_proj.\3",
            ours + r"attention_2\.o\.(weight|bias)": theirs + r"encoder_attn.out_proj.\2",
            ours + r"attention_2\.sum_norm\.(weight|bias)": theirs + r"encoder_attn_layer_norm.\2",
        }
    return found


TRANSLATION: Table = {
    r"vocab\.weight": "encoder.embed_tokens.weight",
    r"head\.logits\.weight": "decoder.output_projection.weight",
    **two("encoder", False),
    **two("decoder", True),
}


def test_encoder_and_decoder(tmp_path: Path) -> None:
    """deepnet-3.2b without its sinusoids: alphas from both depths in the encoder, from the decoder's in the decoder."""
    given, document = (
        frozen("torchscale_translation"),
        resized(zoo.read("deepnet-3.2b"), {**SIZES, "d_model": 16, "d_ff": 24}),
    )
    for name, layers in (("encoder", 2), ("decoder", 3)):
        stack = document["stacks"][name]
        stack["input"]["sum"].pop()
        stack["layers"] = [{"repeat": layers, "of": ["main"]}]
    for step in document["stacks"]["encoder"]["blocks"]["main"]:
        step["residual"]["keep"] = step["residual"]["keep"].replace("*100)", "*3)")  # decoder layers
    program = lower(resolve(load_spec(document)))
    weights = renamed(program.parameter_paths(), given.weights, TRANSLATION)
    all_parameters(program, given.weights)
    inputs = {
        "input_ids": given.inputs["tokens"],
        "attention_mask": given.inputs["mask"],
        "decoder_input_ids": given.inputs["target"],
    }
    everywhere(program, weights, inputs, given.outputs["logits"], tmp_path)
