"""Fixtures of mixtures of experts with places: GShard's, ST-MoE's, and GLaM's composition.

    pip install torch==2.13.0 transformers==5.23.0 safetensors mixture-of-experts==0.2.3 st-moe-pytorch==0.1.8
    python -m tests.parity.frozen.make_mixtures

Fourteen tokens find seven places in each of four experts (factor 2), those named "tight" and GLaM's four (factor 0.9,
at least 4); the script says how many choices found none. ST-MoE draws its second choices by chance unless the threshold
is 0. GShard's policy "threshold" is not here: that package's code for it fails unless there are as many tokens as
experts, and then compares tokens with experts.
"""

import torch
from mixture_of_experts import MoE as GShard
from st_moe_pytorch import MoE as StMoe
from st_moe_pytorch import SparseMoEBlock
from torch import Tensor, nn
from transformers import T5Config
from transformers.models.t5.modeling_t5 import T5LayerFF, T5LayerNorm, T5LayerSelfAttention

from tests.parity.frozen.drawing import drawn, ids, redraw, save

VOCAB, WIDTH, EXPERTS, TOKENS = 53, 16, 4, 14


class Glam(nn.Module):
    """GLaM (arXiv 2112.06905, section 3; no code was published) from two libraries: T5's attention with a bias table of
    its own in every layer, and GShard's mixture in turns with T5's gated feed-forward layer."""

    def __init__(self) -> None:
        super().__init__()
        config = T5Config(
            d_model=WIDTH, d_kv=6, d_ff=24, num_heads=4, is_decoder=True, feed_forward_proj="gated-gelu",
            dropout_rate=0.0, relative_attention_num_buckets=8, relative_attention_max_distance=10,
        )  # fmt: skip
        config._attn_implementation = "eager"
        moe = {"num_experts": EXPERTS, "hidden_dim": 24, "second_policy_eval": "all", "capacity_factor_eval": 0.9}
        self.tokens = nn.Embedding(VOCAB, WIDTH)
        self.attention = nn.ModuleList(T5LayerSelfAttention(config, True, layer_idx=i) for i in range(4))
        self.norm = nn.ModuleList(T5LayerNorm(WIDTH) for _ in range(2))
        self.moe = nn.ModuleList(GShard(WIDTH, activation=nn.GELU, **moe) for _ in range(2))
        self.ff = nn.ModuleList(T5LayerFF(config) for _ in range(2))
        self.last = T5LayerNorm(WIDTH)

    def forward(self, tokens: Tensor) -> Tensor:
        x, n = self.tokens(tokens), tokens.shape[1]
        hidden = torch.full((n, n), torch.finfo(x.dtype).min).triu(1)[None, None]
        for i, attention in enumerate(self.attention):
            x = attention(x, attention_mask=hidden)[0]
            x = self.ff[i // 2](x) if i % 2 else x + self.moe[i // 2](self.norm[i // 2](x))[0]
        return self.last(x) @ self.tokens.weight.T


def dropped(gate: nn.Module, x: Tensor) -> int:
    """Choices that found no place."""
    return getattr(gate, "top_n", 2) * x.shape[0] * x.shape[1] - int((gate(x)[1] > 0).sum())


@torch.no_grad()
def main() -> None:
    x = drawn("x", 2, TOKENS, WIDTH)
    for name, factor in (("roomy", 2.0), ("tight", 0.9)):
        fields = {"num_experts": EXPERTS, "hidden_dim": 24, "second_policy_eval": "all", "capacity_factor_eval": factor}
        model = redraw(GShard(WIDTH, **fields))
        print("dropped", dropped(model.gate, x), "of", 4 * TOKENS)
        save(f"gshard_{name}", model, {"x": x}, {"y": model(x)[0]})
    for name, top, factor in (("roomy", 2, 2.0), ("tight", 3, 0.9)):
        model = redraw(StMoe(WIDTH, EXPERTS, gating_top_n=top, threshold_eval=0.0, capacity_factor_eval=factor))
        print("dropped", dropped(model.gate, x), "of", 2 * top * TOKENS)
        save(f"st_moe_{name}", model, {"x": x}, {"y": model(x).outputs})
    moe = StMoe(WIDTH, EXPERTS, gating_top_n=2, threshold_eval=0.0, capacity_factor_eval=0.9)
    block = redraw(SparseMoEBlock(moe, add_ff_before=True, add_ff_after=True))
    save("st_moe_block", block, {"x": x}, {"y": block(x).outputs})
    glam, tokens = redraw(Glam()), ids(VOCAB, 2, 17)
    save("glam", glam, {"input_ids": tokens}, {"logits": glam(tokens)})


if __name__ == "__main__":
    main()
