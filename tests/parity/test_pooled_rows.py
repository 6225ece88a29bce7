"""Attention over pooled rows, and between pooled and whole ones: positions, biases, marks and maps in plain torch,
against the reference meaning and both packages. A pooled row stands where the first of its rows does.
"""

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from archspec.errors import InputError
from archspec.spec import load_spec, resolve
from compiler.lower.program import lower
from compiler.verify.interpreter import interpret
from compiler.weights.init import init_weights
from tests.composition import emitted, exported
from tests.composition.check import Drawn, inputs

torch.set_num_threads(1)
HEADS, WIDTH, LENGTH = 4, 4, 7
SLOPES = torch.tensor([2.0 ** (-2 * (h + 1)) for h in range(HEADS)], dtype=torch.float64)
CLIP = {"type": "clip", "left": 4, "right": 3}
MARKS = {"type": "rows_input", "name": "marked"}
LATE = {"type": "and", "of": ["causal", {"type": "keys", "of": {"type": "first", "count": 2}}]}
# What stands beside equal lengths, and beside other ones too.
FORMS: dict[str, dict[str, Any]] = {
    "marks": {"mask": {"type": "or", "of": ["self", {"type": "keys", "of": MARKS}]}},
    "bias by a mask": {"position": [{"type": "bias_where", "mask": LATE, "add": 0.7}]},
    "own projections": {"own_projections": {"rows": {"type": "first", "count": 2}, "of": ["q", "v", "o"]}},
}
BETWEEN: dict[str, dict[str, Any]] = {
    "linear biases": {"position": ["alibi"]},
    "biases by distance": {"position": [{"type": "relative_bias", "distance": CLIP}]},
    "vectors by distance": {"position": [{"type": "relative_vectors", "vectors": {"type": "table", "distance": CLIP}}]},
    "temperature": {"position": [{"type": "temperature", "floor": 2, "scale": 0.5}]},
    "rotation": {"position": [{"type": "rope", "theta": 100}]},
    "a key map": {"key_map": {"type": "length_projection", "length": 16, "rank": 3, "shared": True}},
}


def document(fields: dict[str, Any], stride: int, keep_first: bool, source: str) -> dict[str, Any]:
    """One layer that keeps its rows, pools them and looks; its output are the pooled rows."""
    keep = {"read": "x", "write": "wide", "op": "identity", "residual": "replace"}
    pool = {"resample": {"type": "mean_pool", "stride": stride, "keep_first": keep_first}}
    look = {"op": {"type": "attention", "n_heads": HEADS, "source": source} | fields}
    stack = {"d_model": 16, "input": {"sum": ["tokens"]}, "streams": {"x": "text", "wide": "zero"},
             "blocks": {"main": [keep, pool, look]}, "layers": ["main"]}  # fmt: skip
    return {"archspec": 1, "name": "pooled", "vocab_size": 11, "max_length": 16, "stacks": {"decoder": stack}}


@pytest.mark.parametrize("kind", [{"type": "dynamic", "factor": 2}, {"type": "by_length", "short": [1], "long": [2]}])
def test_pooled_rows_do_not_tell_the_length_of_a_text(kind: dict[str, Any]) -> None:
    rope = {"type": "rope", "dims": 2, "scaling": kind | {"original_length": 4}}
    with pytest.raises(InputError, match=rf"rope scaling '{kind['type']}' over floor.* rows"):
        lower(resolve(load_spec(document({"position": [rope]}, 2, False, "self"))))


def groups(stride: int, keep_first: bool) -> list[list[int]]:
    """The rows of each group."""
    rows = [0] * (stride - 1) + list(range(LENGTH)) if keep_first else list(range(LENGTH))
    rows = rows[:LENGTH]
    return [rows[i : i + stride] for i in range(0, LENGTH, stride)]


