"""Fixtures of mixtures of experts with places: GShard's and ST-MoE's, alone and in whole models, and GLaM's.

    pip install torch==2.13.0 transformers==5.23.0 safetensors einops
    pip install --no-deps mixture-of-experts==0.2.3 st-moe-pytorch==0.1.8 CoLT5-attention beartype
    python -m tests.parity.frozen.make_mixtures

Fourteen tokens find seven places in each of four experts (factor 2), those named "tight" and GLaM's four (factor 0.9,
at least 4); the script says how many choices found none. ST-MoE draws its second choices by chance unless the threshold
is 0. GShard's policy "threshold" is not here: that package's code for it fails unless there are as many tokens as
experts, and then compares tokens with experts.

No whole model of GShard, ST-MoE or GLaM was published as code. Each is put together from the layers of one library and
the mixture of another.
"""

from functools import partial
from unittest import mock

import torch
from mixture_of_experts import MoE as GShard
from st_moe_pytorch import MoE as StMoe
from st_moe_pytorch.st_moe_pytorch import Expert
from torch import Tensor, nn
from torch.nn import functional
from transformers import T5Config, T5ForConditionalGeneration
from transformers.models.t5.modeling_t5 import T5LayerFF, T5LayerNorm, T5LayerSelfAttention

from tests.parity.frozen.drawing import drawn, ids, redraw, save, sinusoids

VOCAB, WIDTH, EXPERTS, TOKENS = 53, 16, 4, 14
HEADS, KEY, HIDDEN = 4, 6, 24
GSHARD = {"num_experts": EXPERTS, "hidden_dim": HIDDEN, "second_policy_eval": "all"}
ST_MOE = {"num_experts": EXPERTS, "threshold_eval": 0.0}


def t5(**more: object) -> T5Config:
    config = T5Config(
        d_model=WIDTH, d_kv=KEY, d_ff=HIDDEN, num_heads=HEADS, feed_forward_proj="gated-gelu", dropout_rate=0.0,
        relative_attention_num_buckets=8, relative_attention_max_distance=10, **more,
    )  # fmt: skip
    config._attn_implementation = "eager"
    return config


class Output(nn.Module):
    """A mixture's output without its losses."""

    def __init__(self, mixture: nn.Module) -> None:
        super().__init__()
        self.mixture = mixture

    def forward(self, x: Tensor) -> Tensor:
        return self.mixture(x)[0]


class Attention(nn.Module):
    """Stands for torch's module, which knows no heads that are wider or narrower together than the model."""

    batch_first = True

    def __init__(self) -> None:
        super().__init__()
        self.q, self.k, self.v = (nn.Linear(WIDTH, HEADS * KEY, bias=False) for _ in range(3))
        self.o = nn.Linear(HEADS * KEY, WIDTH, bias=False)

    def forward(
        self, q: Tensor, k: Tensor, v: Tensor, *, attn_mask: Tensor | None, **ignored: object
    ) -> tuple[Tensor, None]:
        q, k, v = (x.unflatten(-1, (HEADS, KEY)).transpose(1, 2) for x in (self.q(q), self.k(k), self.v(v)))
        y = functional.scaled_dot_product_attention(q, k, v, attn_mask=attn_mask)
        return self.o(y.transpose(1, 2).flatten(2)), None


