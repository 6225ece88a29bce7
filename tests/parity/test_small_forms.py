"""Norms, positions, residuals and streams that few models use: against other implementations, and the torch package
against the reference meaning."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from compiler import ops
from compiler.lower.program import lower
from compiler.ops.context import Context
from tests.emit_torch.packages import spec
from tests.parity.emitted import emitted_gap
from tests.parity.models import ids
from tests.zoo.shrink import shrunk

torch.set_num_threads(1)
XPOS = [{"type": "rope", "theta": 100, "pairing": "interleaved", "decay_base": 16}]
FIRST_KEYS = {"type": "and", "of": ["causal", {"type": "keys", "of": {"type": "first", "count": 2}}]}
MLP = {"pre_norm": "rms", "op": {"type": "mlp", "d_ff": 24, "activation": "gelu", "inner_norm": "gain"}}
ATTENTION = {"pre_norm": "l2", "op": {"type": "attention", "n_heads": 4, "mask": "causal"}}
BY_LENGTH: dict[str, Any] = {
    "type": "rope", "dims": 4, "offset": 2, "pairing": "interleaved", "decay_base": 16,
    "scaling": {"type": "by_length", "short": [1, 1.5], "long": [2, 4], "original_length": 8},
}  # fmt: skip


def blocks(*steps: dict[str, Any]) -> dict[str, Any]:
    return {"main": list(steps)}


FORMS: dict[str, dict[str, Any]] = {
    "xpos": spec(attention={"position": XPOS}),
    "xpos on half of each head": spec(
        attention={"d_head": 8, "position": [{"type": "rope", "dims": 4, "offset": 4, "decay_base": 16}]}
    ),
    "bias where": spec(attention={"position": [{"type": "bias_where", "mask": FIRST_KEYS, "add": 1.5}]}),
    "temperature": spec(attention={"position": ["rope", {"type": "temperature", "floor": 3, "scale": 0.5}]}),
    "dynamic scaling within the original length": spec(
        attention={"position": [{"type": "rope", "scaling": {"type": "dynamic", "factor": 2}}]}
    ),
    "dynamic scaling beyond it": spec(
        attention={
            "d_head": 8,
            "position": [{"type": "rope", "scaling": {"type": "dynamic", "factor": 2, "original_length": 8}}],
        }
    ),
    "factors by length": spec(attention={"d_head": 8, "position": [BY_LENGTH]}),
    "factors by length, short ones": spec(
        attention={"d_head": 8, "position": [BY_LENGTH | {"scaling": BY_LENGTH["scaling"] | {"original_length": 13}}]}
    ),
    "gain for each head": spec(attention={"qk_norm": {"norm": {"type": "layer", "bias": True}, "scope": "heads"}}),
    "norm over the width after rotation": spec(
        attention={"n_kv_heads": 4, "qk_norm": {"norm": "rms", "scope": "width", "at": "after_position"}}
    ),
    "gain and l2": spec(blocks=blocks(ATTENTION, MLP)),
    "l2 outside": spec(blocks=blocks({**ATTENTION, "pre_norm": {"type": "l2", "eps_at": "outside"}}, MLP)),
    "gru": spec(blocks=blocks({**ATTENTION, "residual": "gru"}, MLP)),
    "a stream that starts as zero": spec(
        blocks=blocks({**ATTENTION, "write": "late"}, {"read": "late", "op": "identity"}, MLP),
        stack={"streams": {"x": "text", "late": "zero"}},
    ),
}


@pytest.mark.parametrize("form", FORMS)
def test_package_means_what_the_spec_means(form: str, tmp_path: Path) -> None:
    assert emitted_gap(FORMS[form], tmp_path / "p", ids(2, 13)) < 2e-5


def test_gru_is_a_gru_cell() -> None:
    torch.manual_seed(0)
    cell = nn.GRUCell(6, 6).double()
    roles = ("input_weight", "hidden_weight", "input_bias", "hidden_bias")
    params = dict(zip(roles, cell.parameters(), strict=True))
    r, y = torch.randn(2, 5, 6, dtype=torch.float64), torch.randn(2, 5, 6, dtype=torch.float64)
    (found,) = ops.meaning("gru").run([r, y], params, {}, Context())
    torch.testing.assert_close(found.flatten(0, 1), cell(y.flatten(0, 1), r.flatten(0, 1)), atol=1e-12, rtol=0)


def test_l2_norm_is_torchs() -> None:
    x = torch.randn(2, 3, 8, dtype=torch.float64)
    fields = {"eps": 1e-6 / 8, "gain": "none"}
    (found,) = ops.meaning("rms_norm").run([x], {}, fields, Context())
    torch.testing.assert_close(found * 8**-0.5, nn.functional.normalize(x, dim=-1), atol=1e-5, rtol=0)


def test_xpos_scores_fall_with_distance_as_published() -> None:
    """q_i·k_j carries zeta^((i - j)/base), zeta as in torchscale's XPOS: (arange(0, d, 2) + 0.4 d) / 1.4 d."""
    d, n, base = 8, 7, 5
    q, k = torch.randn(2, 1, 1, n, d, dtype=torch.float64)
    at = torch.arange(n)[None]
    fields = {"base": base, "dims": d, "pairing": "interleaved"}
    run = ops.meaning("position_decay").run
    (turned_q,), (turned_k,) = (run([x, at], {}, {**fields, "sign": sign}, Context()) for x, sign in ((q, 1), (k, -1)))
    zeta = ((torch.arange(0, d, 2).double() + 0.4 * d) / (1.4 * d)).repeat_interleave(2)
    distance = (at[0][:, None] - at[0][None, :])[..., None].double()
    expected = (q[0, 0][:, None] * k[0, 0][None] * zeta ** (distance / base)).sum(-1)
    torch.testing.assert_close((turned_q @ turned_k.mT)[0, 0], expected, atol=1e-12, rtol=0)


@pytest.mark.parametrize("name", ["deepnorm-decoder", "bigbird-roberta-base-eval"])
def test_lowered(name: str) -> None:
    stack = "decoder" if "decoder" in name else "encoder"
    assert lower(shrunk(name, {stack: ["main"]}, {})).parameter_paths()
