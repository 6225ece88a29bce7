"""Compressed memory against compressive-transformer-pytorch, and the paper's form against its own steps written out."""

from math import prod
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from archspec.errors import InputError
from compiler.cost.report import cost
from compiler.cost.sites import sites
from compiler.cost.state import carried
from compiler.ir.program import Program
from compiler.ir.types import size
from compiler.lower.program import lower
from compiler.ops.attention.meaning import slots_in_view
from compiler.ops.attention.shape import visible_slots
from compiler.verify.interpreter import interpret
from tests.emit_torch.exact import emitted
from tests.emit_torch.packages import ids, spec, stepped
from tests.parity.drawn import weights_of
from tests.parity.emitted import emitted_gap
from tests.parity.targets import everywhere, frozen
from tests.zoo.renaming import L, Table, Target, renamed
from tests.zoo.shrink import DROP, shrunk

SIZES: dict[str, Any] = {
    "vocab_size": 61, "max_length": 64, "d_model": 32, "n_heads": 4, "d_ff": 128, "length": 8, "memory": 12,
    "segment": 8, "after": 12, "slots": 3, "rate": 4, "left": 22,
}  # fmt: skip


def half(which: int) -> Target:
    return lambda stored, match: stored[match.expand(ATTENTION + "fn.to_kv.weight")].chunk(2)[which]


ATTENTION, MLP = r"attn_layers.\1.fn.", r"ff_layers.\1.fn."
GRU = {"input": "ih", "hidden": "hh"}
PACKAGE: Table = {
    r"decoder\.text\.tokens\.weight": "token_emb.weight",
    r"head\.logits\.(weight|bias)": r"to_logits.1.\1",
    r"distances\.weight": "pos_emb",
    L + r"attention\.q\.weight": ATTENTION + "fn.to_q.weight",
    **{L + rf"attention\.{role}\.weight": half(i) for i, role in enumerate("kv")},
    L + r"attention\.o\.(weight|bias)": ATTENTION + r"fn.to_out.\2",
    L + r"attention\.compressed\.(weight|bias)": ATTENTION + r"fn.compress_mem_fn.conv.\2",
    L + r"attention\.pre_norm\.(weight|bias)": ATTENTION + r"norm.\2",
    L + r"mlp\.pre_norm\.(weight|bias)": MLP + r"norm.\2",
    L + r"mlp\.up\.(weight|bias)": MLP + r"fn.w1.\2",
    L + r"mlp\.down\.(weight|bias)": MLP + r"fn.w2.\2",
    **{
        rf"decoder\.(\d+)\.{ours}\.gru\.{side}_(weight|bias)": rf"{theirs}_layers.\1.gru.\2_{name}"
        for ours, theirs in (("attention", "attn"), ("mlp", "ff"))
        for side, name in GRU.items()
    },
}


TWO = {"decoder": [{"repeat": 2, "of": ["main"]}]}


@pytest.mark.parametrize(("name", "layers"), [("gru", 1), ("plain", 2)])
def test_package(name: str, layers: int, tmp_path: Path) -> None:
    """Memory of a segment and a half, slots dropped from the fourth segment on."""
    given = frozen(f"compressive_transformer_{name}")
    sizes = SIZES if name == "gru" else {**SIZES, "residual": DROP}
    program = lower(shrunk("compressive-transformer-gru", {"decoder": [{"repeat": layers, "of": ["main"]}]}, sizes))
    weights = renamed(program.parameter_paths(), given.weights, PACKAGE)
    everywhere(program, weights, given.inputs, given.outputs["logits"], tmp_path, runtimes=())


def waves(distance: Tensor, width: int) -> Tensor:
    angle = distance[..., None] * 10000.0 ** (-torch.arange(0, width, 2, dtype=torch.float64) / width)
    return torch.cat([angle.sin(), angle.cos()], -1)


def squeezed(rows: Tensor, kind: str, weights: dict[str, Tensor], rate: int) -> Tensor:
    if kind == "conv":
        return F.conv1d(rows.mT, weights["attention.compressed.weight"], weights["attention.compressed.bias"], rate).mT
    groups = rows.unflatten(1, (-1, rate))
    return groups.mean(2) if kind == "mean" else groups.amax(2)


