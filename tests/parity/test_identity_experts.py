"""A mixture whose router chooses identities beside experts, against transformers' LongCat-Flash, weights copied."""

from typing import Any

import torch
from transformers import LongcatFlashConfig
from transformers.models.longcat_flash.modeling_longcat_flash import LongcatFlashMoE

from archspec.spec import load_spec, resolve
from compiler.cost.report import cost
from compiler.lower.program import lower
from compiler.verify.interpreter import interpret
from tests.parity.models import redraw

WIDTH, EXPERTS, IDENTITIES, INNER, TOP_K = 16, 4, 2, 12, 3


def spec() -> dict[str, Any]:
    moe = {
        "type": "moe", "n_experts": EXPERTS, "expert": {"type": "gated_mlp", "d_ff": INNER, "activation": "silu"},
        "router": {"top_k": TOP_K, "select_bias": True, "scale": 6, "identity_experts": IDENTITIES},
    }  # fmt: skip
    return {
        "archspec": 1, "name": "t", "output": "s", "max_length": 16,
        "stacks": {"s": {"d_model": WIDTH, "input": {"sum": [{"type": "features", "name": "x"}]},
                         "blocks": {"a": [{"op": moe, "residual": "replace"}]}, "layers": ["a"]}},
    }  # fmt: skip


@torch.no_grad()
def test_longcat_flash() -> None:
    config = LongcatFlashConfig(
        hidden_size=WIDTH, n_routed_experts=EXPERTS, zero_expert_num=IDENTITIES, moe_topk=TOP_K,
        expert_ffn_hidden_size=INNER, routed_scaling_factor=6.0, num_layers=1,
    )  # fmt: skip
    module: Any = redraw(LongcatFlashMoE(config)).double()
    program = lower(resolve(load_spec(spec())))
    gate, up = module.experts.gate_up_proj[:EXPERTS].chunk(2, 1)
    params = {
        "s.0.moe.router.weight": module.router.classifier.weight,
        "s.0.moe.router.select_bias": module.router.e_score_correction_bias.double(),
        "s.0.moe.experts.gate.weight": gate,
        "s.0.moe.experts.up.weight": up,
        "s.0.moe.experts.down.weight": module.experts.down_proj,
    }
    x = torch.randn(2, 9, WIDTH, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    mask = torch.ones(2, 9, dtype=torch.bool)
    chosen = module.router(x)[2]
    assert (chosen >= EXPERTS).any() and (chosen < EXPERTS).any()
    (got,) = interpret(program, params, {"x": x, "attention_mask": mask}).values()
    torch.testing.assert_close(got, module(x), rtol=1e-5, atol=1e-5)  # the reference routes in float32


def test_a_token_uses_its_share_of_the_experts() -> None:
    counted = cost(resolve(load_spec(spec()))).parameters
    matrices = 3 * INNER * WIDTH
    router = (EXPERTS + IDENTITIES) * WIDTH + EXPERTS + IDENTITIES
    assert counted.total == EXPERTS * matrices + router
    assert counted.active == TOP_K * EXPERTS // (EXPERTS + IDENTITIES) * matrices + router
