"""Fixtures of fla-core 0.6.0's naive operators, each behind plain projections of one input.

    pip install torch==2.13.0 safetensors einops
    pip install --no-deps fla-core==0.6.0
    python -m tests.parity.frozen.make_fla

The operators' files are loaded alone: their package wants Triton. Every fixture has the input h (B, T, 16), the
projections q, k, v, o and what stands beside them, the operator's own inputs, and its output in each of its forms.
"""

import importlib.metadata
import importlib.util
from collections.abc import Callable
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import elu, logsigmoid, normalize, silu

from tests.parity.frozen.drawing import drawn, ids, redraw, save

B, T, WIDTH, HEADS, KEY, VALUE = 2, 16, 16, 2, 8, 12
Forms = dict[str, Callable[..., Any]]


def naive(operator: str) -> ModuleType:
    """The file `naive.py` of an operator."""
    for file in importlib.metadata.files("fla-core") or ():
        if str(file).replace("\\", "/").endswith(f"fla/ops/{operator}/naive.py"):
            spec = importlib.util.spec_from_file_location(operator, str(file.locate()))
            assert spec is not None and spec.loader is not None
            module = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(module)
            return module
    raise SystemExit(f"fla-core has no {operator}/naive.py")


class Projections(nn.Module):
    """q, k, v and o, and one more for each name of `more`."""

    def __init__(self, **more: int) -> None:
        super().__init__()
        widths = {"q": HEADS * KEY, "k": HEADS * KEY, "v": HEADS * VALUE, **more}
        for name, width in widths.items():
            self.add_module(name, nn.Linear(WIDTH, width, bias=False))
        self.add_module("o", nn.Linear(HEADS * VALUE, WIDTH, bias=False))
        redraw(self)

    def heads(self, h: Tensor) -> dict[str, Tensor]:
        """(B, T, H, width) for q, k, v; (B, T, width) for others."""
        found = {name: layer(h) for name, layer in self.named_children() if name != "o"}
        return {name: x.unflatten(-1, (HEADS, -1)) if name in "qkv" else x for name, x in found.items()}


@torch.no_grad()
def fixture(
    name: str, projections: Projections, given: Callable[[dict[str, Tensor]], dict[str, Tensor]], forms: Forms
) -> None:
    """given: from the projected heads to the operator's inputs. forms: name -> the operator; the first is compared."""
    h = drawn("h", B, T, WIDTH)
    inputs = given(projections.heads(h))
    outputs: dict[str, Tensor] = {}
    for form, operator in forms.items():
        found = operator(**inputs)
        outputs[form] = found[0] if isinstance(found, tuple) else found
    first = next(iter(outputs.values()))
    outputs["projected"] = projections.get_submodule("o")(first.flatten(-2))
    save(f"fla_{name}", projections, {"h": h, **inputs}, outputs)


def normed(x: dict[str, Tensor]) -> dict[str, Tensor]:
    """What the delta rules take: q and k of length 1, strengths between 0 and 1."""
    return {"q": normalize(x["q"], dim=-1), "k": normalize(x["k"], dim=-1), "v": x["v"], "beta": x["beta"].sigmoid()}


def head_first(operator: Callable[..., Any]) -> Callable[..., Tensor]:
    """Takes and gives (B, T, H, width) where the operator has the heads first."""

    def turned(**inputs: Tensor) -> Tensor:
        found = operator(**{name: x.transpose(1, 2) for name, x in inputs.items()})
        return (found[0] if isinstance(found, tuple) else found).transpose(1, 2)

    return turned