def by_the_paper(weights: dict[str, Tensor], tokens: Tensor, kind: str) -> Tensor:
    """Algorithm 1 of arXiv 1911.05507 on Transformer-XL's layers: three queues for each layer, a segment at a time."""
    segment, after, slots, rate, d, heads = 8, 12, 3, 4, 32, 4
    memory, compressed = ([torch.zeros(len(tokens), 0, d).double()] * 2 for _ in range(2))
    logits = []
    for part in tokens.split(segment, 1):
        x = weights["vocab.weight"][part] * d**0.5
        for layer in range(2):
            own = {k.removeprefix(f"decoder.{layer}."): w for k, w in weights.items() if f"decoder.{layer}." in k}
            rows = torch.cat([compressed[layer], memory[layer], x], 1)
            n, total = x.shape[1], rows.shape[1]
            q, k, v = (
                (y @ own[f"attention.{role}.weight"].T).unflatten(-1, (heads, -1)).transpose(1, 2)
                for role, y in (("q", x), ("k", rows), ("v", rows))
            )
            distance = torch.arange(total - n, total)[:, None] - torch.arange(total)
            xl = "attention.relative_vectors"
            r = (waves(distance, d) @ own[f"{xl}.r.weight"].T).unflatten(-1, (heads, -1))  # (n, total, H, D)
            scores = (q + own[f"{xl}.u.weight"][:, None]) @ k.mT
            scores = scores + torch.einsum("bhid,ijhd->bhij", q + own[f"{xl}.v.weight"][:, None], r)
            shares = (scores * q.shape[-1] ** -0.5).masked_fill(distance < 0, float("-inf")).softmax(-1)
            y = (shares @ v).transpose(1, 2).flatten(2) @ own["attention.o.weight"].T
            queue = torch.cat([memory[layer], x], 1)
            old, memory[layer] = queue[:, :-after], queue[:, -after:]
            if old.shape[1] and n == segment:  # nothing reads what the last, shorter one leaves
                new = squeezed(old, kind, own, rate)
                compressed[layer] = torch.cat([compressed[layer], new], 1)[:, -slots:]
            h = F.layer_norm(x + y, (d,), own["attention.sum_norm.weight"], own["attention.sum_norm.bias"])
            up = torch.relu(h @ own["mlp.up.weight"].T + own["mlp.up.bias"])
            y = up @ own["mlp.down.weight"].T + own["mlp.down.bias"]
            x = F.layer_norm(h + y, (d,), own["mlp.sum_norm.weight"], own["mlp.sum_norm.bias"])
        logits.append(x @ weights["vocab.weight"].T + weights["head.logits.bias"])
    return torch.cat(logits, 1)


def program_of(**sizes: Any) -> tuple[Program, dict[str, Tensor]]:
    """The published system, small, with weights that matter."""
    more = {"d_head": 8, "d_ff": 48, **sizes}
    program = lower(shrunk("compressive-transformer-enwik8", TWO, SIZES | more))
    return program, weights_of(program)


@pytest.mark.parametrize("kind", ["conv", "mean", "max"])
def test_paper(kind: str, tmp_path: Path) -> None:
    keys = {"type": "compressed_past", "segment": 8, "after": 12, "slots": 3, "rate": 4, "map": kind}
    program, weights = program_of(extra_keys=[keys])
    tokens = ids(2, 43, vocabulary=61)
    expected = by_the_paper({k: w.double() for k, w in weights.items()}, tokens, kind)
    everywhere(program, weights, {"input_ids": tokens}, expected, tmp_path, runtimes=())


