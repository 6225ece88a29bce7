"""Linear attention and its gated and delta forms against fla's naive operators, the selective scan against mambapy.

The operators' fixtures start at q, k, v: they are compared with the core alone, and behind projections with the spec.
"""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from archspec import zoo
from archspec.spec import load_spec, resolve
from compiler.lower.program import lower
from compiler.ops.context import Context
from compiler.ops.linear_attention.meaning import core
from compiler.ops.linear_attention.torch_helpers import attend_linearly, attend_linearly_shares
from compiler.ops.ssd.meaning import run as ssd
from tests.parity.targets import all_parameters, everywhere, frozen, near
from tests.zoo.renaming import L, Table, flat, renamed
from tests.zoo.shrink import shrunk

TWO = [{"repeat": 2, "of": ["main"]}]
OWN: Table = {r"decoder\.0\.linear_attention\.(\w+)\.weight": r"\1.weight"}
L2 = {"norm": {"type": "l2"}, "scope": "head", "at": "before_position"}
SPECS: dict[str, dict[str, Any]] = {
    "fla_retention": zoo.read("retention-module"),
    "fla_simple_gla": zoo.read("simple-gla-module"),
    "fla_linear_attn": zoo.read("linear-attention-module"),
}


def with_op(**fields: Any) -> dict[str, Any]:
    """The zoo's gated operator with other fields."""
    document = zoo.read("simple-gla-module")
    document["stacks"]["decoder"]["blocks"]["main"][0]["op"] |= fields
    return document


SPECS["fla_gla"] = with_op(decay={"type": "gated", "per": "channel", "divide": 16})
SPECS["fla_delta_rule"] = with_op(decay="none", rule="delta", qk_norm=L2)
SPECS["fla_gated_delta_rule"] = with_op(rule="delta", qk_norm=L2)


@pytest.mark.parametrize("name", SPECS)
def test_operators_behind_projections(name: str, tmp_path: Path) -> None:
    given = frozen(name)
    program = lower(resolve(load_spec(SPECS[name])))
    weights = renamed(program.parameter_paths(), given.weights, OWN)
    all_parameters(program, given.weights)
    everywhere(program, weights, {"features": given.inputs["h"]}, given.outputs["projected"], tmp_path)


def head_first(given: dict[str, Tensor]) -> tuple[Tensor, Tensor, Tensor, Tensor | None, Tensor | None]:
    """q, k, v (B, H, T, width), log decays (B, H, T, 1 or width) and strengths (B, H, T, 1), each in float64."""
    q, k, v = (given[name].transpose(1, 2).double() for name in "qkv")
    gate = given.get("gk", given.get("g"))
    more = [None if x is None else x.unflatten(2, (2, -1)).transpose(1, 2) for x in (gate, given.get("beta"))]
    if gate is not None and gate.dim() == 4:
        more[0] = gate.transpose(1, 2)
    if "rates" in given:
        more[0] = given["rates"].log()[None, :, None, None].expand(*q.shape[:3], 1)
    return q, k, v, *(None if x is None else x.double() for x in more)


@pytest.mark.parametrize("name", SPECS)
def test_cores(name: str) -> None:
    """From q, k, v and gates as the references take them: the recurrence, and chunks of any size, in every form."""
    given = frozen(name)
    decayed = {"rates": 1 - 2.0 ** -torch.arange(5.0, 7.0)} if name == "fla_retention" else {}
    q, k, v, gate, beta = head_first(given.inputs | decayed)
    key_sum = 1e-10 if name == "fla_linear_attn" else None
    outputs = {form: y.transpose(1, 2) for form, y in given.outputs.items() if form != "projected"}
    plain = outputs.pop("plain", None)
    if plain is not None:
        near(core(q, k, v, 8**-0.5, None, gate, beta, None, False), plain)
    ours = core(q, k, v, 1.0 if key_sum else 8**-0.5, None, gate, beta, key_sum, False)
    for form in outputs.values():
        near(ours, form)
    for size in (1, 3, 7, 16):
        state, keys, parts = torch.zeros(2, 2, 8, 12).double(), torch.zeros(2, 2, 8).double(), []
        for at in (slice(i, i + size) for i in range(0, 16, size)):
            q_, k_, v_, *more = (None if x is None else x[:, :, at] for x in (q, k, v, gate, beta))
            parts.append(
                attend_linearly(q_, k_, v_, state, 8**-0.5, *more)
                if key_sum is None
                else attend_linearly_shares(q_, k_, v_, state, keys, 1.0, key_sum, *more)
            )
        torch.testing.assert_close(torch.cat(parts, 2), ours, atol=1e-12, rtol=1e-12)