def formula(op: dict[str, Any], p: dict[str, Tensor], given: dict[str, Tensor], stride: int, first: bool) -> Tensor:
    home, found = "decoder.0.attention", groups(stride, first)
    wide = p["decoder.text.tokens.weight"][given["input_ids"]]
    x = torch.stack([wide[:, rows].mean(1) for rows in found], 1)
    ids = torch.tensor([rows[0] for rows in found])
    # Distances count from one group's start to another's: a first row that is kept fills a group that ends with it.
    place = torch.arange(len(found)) * stride - (stride - 1 if first else 0)
    apart = op["source"] == "wide"
    source, k_ids, k_place = (wide, torch.arange(LENGTH), torch.arange(LENGTH)) if apart else (x, ids, place)

    def project(role: str, y: Tensor, rows: slice = slice(None)) -> Tensor:
        out = y @ p[f"{home}.{role}.weight"].T
        own = op.get("own_projections")
        if own and role in own["of"]:
            out[:, rows] = (y @ p[f"{home}.own.{role}.weight"].T)[:, rows]
        return out

    def by_head(y: Tensor) -> Tensor:
        return y.unflatten(-1, (HEADS, WIDTH)).transpose(1, 2)

    q = by_head(project("q", x, slice(0, 2)))
    keys = [source @ p[f"{home}.{role}.weight"].T for role in "kv"]
    if "key_map" in op:
        keys = [p[f"{home}.key_map.weight"][:, : source.shape[1]] @ y for y in keys]
    k, v = map(by_head, keys)
    term = op.get("position", [""])[0]
    kind = term if isinstance(term, str) else term["type"]
    if kind == "rope":
        q, k = turned(q, ids), turned(k, k_ids)
    if kind == "temperature":
        q = q * (1 + 0.5 * torch.log1p(((ids + 1) // 2).double()))[:, None]
    scores = q @ k.mT / math.sqrt(WIDTH)  # (B, H, S, T)
    row = (k_place[None, :] - place[:, None]).clamp(-4, 3) + 4
    if kind == "alibi":
        scores = scores - SLOPES[:, None, None] * (place[:, None] - k_place[None, :])
    if kind == "relative_bias":
        scores = scores + p[f"{home}.relative_bias.weight"][row].permute(2, 0, 1)
    if kind == "relative_vectors":
        table = p[f"{home}.relative_vectors.table.weight"][row]
        scores = scores + torch.einsum("bhsd,std->bhst", q, table) / math.sqrt(WIDTH)
    new = torch.arange(len(found))
    if kind == "bias_where":
        scores = scores + 0.7 * ((new[None, :] <= new[:, None]) & (new < 2)).double()
    if "mask" in op:
        marks = given["marked"][:, ids].bool()
        scores = scores.masked_fill(~(torch.eye(len(found)).bool() | marks[:, None, None, :]), float("-inf"))
    y = (torch.softmax(scores, -1) @ v).transpose(1, 2).flatten(2)
    if "own_projections" in op:
        others = (torch.softmax(scores, -1) @ by_head(source @ p[f"{home}.own.v.weight"].T)).transpose(1, 2).flatten(2)
        y[:, :2] = others[:, :2]
    return x + project("o", y, slice(0, 2))


def turned(x: Tensor, ids: Tensor) -> Tensor:
    half = WIDTH // 2
    angle = ids.double()[:, None] * 100.0 ** (-torch.arange(half).double() / half)
    a, b = x[..., :half], x[..., half:]
    return torch.cat([a * angle.cos() - b * angle.sin(), b * angle.cos() + a * angle.sin()], -1)


@pytest.mark.parametrize(("stride", "keep_first"), [(2, False), (3, True)])
@pytest.mark.parametrize(
    ("form", "source"), [*((f, "self") for f in FORMS | BETWEEN), *((f, "wide") for f in BETWEEN)], ids=str
)
def test_attention_over_pooled_rows(form: str, source: str, stride: int, keep_first: bool, tmp_path: Path) -> None:
    spec = document((FORMS | BETWEEN)[form], stride, keep_first, source)
    program = lower(resolve(load_spec(spec)))
    params = init_weights({path: p.shape for path, p in program.parameter_paths().items()}, 0, torch.float64)
    given = {n: torch.ones_like(x) if program.optional.get(n) == "ones" else x for n, x in inputs(program).items()}
    (meant,) = interpret(program, params, given).values()
    op = spec["stacks"]["decoder"]["blocks"]["main"][2]["op"]
    assert (meant - formula(op, params, given, stride, keep_first)).abs().max() < 1e-12
    case = Drawn(program, params, given)
    assert emitted.wrong(case, tmp_path / "torch") is None
    assert exported.wrong(case, tmp_path / "onnx") is None