@torch.no_grad()
def test_steps_of_several_segments_and_padding(tmp_path: Path) -> None:
    """A step may cross segments, and be longer than the caches; padding is no token of a slot."""
    program, weights = program_of()
    tokens, mask = ids(2, 43, vocabulary=61), torch.ones(2, 43, dtype=torch.long)
    mask[0, :9] = 0
    wide = {k: w.double() for k, w in weights.items()}
    expected = next(iter(interpret(program, wide, {"input_ids": tokens, "attention_mask": mask}).values()))
    model = emitted(program, weights, tmp_path)
    for chunks in ((43,), (21, 22), (1, 33, 9), (10, 1, 1, 1, 30)):
        found = stepped(model, tokens, chunks, mask)
        torch.testing.assert_close(found[mask.bool()].double(), expected[mask.bool()], atol=1e-4, rtol=1e-4)


def test_state_is_as_declared_and_does_not_grow(tmp_path: Path) -> None:
    program, weights = program_of()
    model = emitted(program, weights, tmp_path)
    declared = 0
    for site in sites(program):
        for state in carried(site):
            declared += site.runs * prod(size(dim, {"B": 1, "T": state.limit or 0}) for dim in state.shape)
    for length in (64, 4096):
        assert sum(x.numel() for layer in model.new_state(1, length).caches for x in layer) == declared


@pytest.mark.parametrize("length", [27, 40])
def test_operations_are_those_of_the_package(length: int, tmp_path: Path) -> None:
    """Every matrix product of the forward, counted by torch."""
    found = shrunk("compressive-transformer-enwik8", TWO, SIZES | {"d_head": 8, "d_ff": 48})
    program = lower(found)
    model = emitted(program, weights_of(program), tmp_path, ())
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        model(ids(2, length, vocabulary=61))
    assert cost(found, context=length, batch=2).flops.prefill == counter.get_total_flops()


@pytest.mark.parametrize(("new", "total"), [(43, 43), (1, 30), (9, 41), (3, 3), (100, 1000)])
def test_visible_slots_are_counted(new: int, total: int) -> None:
    past = {"segment": 8, "after": 12, "slots": 3, "rate": 4}
    slots = torch.zeros(1, 1, -(-total // 4), 1)
    seen = slots_in_view(past, total, slots, torch.empty(0))[0, 0]
    assert visible_slots(past, new, total) == int(seen[total - new :].sum())


XL = {"type": "relative_vectors", "vectors": {"type": "sinusoid"}, "terms": ["q_r", "u_k", "v_r"], "projection": "own"}
TABLE = {"type": "clip", "left": 9, "right": 0}
LEARNED = {"type": "relative_vectors", "vectors": {"type": "table", "distance": TABLE}, "terms": ["q_r"]}
PAST = {"type": "compressed_past", "segment": 4, "after": 4, "slots": 2, "rate": 2}
OLDEST = {**PAST, "align": "oldest"}
FORMS: dict[str, dict[str, Any]] = {
    "groups": {"n_kv_heads": 2, "d_value": 6, "bias": ["q", "k", "v", "o"]},
    "norms": {"qk_norm": {"norm": "rms"}},
    "other keys": {"extra_keys": [{"type": "learned", "count": 2}, PAST, "sink"]},
    "no positions": {"position": []},
    "two terms": {"position": [XL, LEARNED]},
    "oldest": {"extra_keys": [OLDEST]},
    "each token a slot": {"extra_keys": [{**PAST, "rate": 1, "slots": 3}]},
    "scale 1": {"scale": 1},
}


@pytest.mark.parametrize("form", FORMS)
def test_forms(form: str, tmp_path: Path) -> None:
    mask = {"type": "and", "of": ["causal", {"type": "segment", "length": 4, "memory": 4}]}
    attention = {"n_kv_heads": 4, "mask": mask, "position": [XL], "extra_keys": [PAST], **FORMS[form]}
    assert emitted_gap(spec(attention=attention), tmp_path / "p", ids(2, 23)) < 2e-5


@pytest.mark.parametrize(
    ("sizes", "path"),
    [({"after": 10, "memory": 10}, "extra_keys/0/after"), ({"memory": 8}, "extra_keys/0"), ({"rate": 3}, "segment")],
)
def test_memory_and_mask_agree(sizes: dict[str, int], path: str) -> None:
    with pytest.raises(InputError) as error:
        shrunk("compressive-transformer-enwik8", TWO, SIZES | sizes)
    assert path in str(error.value)
