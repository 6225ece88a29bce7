"""GLM-130B and ChatGLM-6B written out as published, small, and the zoo's specs of the same size.

GLM-130B's block (arXiv 2210.02414, section 2.1): DeepNorm LN(alpha·x + f(x)) with alpha = (2N)^(1/2), rotary positions,
a gated GELU. Its code, which the zoo's spec follows, puts the norms first and takes the residual from their outputs:
the same, each norm told one place later. ChatGLM-6B rotates half of a head by the place in the prompt and half by the
place in the answer.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu

from compiler.ir.program import Program
from compiler.lower.program import lower
from tests.parity.models import VOCAB, ids, redraw
from tests.zoo.renaming import Table, part, renamed
from tests.zoo.shrink import shrunk

WIDTH, HEADS, HIDDEN, LAYERS, LENGTH = 32, 4, 48, 2, 16
SIZES = {"vocab_size": VOCAB, "max_length": 64, "d_model": WIDTH, "n_heads": HEADS, "d_ff": HIDDEN}
TWO = {"decoder": [{"repeat": LAYERS, "of": ["main"]}]}
PREFIXES = (7, 4)  # of the two rows


def turned(x: Tensor, places: Tensor) -> Tensor:
    """x (B, H, S, D) rotated by places (B, S), the halves of D paired."""
    d = x.shape[-1]
    angle = places[:, None, :, None] * 10000.0 ** (-torch.arange(0, d, 2) / d)
    cos, sin = torch.cat([angle, angle], -1).cos(), torch.cat([angle, angle], -1).sin()
    left, right = x.chunk(2, -1)
    return x * cos + torch.cat([-right, left], -1) * sin


class Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.q, self.k, self.v, self.o = (nn.Linear(WIDTH, WIDTH) for _ in range(4))

    def forward(self, x: Tensor, seen: Tensor, *places: Tensor) -> Tensor:
        """places: one tensor (B, S) for each equal part of a head."""
        q, k, v = (f(x).unflatten(-1, (HEADS, -1)).transpose(1, 2) for f in (self.q, self.k, self.v))
        q, k = (
            torch.cat([turned(p, at) for p, at in zip(y.chunk(len(places), -1), places, strict=True)], -1)
            for y in (q, k)
        )
        scores = q @ k.mT / k.shape[-1] ** 0.5
        weights = scores.masked_fill(~seen[:, None], float("-inf")).softmax(-1)
        y: Tensor = self.o((weights @ v).transpose(1, 2).flatten(2))
        return y


class Glm(nn.Module):
    """gated: GLM-130B's feed-forward layer, tied head; else ChatGLM-6B's, a head of its own."""

    def __init__(self, gated: bool) -> None:
        super().__init__()
        self.gated = gated
        self.embed = nn.Embedding(VOCAB, WIDTH)
        self.norms = nn.ModuleList(nn.LayerNorm(WIDTH) for _ in range(2 * LAYERS + 1))
        self.attention = nn.ModuleList(Attention() for _ in range(LAYERS))
        self.up = nn.ModuleList(nn.Linear(WIDTH, HIDDEN * (1 + gated)) for _ in range(LAYERS))
        self.down = nn.ModuleList(nn.Linear(HIDDEN, WIDTH) for _ in range(LAYERS))
        self.head = nn.Linear(WIDTH, VOCAB, bias=False)
        if gated:
            self.head.weight = self.embed.weight
        redraw(self)

    def feed(self, i: int, x: Tensor) -> Tensor:
        y = self.up[i](x)
        if self.gated:
            gate, up = y.chunk(2, -1)
            return self.down[i](gelu(gate) * up)
        return self.down[i](gelu(y, approximate="tanh"))

    def forward(self, tokens: Tensor, seen: Tensor, *places: Tensor) -> Tensor:
        alpha = (2 * LAYERS) ** 0.5
        x = self.norms[0](self.embed(tokens))
        for i in range(LAYERS):
            x = self.norms[2 * i + 1](alpha * x + self.attention[i](x, seen, *places))
            x = self.norms[2 * i + 2](alpha * x + self.feed(i, x))
        logits: Tensor = self.head(x)
        return logits


def norm(of: int) -> Any:
    return lambda stored, m: stored[f"norms.{2 * int(m[1]) + of}.{m[2]}"]


TABLE: Table = {
    r"vocab\.weight|decoder\.text\.tokens\.weight": "embed.weight",
    r"head\.logits\.weight": "head.weight",
    r"decoder\.final_norm\.(weight|bias)": rf"norms.{2 * LAYERS}.\1",
    r"decoder\.(\d+)\.attention\.pre_norm\.(\w+)": norm(0),
    r"decoder\.(\d+)\.\w*mlp\.pre_norm\.(\w+)": norm(1),
    r"decoder\.(\d+)\.attention\.([qkvo])\.(\w+)": r"attention.\1.\2.\3",
    r"decoder\.(\d+)\.gated_mlp\.(gate|up)\.(weight|bias)": part(r"up.\1.\3"),
    r"decoder\.(\d+)\.mlp\.up\.(\w+)": r"up.\1.\2",
    r"decoder\.(\d+)\.\w*mlp\.down\.(\w+)": r"down.\1.\2",
}
NAMES = {"glm-130b": SIZES, "chatglm-6b": {**SIZES, "dims": 4, "offset": 4}}


def given(name: str) -> dict[str, Tensor]:
    """Tokens, marks of the prefix, and for ChatGLM both places: in the prompt, then in the answer."""
    slots = torch.arange(LENGTH)
    prefix = torch.stack([slots < length for length in PREFIXES]).long()
    inputs = {"input_ids": ids(2, LENGTH), "prefix": prefix}
    if name == "chatglm-6b":
        answer = torch.stack([(slots - length + 1).clamp(min=0) for length in PREFIXES])
        inputs["position_ids"] = torch.where(answer > 0, torch.tensor(PREFIXES)[:, None] - 2, slots)
        inputs["block_position_ids"] = answer
    return inputs


def built(name: str) -> tuple[Program, dict[str, Tensor], dict[str, Tensor], Tensor]:
    """Program, weights, inputs, and what the model as published gives."""
    theirs, inputs = Glm(name == "glm-130b").eval(), given(name)
    program = lower(shrunk(name, TWO, NAMES[name]))
    weights = renamed(program.parameter_paths(), dict(theirs.state_dict()), TABLE)
    slots = torch.arange(LENGTH)
    seen = (slots[None, :] <= slots[:, None]) | inputs["prefix"].bool()[:, None]
    places = [inputs[n] for n in ("position_ids", "block_position_ids") if n in inputs] or [slots.expand(2, -1)]
    with torch.no_grad():
        return program, weights, inputs, theirs(inputs["input_ids"], seen, *places)
