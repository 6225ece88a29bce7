"""Fixtures of torchscale 0.3.0: its retention network in all three forms, and DeepNorm's encoder, decoder and both.

    pip install torch==2.13.0 safetensors numpy einops
    pip install --no-deps torchscale==0.3.0
    python -m tests.parity.frozen.make_torchscale

torchscale imports timm and fairscale, which only training uses: empty modules stand in for them.
"""

import torch
from torch import nn

from tests.parity.frozen.drawing import ids, redraw, save, stand_in

stand_in("timm.models.layers", drop_path=lambda x, *_: x)
stand_in("fairscale.nn", checkpoint_wrapper=lambda m, *_: m, wrap=lambda m, *_: m)

from torchscale.architecture.config import DecoderConfig, EncoderConfig, EncoderDecoderConfig, RetNetConfig  # noqa: E402
from torchscale.architecture.decoder import Decoder  # noqa: E402
from torchscale.architecture.encoder import Encoder  # noqa: E402
from torchscale.architecture.encoder_decoder import EncoderDecoder  # noqa: E402
from torchscale.architecture.retnet import RetNetDecoder  # noqa: E402

VOCABULARY, TOKENS = 61, ids(61, 2, 18)


@torch.no_grad()
def retention() -> None:
    """Values twice as wide as keys; logits of the parallel form, of chunks of six tokens, of one token at a time."""
    config = RetNetConfig(
        decoder_embed_dim=32, decoder_value_embed_dim=64, decoder_retention_heads=4, decoder_ffn_embed_dim=48,
        decoder_layers=2, vocab_size=VOCABULARY, recurrent_chunk_size=6, share_decoder_input_output_embed=True,
    )  # fmt: skip
    model = redraw(RetNetDecoder(config, embed_tokens=nn.Embedding(VOCABULARY, 32)))
    outputs = {"parallel": model(TOKENS)[0]}
    model.chunkwise_recurrent = True
    outputs["chunkwise"] = model(TOKENS)[0]
    model.chunkwise_recurrent = False
    state: dict[str, object] = {}
    steps = [model(TOKENS[:, : t + 1], incremental_state=state)[0][:, -1:] for t in range(TOKENS.shape[1])]
    outputs["recurrent"] = torch.cat(steps, 1)
    save("torchscale_retnet", model, {"tokens": TOKENS}, outputs)


@torch.no_grad()
def deepnorm() -> None:
    sizes = {"embed_dim": 32, "attention_heads": 4, "ffn_embed_dim": 48, "layers": 3}
    fields = {"deepnorm": True, "subln": False, "vocab_size": VOCABULARY}
    own = {f"encoder_{name}": value for name, value in sizes.items()}
    config = EncoderConfig(**own, **fields, no_output_layer=True, rel_pos_buckets=8, max_rel_pos=16)
    encoder = redraw(Encoder(config, embed_tokens=nn.Embedding(VOCABULARY, 32)))
    padding = torch.zeros_like(TOKENS, dtype=torch.bool)
    padding[1, -5:] = True
    outputs = {
        "hidden": encoder(TOKENS)["encoder_out"],
        "padded": encoder(TOKENS, encoder_padding_mask=padding)["encoder_out"],
    }
    save("torchscale_encoder", encoder, {"tokens": TOKENS, "mask": 1 - padding.long()}, outputs)
    own = {f"decoder_{name}": value for name, value in sizes.items()}
    config = DecoderConfig(**own, **fields, xpos_rel_pos=True, xpos_scale_base=16)
    decoder = redraw(Decoder(config, embed_tokens=nn.Embedding(VOCABULARY, 32)))
    state: dict[str, object] = {"is_first_step": False}
    steps = [decoder(TOKENS[:, : t + 1], incremental_state=state)[0][:, -1:] for t in range(TOKENS.shape[1])]
    outputs = {"logits": decoder(TOKENS)[0], "steps": torch.cat(steps, 1)}
    save("torchscale_decoder", decoder, {"tokens": TOKENS}, outputs)


@torch.no_grad()
def translation() -> None:
    """Encoder and decoder of different depths, whose alphas have formulas of their own."""
    config = EncoderDecoderConfig(
        deepnorm=True, subln=False, vocab_size=VOCABULARY, activation_fn="relu", no_scale_embedding=False,
        **{f"{side}_{name}": value for side, layers in (("encoder", 2), ("decoder", 3)) for name, value in
           {"embed_dim": 16, "attention_heads": 4, "ffn_embed_dim": 24, "layers": layers}.items()},
    )  # fmt: skip
    table = nn.Embedding(VOCABULARY, 16)
    model = redraw(EncoderDecoder(config, encoder_embed_tokens=table, decoder_embed_tokens=table))
    padding = torch.zeros_like(TOKENS, dtype=torch.bool)
    padding[1, -5:] = True
    target = TOKENS.flip(0)[:, :11]
    logits = model.decoder(target, encoder_out=model.encoder(TOKENS, encoder_padding_mask=padding))[0]
    given = {"tokens": TOKENS, "mask": 1 - padding.long(), "target": target}
    save("torchscale_translation", model, given, {"logits": logits}, drop="encoder.output_projection")


if __name__ == "__main__":
    retention()
    deepnorm()
    translation()