class GShardModel(nn.Module):
    """GShard (arXiv 2006.16668, section 2): torch's transformer, the mixture in every other layer."""

    def __init__(self) -> None:
        super().__init__()
        sizes = {"d_model": WIDTH, "nhead": HEADS, "dim_feedforward": HIDDEN, "dropout": 0.0, "batch_first": True}
        encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(**sizes), 4, enable_nested_tensor=False)
        decoder = nn.TransformerDecoder(nn.TransformerDecoderLayer(**sizes), 4)
        for layer in decoder.layers:
            layer.multihead_attn = Attention()
        for layer in (*encoder.layers, *decoder.layers):
            layer.self_attn = Attention()
        for layer in (*encoder.layers[1::2], *decoder.layers[1::2]):
            layer.linear1 = Output(GShard(WIDTH, **GSHARD, capacity_factor_eval=0.9))
            layer.activation = layer.linear2 = nn.Identity()
        self.source = nn.Embedding(VOCAB, WIDTH)
        self.core = nn.Transformer(WIDTH, HEADS, batch_first=True, custom_encoder=encoder, custom_decoder=decoder)

    def forward(self, input_ids: Tensor, decoder_input_ids: Tensor) -> Tensor:
        source, target = (
            self.source(tokens) * WIDTH**0.5 + sinusoids(tokens.shape[1], WIDTH)
            for tokens in (input_ids, decoder_input_ids)
        )
        mask = nn.Transformer.generate_square_subsequent_mask(target.shape[1])
        return self.core(source, target, tgt_mask=mask) @ self.source.weight.T


class StMoeModel(T5ForConditionalGeneration):
    """ST-MoE (arXiv 2202.08906): T5's model, all feed-forward layers that package's, the mixture in every fourth one.

    The package has biases, and GELU by the error function; T5, which the published model is made of, has neither. Told
    not to tie its head, T5 leaves out the scale of a tied one only: the head is made here.
    """

    def __init__(self) -> None:
        super().__init__(t5(vocab_size=VOCAB, num_layers=5, tie_word_embeddings=False))
        self.lm_head = nn.Linear(WIDTH, VOCAB)
        for i, block in [*enumerate(self.encoder.block), *enumerate(self.decoder.block)]:
            block.layer[-1].DenseReluDense = (
                Output(StMoe(WIDTH, **ST_MOE, expert_hidden_mult=2, capacity_factor_eval=0.9))
                if i == 3
                else Expert(WIDTH, hidden_mult=2)
            )
        for module in self.modules():
            if isinstance(module, nn.Linear):
                module.bias = None

    def forward(self, **tokens: Tensor) -> Tensor:
        with mock.patch.object(functional, "gelu", partial(functional.gelu, approximate="tanh")):
            return super().forward(**tokens, use_cache=False).logits


class Glam(nn.Module):
    """GLaM (arXiv 2112.06905, section 3): T5's attention with a bias table of its own in every layer, and GShard's
    mixture in turns with T5's gated feed-forward layer."""

    def __init__(self) -> None:
        super().__init__()
        config = t5(is_decoder=True)
        self.tokens = nn.Embedding(VOCAB, WIDTH)
        self.attention = nn.ModuleList(T5LayerSelfAttention(config, True, layer_idx=i) for i in range(4))
        self.norm = nn.ModuleList(T5LayerNorm(WIDTH) for _ in range(2))
        self.moe = nn.ModuleList(
            GShard(WIDTH, activation=nn.GELU, **GSHARD, capacity_factor_eval=0.9) for _ in range(2)
        )
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
        model = redraw(GShard(WIDTH, **GSHARD, capacity_factor_eval=factor))
        print("dropped", dropped(model.gate, x), "of", 4 * TOKENS)
        save(f"gshard_{name}", model, {"x": x}, {"y": model(x)[0]})
    for name, top, factor in (("roomy", 2, 2.0), ("tight", 3, 0.9)):
        model = redraw(StMoe(WIDTH, **ST_MOE, gating_top_n=top, capacity_factor_eval=factor))
        print("dropped", dropped(model.gate, x), "of", 2 * top * TOKENS)
        save(f"st_moe_{name}", model, {"x": x}, {"y": model(x).outputs})
    tokens = {"input_ids": ids(VOCAB, 2, 17)}
    glam = redraw(Glam())
    save("glam", glam, tokens, {"logits": glam(tokens["input_ids"])})
    torch.backends.mha.set_fastpath_enabled(False)  # it would look for the tensors of torch's own attention
    tokens["decoder_input_ids"] = ids(VOCAB, 3, TOKENS)[1:]
    for name, model in (("gshard", redraw(GShardModel())), ("st_moe", redraw(StMoeModel()))):
        save(name, model, tokens, {"logits": model(**tokens)})


if __name__ == "__main__":
    main()