def test_ssd_is_linear_attention_with_a_decay_by_head() -> None:
    """Mamba-2's scan where dt·a is the log decay, dt·x the value, b the key and c the query (arXiv 2405.21060)."""
    given = frozen("fla_simple_gla")
    q, k, v, g = (given.inputs[name].double() for name in "qkvg")
    dt = -g  # a is -1
    inputs = [(v / dt[..., None]).flatten(2), torch.log(torch.expm1(dt)), k.flatten(2), q.flatten(2)]
    params = {"dt_bias": torch.zeros(2), "a_log": torch.zeros(2), "d": torch.zeros(2)}
    attrs = {"n_heads": 2, "n_groups": 2, "d_head": 12, "d_state": 8}
    (y,) = ssd(inputs, {role: p.double() for role, p in params.items()}, attrs, Context({}))
    for form in ("recurrent", "parallel", "chunks_of_4", "chunks_of_7"):
        near(y.unflatten(-1, (2, -1)) * 8**-0.5, given.outputs[form])


GLA: Table = {
    r"decoder\.text\.tokens\.weight": "0.weight",
    r"decoder\.final_norm\.weight": "3.weight",
    r"head\.logits\.weight": "4.weight",
} | {
    rf"decoder\.{i}\.{ours}": rf"{i + 1}.{theirs}"
    for i in range(2)
    for ours, theirs in {
        r"linear_attention\.pre_norm\.weight": "attn_norm.weight",
        r"linear_attention\.([qkvo])\.weight": r"\1.weight",
        r"linear_attention\.gate\.weight": "g.weight",
        r"linear_attention\.decay\.(down|up)\.(weight|bias)": r"gk_\1.\2",
        r"linear_attention\.inner_norm\.weight": "g_norm.weight",
        r"gated_mlp\.pre_norm\.weight": "mlp_norm.weight",
        r"gated_mlp\.(gate|up|down)\.weight": r"\1.weight",
    }.items()
}


def test_gated_linear_attention_whole(tmp_path: Path) -> None:
    """The layers of the published model around the reference's operator, as `make_fla.py` builds them."""
    given = frozen("fla_gla_model")
    sizes = {"vocab_size": 61, "max_length": 64, "d_model": 16, "n_heads": 2, "d_key": 8, "d_value": 12, "rank": 4,
             "d_ff": 24}  # fmt: skip
    program = lower(shrunk("gla-1.3b", {"decoder": TWO}, sizes))
    weights = renamed(program.parameter_paths(), given.weights, GLA)
    all_parameters(program, given.weights)
    everywhere(program, weights, {"input_ids": given.inputs["tokens"]}, given.outputs["logits"], tmp_path)


MAMBAPY: Table = {
    r"decoder\.text\.tokens\.weight": "embedding.weight",
    r"decoder\.final_norm\.weight": "norm_f.weight",
    r"head\.logits\.weight": "lm_head.weight",
    L + r"selective_scan\.pre_norm\.weight": r"mamba.layers.\1.norm.weight",
    L + r"selective_scan\.a_log": r"mamba.layers.\1.mixer.A_log",
    L + r"selective_scan\.d": r"mamba.layers.\1.mixer.D",
    L + r"selective_scan\.conv\.weight": flat(r"mamba.layers.\1.mixer.conv1d.weight"),
    L + r"selective_scan\.conv\.bias": r"mamba.layers.\1.mixer.conv1d.bias",
    L + r"selective_scan\.(in|x|dt|out)\.(weight|bias)": r"mamba.layers.\1.mixer.\2_proj.\3",
}


def test_mambapy(tmp_path: Path) -> None:
    """Another parallel scan, and its own steps; its table and head are two."""
    given = frozen("mambapy")
    sizes = {"vocab_size": 61, "max_length": 64, "d_model": 32, "d_inner": 64, "d_state": 8, "dt_rank": 4,
             "input": {"sum": ["tokens"]}, "logits": "linear"}  # fmt: skip
    program = lower(shrunk("mamba-130m", {"decoder": TWO}, sizes))
    weights = renamed(program.parameter_paths(), given.weights, MAMBAPY)
    all_parameters(program, given.weights)
    inputs = {"input_ids": given.inputs["tokens"]}
    everywhere(program, weights, inputs, given.outputs["logits"], tmp_path)
    near(given.outputs["steps"], given.outputs["logits"])
