"""Fixtures of stripedhyena 0.2.2: a whole model, and one of its convolutions alone with padding on the left.

    pip install torch==2.13.0 einops safetensors
    pip install --no-deps stripedhyena==0.2.2
    python -m tests.parity.frozen.make_stripedhyena

Its attention is flash-attn's MHA, which needs a GPU: `Heads` stands in for it, with its parameters' names.
"""

from typing import Any

import stripedhyena.model as reference
import torch
from stripedhyena.utils import dotdict
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from tests.parity.frozen.drawing import drawn, ids, redraw, save

VOCABULARY, LENGTH = 61, 18
CONFIG: dict[str, Any] = {
    "vocab_size": VOCABULARY, "hidden_size": 24, "num_attention_heads": 4, "num_filters": 24, "state_size": 4,
    "hyena_filter_groups": 1, "short_filter_length": 3, "short_filter_bias": True, "eps": 1e-2, "proj_groups": 2,
    "qkv_proj_bias": False, "mha_out_proj_bias": False, "rotary_emb_base": 500000, "inner_mlp_size": 40,
    "tie_embeddings": False, "final_norm": True, "column_split_hyena": True, "use_flashfft": False,
    "use_flash_attn": False, "use_flash_rmsnorm": False, "model_parallel_size": 1, "params_dtype": torch.float32,
    "attn_block_dtype": torch.float32, "hyena_block_dtype": torch.float32, "mlp_dtype": torch.float32,
}  # fmt: skip


class Heads(nn.Module):
    """Causal attention with rotation of halves and shared keys: x (B, S, d) -> (B, S, d)."""

    def __init__(
        self, embed_dim: int, num_heads: int, num_heads_kv: int, rotary_emb_dim: int, rotary_emb_base: float, **_: Any
    ) -> None:
        super().__init__()
        self.sizes, self.d_head = (num_heads, num_heads_kv, num_heads_kv), embed_dim // num_heads
        self.Wqkv = nn.Linear(embed_dim, self.d_head * sum(self.sizes), bias=False)
        self.out_proj = nn.Linear(embed_dim, embed_dim, bias=False)
        self.inverse = rotary_emb_base ** (-torch.arange(0, rotary_emb_dim, 2) / rotary_emb_dim)
        self.rotary_emb = nn.Module()  # its owner registers this table as a buffer
        object.__setattr__(self.rotary_emb, "inv_freq", self.inverse)
        object.__setattr__(self.rotary_emb, "register_buffer", lambda *_: None)

    def turned(self, x: Tensor) -> Tensor:
        angle = torch.arange(x.shape[2])[:, None] * self.inverse
        cos, sin = angle.cos().repeat(1, 2), angle.sin().repeat(1, 2)
        first, second = x.chunk(2, -1)
        return x * cos + torch.cat((-second, first), -1) * sin

    def forward(self, x: Tensor, **_: Any) -> Tensor:
        parts = self.Wqkv(x).split([self.d_head * n for n in self.sizes], -1)
        q, k, v = (part.unflatten(-1, (-1, self.d_head)).transpose(1, 2) for part in parts)
        y = scaled_dot_product_attention(self.turned(q), self.turned(k), v, is_causal=True, enable_gqa=True)
        return self.out_proj(y.transpose(1, 2).flatten(2))


def model(hyena: list[int], attention: list[int]) -> nn.Module:
    layers = {"num_layers": len(hyena) + len(attention), "hyena_layer_idxs": hyena, "attn_layer_idxs": attention}
    made = redraw(reference.StripedHyena(dotdict(CONFIG | layers)))
    for name, value in made.named_parameters():
        if name.endswith("poles"):  # inside the unit circle, as trained ones are
            angle, radius = drawn(f"{name} angle", *value.shape[:-1]), drawn(f"{name} radius", *value.shape[:-1])
            value.copy_((0.5 + 0.49 * radius.sigmoid())[..., None] * torch.stack((angle.cos(), angle.sin()), -1))
    return made


@torch.no_grad()
def main() -> None:
    reference.MHA = Heads
    tokens = ids(VOCABULARY, 2, LENGTH)
    whole = model([0, 2], [1])
    save("stripedhyena", whole, {"input_ids": tokens}, {"logits": whole(tokens)[0]})
    mask = torch.ones(2, LENGTH, dtype=torch.long)
    mask[1, :5] = 0
    alone = model([0], [])
    save(
        "stripedhyena_padded", alone, {"input_ids": tokens, "attention_mask": mask},
        {"logits": alone(tokens, padding_mask=mask.float())[0]},
    )  # fmt: skip


if __name__ == "__main__":
    main()
