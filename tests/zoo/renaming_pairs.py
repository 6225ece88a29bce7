"""Where transformers 5 keeps the tensors of encoders and encoder-decoders; see renaming.py."""

from tests.zoo.renaming import Table

S = r"(encoder|decoder)\.(\d+)\."
T5: Table = {
    r"vocab\.weight": "shared.weight",
    r"head\.logits\.weight": "lm_head.weight",
    r"(encoder|decoder)_bias\.weight": r"\1.block.0.layer.0.SelfAttention.relative_attention_bias.weight",
    r"(encoder|decoder)\.final_norm\.weight": r"\1.final_layer_norm.weight",
    S + r"attention\.([qkvo])\.weight": r"\1.block.\2.layer.0.SelfAttention.\3.weight",
    S + r"attention_2\.([qkvo])\.weight": r"\1.block.\2.layer.1.EncDecAttention.\3.weight",
    S + r"attention\.pre_norm\.weight": r"\1.block.\2.layer.0.layer_norm.weight",
    S + r"attention_2\.pre_norm\.weight": r"\1.block.\2.layer.1.layer_norm.weight",
    # The feed-forward part is the last of two sublayers in the encoder, of three in the decoder.
    **{
        rf"({stack})\.(\d+)\.(?:gated_)?mlp\.{ours}\.weight": rf"\1.block.\2.layer.{last}.{theirs}.weight"
        for stack, last in (("encoder", 1), ("decoder", 2))
        for ours, theirs in (
            ("pre_norm", "layer_norm"), ("down", "DenseReluDense.wo"), ("gate", "DenseReluDense.wi_0"),
        )
    },
    **{
        rf"({stack})\.(\d+)\.{kind}\.up\.weight": rf"\1.block.\2.layer.{last}.DenseReluDense.{theirs}.weight"
        for stack, last in (("encoder", 1), ("decoder", 2))
        for kind, theirs in (("mlp", "wi"), ("gated_mlp", "wi_1"))
    },
}  # fmt: skip


def bart(norm: str) -> Table:
    """BART's layout; `norm` is where the norm of a branch stands, pre_norm or sum_norm."""
    layer = r"model.\1.layers.\2."
    return {
        r"vocab\.weight": "model.shared.weight",
        r"head\.logits\.bias": lambda stored, match: stored["final_logits_bias"][0],
        r"(encoder|decoder)\.\w+\.learned\.weight": r"model.\1.embed_positions.weight",
        r"(encoder|decoder)\.\w+\.then\.0\.(weight|bias)": r"model.\1.layernorm_embedding.\2",
        r"(encoder|decoder)\.final_norm\.(weight|bias)": r"model.\1.layer_norm.\2",
        S + r"attention\.([qkv])\.(weight|bias)": layer + r"self_attn.\3_proj.\4",
        S + r"attention\.o\.(weight|bias)": layer + r"self_attn.out_proj.\3",
        S + r"attention_2\.([qkv])\.(weight|bias)": layer + r"encoder_attn.\3_proj.\4",
        S + r"attention_2\.o\.(weight|bias)": layer + r"encoder_attn.out_proj.\3",
        S + rf"attention\.{norm}\.(weight|bias)": layer + r"self_attn_layer_norm.\3",
        S + rf"attention_2\.{norm}\.(weight|bias)": layer + r"encoder_attn_layer_norm.\3",
        S + rf"mlp\.{norm}\.(weight|bias)": layer + r"final_layer_norm.\3",
        S + r"mlp\.up\.(weight|bias)": layer + r"fc1.\3",
        S + r"mlp\.down\.(weight|bias)": layer + r"fc2.\3",
    }


E = r"encoder\.(\d+)\."
WORDS = {"q": "query", "k": "key", "v": "value"}


def bert(root: str, head: str, transform: str) -> Table:
    """BERT's layout, post-norm. `head` holds the decoder's bias, `transform` the dense layer before it."""
    layer = root + r".encoder.layer.\1."
    return {
        r"vocab\.weight": f"{root}.embeddings.word_embeddings.weight",
        r"encoder\.text\.token_types\.weight": f"{root}.embeddings.token_type_embeddings.weight",
        r"encoder\.text\.learned\.weight": f"{root}.embeddings.position_embeddings.weight",
        r"encoder\.text\.then\.0\.(weight|bias)": rf"{root}.embeddings.LayerNorm.\1",
        r"encoder\.final_norm\.(weight|bias)": rf"{root}.encoder.LayerNorm.\1",
        r"head\.then\.0\.(weight|bias)": rf"{transform}.dense.\1",
        r"head\.then\.2\.(weight|bias)": rf"{transform}.{'layer_norm' if 'lm_head' in transform else 'LayerNorm'}.\1",
        r"head\.logits\.bias": f"{head}.bias",
        **{E + rf"attention\.{ours}\.(weight|bias)": layer + rf"attention.self.{w}.\2" for ours, w in WORDS.items()},
        E + r"attention\.o\.(weight|bias)": layer + r"attention.output.dense.\2",
        E + r"attention\.sum_norm\.(weight|bias)": layer + r"attention.output.LayerNorm.\2",
        E + r"attention\.pre_norm\.(weight|bias)": layer + r"attention.self_attn_layer_norm.\2",
        E + r"mlp\.up\.(weight|bias)": layer + r"intermediate.dense.\2",
        E + r"mlp\.down\.(weight|bias)": layer + r"output.dense.\2",
        E + r"mlp\.sum_norm\.(weight|bias)": layer + r"output.LayerNorm.\2",
        E + r"mlp\.pre_norm\.(weight|bias)": layer + r"LayerNorm.\2",
    }
