"""Fixtures of performer-pytorch 1.1.4: a whole model in both directions, and a causal one.

    pip install torch==2.13.0 einops safetensors setuptools
    pip install --no-deps performer-pytorch==1.1.4 local-attention==1.11.2 axial-positional-embedding==0.3.12 \
      hyper-connections torch-einops-utils
    python -m tests.parity.frozen.make_performer

The causal attention takes the greatest exponent of keys over the whole sequence, so that its outputs change with later
tokens ("sequence"). "running" is the same model whose attention is called for each prefix alone: what a causal form
means. The whole model called for each prefix alone would leak still: rows within a prefix see its end, and the next
layer reads them. Where its extension for CUDA is missing, the package takes its own sums in plain torch.
"""

import torch
from performer_pytorch import PerformerLM
from torch import Tensor, nn

from tests.parity.frozen.drawing import drawn, ids, redraw, save

VOCABULARY, LENGTH = 61, 15


def model_of(causal: bool) -> PerformerLM:
    model = redraw(
        PerformerLM(
            num_tokens=VOCABULARY, max_seq_len=16, dim=24, depth=2, heads=3, dim_head=8, nb_features=12, causal=causal,
            feature_redraw_interval=None, rotary_position_emb=False, ff_mult=2,
        )
    )  # fmt: skip
    for name, buffer in model.named_buffers():  # the projections are no parameters: they are drawn and saved as ours
        if name.endswith("projection_matrix"):
            buffer.copy_(drawn(name, *buffer.shape))
            model.register_parameter(name.replace(".", "/"), nn.Parameter(buffer.clone()))
    return model


class EachPrefixAlone(nn.Module):
    """The last row of an attention for every prefix."""

    def __init__(self, attention: nn.Module) -> None:
        super().__init__()
        self.attention = attention

    def forward(self, *qkv: Tensor) -> Tensor:
        ends = range(1, qkv[0].shape[2] + 1)
        return torch.cat([self.attention(*(x[:, :, :end] for x in qkv))[:, :, -1:] for end in ends], 2)


@torch.no_grad()
def main() -> None:
    tokens = ids(VOCABULARY, 2, LENGTH)
    model = model_of(causal=False)
    save("performer", model, {"input_ids": tokens}, {"logits": model(tokens)})
    model = model_of(causal=True)
    for attention, _ in model.performer.net.layers:
        attention.fn.to_k.weight.mul_(2)  # of long keys the maximum tells more: what is added beside it weighs then
    sequence = model(tokens)
    for attention, _ in model.performer.net.layers:
        attention.fn.fast_attention = EachPrefixAlone(attention.fn.fast_attention)
    save("performer_causal", model, {"input_ids": tokens}, {"sequence": sequence, "running": model(tokens)})


if __name__ == "__main__":
    main()
