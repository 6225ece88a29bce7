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
from compiler.ops.linear_attention.meaning import core
from compiler.ops.linear_attention.torch_helpers import attend_linearly, attend_linearly_shares
from tests.parity.targets import everywhere, frozen, near
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
# The reference norms keys only; q is normed here too, so its fixture must do the same.
SPECS["fla_delta_rule"] = with_op(decay="none", rule="delta", qk_norm=L2)
SPECS["fla_gated_delta_rule"] = with_op(rule="delta", qk_norm=L2)


@pytest.mark.parametrize("name", SPECS)
def test_operators_behind_projections(name: str, tmp_path: Path) -> None:
    given = frozen(name)
    program = lower(resolve(load_spec(SPECS[name])))
    weights = renamed(program.parameter_paths(), given.weights, OWN)
    everywhere(program, weights, {"features": given.inputs["h"]}, given.outputs["projected"], tmp_path)