class Layer(nn.Module):
    """fla's GatedLinearAttention around its naive operator, and a gated MLP, each behind an RMS norm.

    Read from flash-linear-attention's layers/gla.py: decays from a product of two matrices, the second with a bias;
    the heads' norm, times silu(g), before o.
    """

    def __init__(self, operator: Callable[..., Any]) -> None:
        super().__init__()
        self.operator, keys, values = operator, HEADS * KEY, HEADS * VALUE
        self.attn_norm, self.mlp_norm = nn.RMSNorm(WIDTH, 1e-6), nn.RMSNorm(WIDTH, 1e-6)
        self.q, self.k = nn.Linear(WIDTH, keys, False), nn.Linear(WIDTH, keys, False)
        self.v, self.g, self.o = (
            nn.Linear(WIDTH, values, False),
            nn.Linear(WIDTH, values, False),
            nn.Linear(values, WIDTH, False),
        )
        self.gk_down, self.gk_up = nn.Linear(WIDTH, 4, False), nn.Linear(4, keys)
        self.g_norm = nn.RMSNorm(VALUE, 1e-6)
        self.gate, self.up, self.down = (
            nn.Linear(WIDTH, 24, False),
            nn.Linear(WIDTH, 24, False),
            nn.Linear(24, WIDTH, False),
        )

    def forward(self, x: Tensor) -> Tensor:
        h = self.attn_norm(x)
        q, k, v = (layer(h).unflatten(-1, (HEADS, -1)) for layer in (self.q, self.k, self.v))
        gk = logsigmoid(self.gk_up(self.gk_down(h))).unflatten(-1, (HEADS, -1)) / 16
        y = self.g_norm(self.operator(q, k, v, gk)[0]).flatten(-2)
        x = x + self.o(y * silu(self.g(h)))
        h = self.mlp_norm(x)
        return x + self.down(silu(self.gate(h)) * self.up(h))


@torch.no_grad()
def language_model(operator: Callable[..., Any]) -> None:
    layers = [Layer(operator) for _ in range(2)]
    model = nn.Sequential(nn.Embedding(61, WIDTH), *layers, nn.RMSNorm(WIDTH, 1e-6), nn.Linear(WIDTH, 61, False))
    tokens = ids(61, 2, 18)
    save("fla_gla_model", redraw(model), {"tokens": tokens}, {"logits": model(tokens)})


def main() -> None:
    gla, simple, linear, retention = (naive(n) for n in ("gla", "simple_gla", "linear_attn", "retention"))
    fixture(
        "gla", Projections(decay=HEADS * KEY),
        lambda x: {n: x[n] for n in "qkv"} | {"gk": logsigmoid(x["decay"].unflatten(-1, (HEADS, -1))) / 16},
        {"recurrent": gla.naive_recurrent_gla},
    )  # fmt: skip
    fixture(
        "simple_gla", Projections(decay=HEADS),
        lambda x: {n: x[n] for n in "qkv"} | {"g": logsigmoid(x["decay"])},
        {
            "recurrent": simple.naive_recurrent_simple_gla,
            "parallel": simple.naive_parallel_simple_gla,
            "chunks_of_4": lambda **x: simple.naive_chunk_simple_gla(**x, chunk_size=4),
            "chunks_of_7": lambda **x: simple.naive_chunk_simple_gla(**x, chunk_size=7),
        },
    )  # fmt: skip
    fixture(
        "linear_attn", Projections(),
        lambda x: {"q": elu(x["q"]) + 1, "k": elu(x["k"]) + 1, "v": x["v"]},
        {
            "normalised": lambda **x: linear.naive_recurrent_linear_attn(**x, normalize=True),
            "plain": linear.naive_recurrent_linear_attn,
        },
    )  # fmt: skip
    fixture(
        "retention", Projections(), lambda x: {n: x[n] for n in "qkv"},
        {"parallel": head_first(retention.naive_retention)},
    )  # fmt: skip
    delta, gated = naive("delta_rule"), naive("gated_delta_rule")
    fixture(
        "delta_rule", Projections(beta=HEADS),
        normed,
        {"recurrent": head_first(delta.delta_rule_recurrence)},
    )  # fmt: skip
    fixture(
        "gated_delta_rule", Projections(beta=HEADS, decay=HEADS),
        lambda x: normed(x) | {"g": logsigmoid(x["decay"])},
        {"recurrent": gated.naive_recurrent_gated_delta_rule},
    )  # fmt: skip
    language_model(gla.naive_recurrent_gla)


if __name__ == "__main__":
    main()
