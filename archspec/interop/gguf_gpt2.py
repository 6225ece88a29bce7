"""GPT-2 in GGUF: keys -> the model, and tensor names -> our parameter paths."""

from archspec.interop.gguf_file import GgufFile
from archspec.interop.gguf_keys import INERT, Keys, tensor_shape
from archspec.interop.hf import gpt2
from archspec.interop.recipe import Recipe, Slice, Stored
from archspec.interop.tensor_map import TensorMap, per_layer


def read(file: GgufFile) -> gpt2.Gpt2:
    keys = Keys(file, "gpt2")
    model = gpt2.Gpt2(
        vocab_size=tensor_shape(file, "token_embd.weight")[0],
        max_length=tensor_shape(file, "position_embd.weight")[0],
        d_model=keys.integer("embedding_length"),
        d_ff=keys.integer("feed_forward_length"),
        n_layers=keys.layers("block_count"),
        n_heads=keys.integer("attention.head_count"),
        eps=keys.number("attention.layer_norm_epsilon"),
        activation="gelu_tanh",
        scale=None,
        tied="output.weight" not in file.tensors,
    )
    keys.fixed("attention.head_count_kv", model.n_heads)
    keys.integer("context_length", model.max_length)
    keys.finish(INERT)
    return model


def tensors(model: gpt2.Gpt2) -> TensorMap:
    ours, layer = f"{gpt2.STACK}.{{}}", "blk.{}"
    templates: dict[str, Recipe] = {}
    names = {
        "attention.o": "attn_output",
        "mlp.up": "ffn_up",
        "mlp.down": "ffn_down",
        "attention.pre_norm": "attn_norm",
        "mlp.pre_norm": "ffn_norm",
    }
    for role in ("weight", "bias"):
        for i, part in enumerate(("q", "k", "v")):
            # The converter has turned Conv1D's weights, so outputs are axis 0 of both.
            joined = Stored(f"{layer}.attn_qkv.{role}")
            templates[f"{ours}.attention.{part}.{role}"] = Slice(joined, 0, i * model.d_model, (i + 1) * model.d_model)
        templates |= {f"{ours}.{path}.{role}": Stored(f"{layer}.{name}.{role}") for path, name in names.items()}
    recipes: dict[str, Recipe] = {
        "vocab.weight" if model.tied else f"{gpt2.STACK}.text.tokens.weight": Stored("token_embd.weight"),
        f"{gpt2.STACK}.text.learned.weight": Stored("position_embd.weight"),
        **per_layer(model.n_layers, templates),
        **{f"{gpt2.STACK}.final_norm.{role}": Stored(f"output_norm.{role}") for role in ("weight", "bias")},
    }
    if not model.tied:
        recipes["head.logits.weight"] = Stored("output.weight")
    return TensorMap(recipes)
