"""Native sparse attention against native-sparse-attention-pytorch 0.2.3 (frozen), and its torch package."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from archspec import zoo
from archspec.spec import Resolved, load_spec, resolve
from compiler.ir.program import Program
from compiler.lower.program import lower
from tests.parity.targets import everywhere, frozen
from tests.zoo import renaming as r

torch.set_num_threads(1)
LENGTHS = (32, 21, 3)
NAMES = ("nsa", "nsa_by_head", "nsa_equal")


def spec(name: str) -> Resolved:
    """The zoo's module, or one of the other two of `make_nsa`."""
    document = zoo.read("nsa-module")
    branch = document["stacks"]["decoder"]["blocks"]["main"][0]
    changes: dict[str, Any] = {
        "nsa": {},
        "nsa_by_head": {
            "d_head": 6, "compress": {"block": 4, "hidden": 24, "learned_keys": 2},
            "select": {"block": 8, "count": 1}, "window": {"type": "window", "behind": 4},
        },
        "nsa_equal": {
            "n_kv_heads": 4, "d_head": 6, "compress": {"block": 6, "stride": 3, "learned_keys": 1},
            "select": {"block": 3, "count": 3, "share": "kv_group"}, "window": {"type": "window", "behind": 3},
        },
    }[name]  # fmt: skip
    branch["op"] |= changes
    if changes:
        stack = document["stacks"]["decoder"]
        stack["d_model"] = stack["input"]["sum"][0]["width"] = 24
    return resolve(load_spec(document))


def table(heads: int, kv_heads: int) -> r.Table:
    """Where the package keeps our tensors: one projection for q, k, v; gates by head, then by kind of key."""

    def projected(stored: r.Stored, match: Any) -> Tensor:
        rows = stored["to_qkv.weight"].unflatten(0, (heads + 2 * kv_heads, -1))
        start = {"q": 0, "k": heads, "v": heads + kv_heads}[match[1]]
        return rows[start : start + (heads if match[1] == "q" else kv_heads)].flatten(0, 1)

    def gate(stored: r.Stored, match: Any) -> Tensor:
        kinds = stored[f"to_strategy_combine.0.{match[2]}"].unflatten(0, (heads, 3))
        return kinds[:, ("compressed", "selected", "near").index(match[1])]

    at = r"decoder\.0\.compress_select_attention\."
    layers = {"up": "1", "down": "3"}
    return {
        at + r"pre_norm\.weight": "norm.weight",
        at + r"([qkv])\.weight": projected,
        at + r"o\.weight": "combine_heads.weight",
        at + r"compress\.([kv])\.positions\.weight": r"\1_intrablock_positions",
        at + r"learned\.([kv])\.weight": lambda stored, match: stored["compress_mem_kv"]["kv".index(match[1])],
        at + r"gate\.(\w+)\.(weight|bias)": gate,
        **{at + rf"compress\.([kv])\.{ours}\.(weight|bias)": rf"\1_compress.{theirs}.\2"
           for ours, theirs in layers.items()},
    }  # fmt: skip


def case(name: str) -> tuple[Program, dict[str, Tensor]]:
    program = lower(spec(name))
    found = r.renamed(program.parameter_paths(), frozen(name).weights, table(4, 4 if name == "nsa_equal" else 2))
    return program, {path: weight.contiguous() for path, weight in found.items()}


@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize("name", NAMES)
def test_is_the_package(name: str, length: int, tmp_path: Path) -> None:
    program, weights = case(name)
    given = frozen(name)
    inputs = {"inp": given.inputs["x"][:, :length].contiguous()}
    everywhere(program, weights, inputs, given.outputs[str(length)], tmp_path, runtimes=())
