"""Fixtures of performer-pytorch 1.1.4: a whole bidirectional model, and its causal attention behind projections.

    pip install torch==2.13.0 einops safetensors setuptools
    pip install --no-deps performer-pytorch==1.1.4 local-attention==1.11.2 axial-positional-embedding==0.3.12 \
      hyper-connections torch-einops-utils
    python -m tests.parity.frozen.make_performer

The causal attention takes the greatest exponent of keys over the whole sequence, so that its outputs change with later
tokens ("sequence"). "running" is the last row of the same function for each prefix alone: what a causal form means.
"""

import torch
from performer_pytorch import FastAttention, PerformerLM
from performer_pytorch.performer_pytorch import causal_linear_attention_noncuda
from torch import Tensor, nn

from tests.parity.frozen.drawing import drawn, ids, redraw, save

VOCABULARY, LENGTH = 61, 15
WIDTH, HEADS, KEY, FEATURES = 16, 2, 8, 12


@torch.no_grad()
def whole() -> None:
    model = redraw(
        PerformerLM(
            num_tokens=VOCABULARY, max_seq_len=16, dim=24, depth=2, heads=3, dim_head=8, nb_features=FEATURES,
            feature_redraw_interval=None, rotary_position_emb=False, ff_mult=2,
        )
    )  # fmt: skip
    for name, buffer in model.named_buffers():  # the projections are no parameters: they are drawn and saved as ours
        if name.endswith("projection_matrix"):
            buffer.copy_(drawn(name, *buffer.shape))
            model.register_parameter(name.replace(".", "/"), nn.Parameter(buffer.clone()))
    tokens = ids(VOCABULARY, 2, LENGTH)
    save("performer", model, {"input_ids": tokens}, {"logits": model(tokens)})


class Behind(nn.Module):
    """FastAttention behind projections of one input."""

    def __init__(self) -> None:
        super().__init__()
        for name in "qkv":
            self.add_module(name, nn.Linear(WIDTH, HEADS * KEY, bias=False))
        self.o = nn.Linear(HEADS * KEY, WIDTH, bias=False)
        self.projection = nn.Parameter(torch.empty(FEATURES, KEY))
        for name, weight in self.named_parameters():
            weight.data = drawn(name, *weight.shape) * (1 if name == "projection" else WIDTH**-0.5)

    def forward(self, h: Tensor) -> Tensor:
        attention = FastAttention(KEY, nb_features=FEATURES, causal=True)
        attention.causal_linear_fn = causal_linear_attention_noncuda
        attention.projection_matrix.copy_(self.projection)
        q, k, v = (self.get_submodule(n)(h).unflatten(-1, (HEADS, KEY)).transpose(1, 2) for n in "qkv")
        return self.o(attention(q, k, v).transpose(1, 2).flatten(2))


@torch.no_grad()
def causal() -> None:
    model = Behind()
    # Tokens that grow: the maximum changes again and again.
    h = drawn("h", 2, LENGTH, WIDTH) * torch.linspace(0.3, 2, LENGTH)[:, None]
    prefixes = torch.cat([model(h[:, : t + 1])[:, -1:] for t in range(LENGTH)], 1)
    save("performer_causal", model, {"h": h}, {"sequence": model(h), "running": prefixes})


if __name__ == "__main__":
    whole()
    causal()
