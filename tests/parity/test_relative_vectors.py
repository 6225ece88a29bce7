"""Vectors by distance: against the sums of the papers, written pair by pair, and the torch package against them."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from compiler import ops
from compiler.lower.program import lower
from compiler.ops.context import Context
from tests.emit_torch.packages import spec
from tests.parity.emitted import emitted_gap
from tests.parity.models import ids
from tests.zoo.shrink import shrunk

torch.set_num_threads(1)
H, D, W, S, T = 3, 4, 10, 5, 7
SINUSOID = {"type": "sinusoid"}
SHAW = {"type": "table", "distance": {"type": "clip", "left": 3, "right": 2}}
XL = {"type": "relative_vectors", "vectors": SINUSOID, "terms": ["q_r", "u_k", "v_r"], "projection": "own"}


def drawn(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape)), dtype=torch.float64)


def wave(distance: int) -> Tensor:
    """Transformer-XL's r: sines, then cosines, of distance · 10000^(-2i/W)."""
    angle = distance * 10000.0 ** (-torch.arange(0, W, 2, dtype=torch.float64) / W)
    return torch.cat([angle.sin(), angle.cos()])


@pytest.mark.parametrize("clamp", [None, 3])
def test_transformer_xl_terms(clamp: int | None) -> None:
    """Terms b and d of section 3.3: q_i·W r(i-j) + v·W r(i-j)."""
    q, k, r, v = drawn(2, H, S, D), drawn(2, H, T, D), drawn(H * D, W), drawn(H, D)
    attrs = {"vectors": {**SINUSOID, "clamp": clamp}, "terms": ["q_r", "v_r"], "width": W}
    (found,) = ops.meaning("relative_scores").run([q, k], {"r": r, "v": v}, attrs, Context())
    for i in range(S):
        for j in range(T):
            distance = i + T - S - j
            distance = distance if clamp is None else max(-clamp, min(clamp, distance))
            vector = (r @ wave(distance)).view(H, D)
            torch.testing.assert_close(found[:, :, i, j], ((q[:, :, i] + v) * vector).sum(-1), atol=1e-12, rtol=0)


@pytest.mark.parametrize("per_head", [False, True])
def test_tables_of_distances(per_head: bool) -> None:
    """Shaw's q·a(j-i), and the key's side that BERT's relative_key_query adds."""
    q, k = drawn(2, 4, T, D), drawn(2, 2, T, D)
    table = drawn(4, 6, D) if per_head else drawn(6, D)
    attrs = {"vectors": {**SHAW, "per_head": per_head}, "terms": ["q_r", "k_r"], "width": W}
    (found,) = ops.meaning("relative_scores").run([q, k], {"table": table}, attrs, Context())
    for h in range(4):
        own = table[h] if per_head else table
        for i in range(T):
            for j in range(T):
                vector = own[max(-3, min(2, j - i)) + 3]
                expected = (q[:, h, i] + k[:, h // 2, j]) @ vector
                torch.testing.assert_close(found[:, h, i, j], expected, atol=1e-12, rtol=0)


FORMS: dict[str, dict[str, Any]] = {
    "transformer-xl": {"position": [XL]},
    "in a window": {"position": [XL], "mask": {"type": "window", "behind": 4}},
    "segments": {"position": [XL], "mask": {"type": "segment", "length": 3, "memory": 3}},
    "interleaved, clamped": {"position": [{**XL, "vectors": {**SINUSOID, "layout": "interleaved", "clamp": 4}}]},
    "only v": {"position": [{**XL, "terms": ["v_r"]}]},
    "shaw": {"position": [{"type": "relative_vectors", "vectors": SHAW}]},
    "shaw by head": {"position": [{"type": "relative_vectors", "vectors": {**SHAW, "per_head": True}}]},
    "both sides": {
        "position": [{"type": "relative_vectors", "vectors": SHAW, "terms": ["q_r", "k_r"]}],
        "mask": "full",
    },
    "dilated by head": {
        "position": [XL],
        "mask": {"type": "by_head", "of": [{"type": "window", "behind": 3, "dilation": d} for d in (2, 2, 1, 1)]},
    },
}


@pytest.mark.parametrize("form", FORMS)
def test_package_means_what_the_spec_means(form: str, tmp_path: Path) -> None:
    assert emitted_gap(spec(attention=FORMS[form]), tmp_path / "p", ids(2, 13)) < 2e-5


@pytest.mark.parametrize("name", ["transformer-xl-enwik8", "longformer-enwik8", "bert-base-relative"])
def test_lowered(name: str) -> None:
    stack, layer = ("encoder", "main") if "bert" in name else ("decoder", "far" if "long" in name else "main")
    assert lower(shrunk(name, {stack: [layer]}, {})).parameter_paths()
