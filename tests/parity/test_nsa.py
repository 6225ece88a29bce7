"""Native sparse attention against native-sparse-attention-pytorch 0.2.3 (frozen), and its torch package."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from archspec import zoo
from archspec.spec import Resolved, load_spec, resolve
from compiler.cost.report import cost
from compiler.ir.program import Program
from compiler.lower.program import lower
from tests.emit_torch.packages import spec as written
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


def table(heads: int, kv_heads: int, layer: int = 0, home: str = "") -> r.Table:
    """Where the package keeps our tensors: one projection for q, k, v; gates by head, then by kind of key."""

    def projected(stored: r.Stored, match: Any) -> Tensor:
        rows = stored[f"{home}to_qkv.weight"].unflatten(0, (heads + 2 * kv_heads, -1))
        start = {"q": 0, "k": heads, "v": heads + kv_heads}[match[1]]
        return rows[start : start + (heads if match[1] == "q" else kv_heads)].flatten(0, 1)

    def gate(stored: r.Stored, match: Any) -> Tensor:
        kinds = stored[f"{home}to_strategy_combine.0.{match[2]}"].unflatten(0, (heads, 3))
        return kinds[:, ("compressed", "selected", "near").index(match[1])]

    def learned(stored: r.Stored, match: Any) -> Tensor:
        return stored[f"{home}compress_mem_kv"]["kv".index(match[1])]

    at = rf"decoder\.{layer}\.compress_select_attention\."
    return {
        at + r"pre_norm\.weight": f"{home}norm.weight",
        at + r"([qkv])\.weight": projected,
        at + r"o\.weight": f"{home}combine_heads.weight",
        at + r"compress\.([kv])\.positions\.weight": home + r"\1_intrablock_positions",
        at + r"compress\.([kv])\.up\.(weight|bias)": home + r"\1_compress.1.\2",
        at + r"compress\.([kv])\.down\.(weight|bias)": home + r"\1_compress.3.\2",
        at + r"learned\.([kv])\.weight": learned,
        at + r"gate\.(\w+)\.(weight|bias)": gate,
    }


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
    everywhere(program, weights, inputs, given.outputs[str(length)], tmp_path)


def test_decoder_is_the_packages(tmp_path: Path) -> None:
    """Two layers with feed-forwards between tokens and logits."""
    op = zoo.read("nsa-module")["stacks"]["decoder"]["blocks"]["main"][0]
    norm, mlp = op["pre_norm"], {"type": "mlp", "d_ff": 64, "activation": "gelu", "bias": ["up", "down"]}
    blocks = {"main": [{"pre_norm": norm, "op": op["op"]}, {"pre_norm": norm, "op": mlp}]}
    document = written(blocks=blocks, stack={"d_model": 32, "final_norm": norm}, vocab_size=37)
    program, given = lower(resolve(load_spec(document))), frozen("nsa_decoder")
    names: r.Table = {
        r"decoder\.text\.tokens\.weight": "token_emb.weight",
        r"decoder\.final_norm\.weight": "norm.weight",
        r"head\.logits\.weight": "to_logits.weight",
        r.L + r"mlp\.pre_norm\.weight": r"layers.\1.1.0.weight",
        r.L + r"mlp\.up\.(weight|bias)": r"layers.\1.1.1.\2",
        r.L + r"mlp\.down\.(weight|bias)": r"layers.\1.1.3.\2",
        **table(4, 2, 0, "layers.0.0."),
        **table(4, 2, 1, "layers.1.0."),
    }
    weights = {path: x.contiguous() for path, x in r.renamed(program.parameter_paths(), given.weights, names).items()}
    everywhere(program, weights, {"input_ids": given.inputs["tokens"]}, given.outputs["logits"], tmp_path)


@pytest.mark.parametrize("name", NAMES)
def test_cost_is_the_packages(name: str) -> None:
    """All parameters but the four rotary frequencies, which are no weights here. Matrix products to the last one: less
    the near keys, which the package reads in blocks; more its sum of three kinds, which it writes as a product, and the
    queries that it adds to fill the last block."""
    given, length = frozen(name), 32
    report = cost(spec(name), context=length, batch=2)
    assert report.parameters.total == report.parameters.stored == sum(x.numel() for x in given.weights.values())
    (program, _), (window, block, count) = case(name), {"nsa": (4, 4, 2), "nsa_by_head": (3, 8, 1),
                                                        "nsa_equal": (2, 3, 3)}[name]  # fmt: skip
    heads, d_head = 4, 8 if name == "nsa" else 6
    pair, rows = 4 * 2 * heads * d_head, -(-length // window) * window
    theirs = pair * (rows * 2 * window + (-length % block) * (count + 1) * block) + 2 * 2 * heads * length * 3 * d_head
    assert int(given.outputs["flops"]) == report.flops.prefill - pair * length**2 + theirs
    # Visible pairs, counted query by query.
    attrs = {node.op: node.attrs for node in program.blocks["decoder"].nodes}
    stride, learned = attrs["block_attention"]["stride"], attrs["block_attention"]["learned"]
    dense = length * (length // stride + learned + (count + 1) * block + length)
    exact = sum(i // stride + learned + min(count, i // block) * block + i % block + 1 + min(i, window) + 1
                for i in range(length))  # fmt: skip
    assert report.flops.prefill - report.flops.prefill_exact == pair * (dense - exact)
    step = cost(spec(name), context=length).flops.decode_exact
    assert step == cost(spec(name), context=length).flops.prefill_exact - _prefill(name, length - 1)


def _prefill(name: str, length: int) -> int:
    return cost(spec(name), context=length).flops.prefill_exact
