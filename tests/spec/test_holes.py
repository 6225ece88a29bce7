import copy
import random
from typing import Any

import pytest

from archspec.errors import InputError
from archspec.spec import Hole, Space, SpecError, load_space, load_spec, resolve, spec_hash
from tests.spec.documents import ATTENTION, MLP, STACK, tiny

GATED = {"type": "gated_mlp", "d_ff": 64, "activation": "silu"}
PLAIN = {"type": "mlp", "d_ff": {"$choice": [64, "=4*d_model"], "as": "ff"}, "activation": "gelu"}


def space(changes: dict[str, Any]) -> Space:
    return load_space(tiny(changes), "space.json")


def named(found: Space) -> dict[str, Hole]:
    return {hole.name: hole for hole in found.holes()}


def test_kinds_of_holes() -> None:
    found = named(space({
        f"{ATTENTION}/n_kv_heads": {"$choice": [1, 2, 4], "as": "kv"},
        f"{STACK}/d_model": {"$int": [32, 100, 32], "as": "width"},
        f"{ATTENTION}/position": [{"type": "rope", "theta": {"$float": [1e4, 1e6], "log": True}}],
    }))  # fmt: skip
    assert found["kv"].values() == (1, 2, 4)
    assert found["width"].values() == (32, 64, 96)
    theta = found[f"/{ATTENTION}/position/0/theta"]  # without a name the place is the name
    assert (theta.kind, theta.low, theta.high, theta.log, theta.values()) == ("float", 1e4, 1e6, True, None)


def test_fill() -> None:
    found = space({f"{ATTENTION}/n_kv_heads": {"$choice": [1, 2, 4], "as": "kv"}})
    document = found.fill({"kv": 4})
    assert document == tiny({f"{ATTENTION}/n_kv_heads": 4})
    with pytest.raises(SpecError, match="no value for the hole 'kv'"):
        found.fill({})
    with pytest.raises(SpecError, match="found 3; allowed: 1, 2, 4"):
        found.fill({"kv": 3})


def test_a_hole_inside_an_option_exists_when_it_is_taken() -> None:
    found = space({MLP: {"$choice": [GATED, PLAIN], "as": "kind"}})
    assert named(found)["ff"].when == (("kind", ("mlp",)),)
    assert found.draw(Hole.first)[1] == {"kind": "gated_mlp"}
    document = found.fill({"kind": "mlp", "ff": "=4*d_model"})
    assert document == tiny({MLP: {**PLAIN, "d_ff": "=4*d_model"}})


def test_ref_and_if() -> None:
    found = space({
        f"{STACK}/d_model": {"$choice": [32, 64], "as": "width"},
        f"{MLP}/d_ff": {"$ref": "width"},
        f"{MLP}/activation": {
            "$if": {"hole": "width", "in": [64]}, "then": {"$choice": ["relu", "gelu"], "as": "act"}, "else": "silu",
        },
    })  # fmt: skip
    assert found.draw(Hole.first)[1] == {"width": 32}
    assert found.fill({"width": 32}) == tiny({f"{MLP}/d_ff": 32})
    wide = found.fill({"width": 64, "act": "gelu"})
    assert wide == tiny({f"{STACK}/d_model": 64, f"{MLP}/d_ff": 64, f"{MLP}/activation": "gelu"})


def test_a_ref_may_stand_before_its_hole() -> None:
    found = space({f"{STACK}/d_model": {"$ref": "ff"}, f"{MLP}/d_ff": {"$choice": [32, 64], "as": "ff"}})
    assert found.fill({"ff": 64})["stacks"]["decoder"]["d_model"] == 64


LAYOUT = {"of": ["main", "other"], "layers": 6}


def layout(form: str, values: dict[str, Any], layers: Any = 6) -> list[Any]:
    body = {**LAYOUT, "form": form, "layers": layers}
    changes = {
        f"{STACK}/blocks/other": {"like": "main", "set": {"/0/op/mask": "full"}},
        f"{STACK}/layers": {"$layout": body, "as": "l"},
    }
    document = space(changes).fill(values)
    found = resolve(load_spec(document)).stacks["decoder"]
    masks = [found.bodies[layer.body][0].op.mask.type for layer in found.layers]  # type: ignore[union-attr]
    return ["main" if mask == "causal" else "other" for mask in masks]


def test_layouts() -> None:
    a, b = "main", "other"
    assert layout("uniform", {"l/block": b}) == [b] * 6
    assert layout("period", {"l/period": 3, "l/slot0": a, "l/slot1": a, "l/slot2": b}) == [a, a, b] * 2
    assert layout("period", {"l/period": 4, "l/slot0": b, "l/slot1": a, "l/slot2": a, "l/slot3": a}) == [
        b,
        a,
        a,
        a,
        b,
        a,
    ]
    assert layout("ends", {"l/middle": a, "l/ends": b, "l/first": 1, "l/last": 2}) == [b, a, a, a, b, b]
    free = [a, b, b, a, b, a]
    assert layout("free", {f"l/layer{i}": block for i, block in enumerate(free)}) == free


def test_depth_of_a_layout_may_be_a_hole() -> None:
    depth = {"$int": [2, 6, 2], "as": "depth"}
    assert layout("uniform", {"l/block": "main", "depth": 4}, depth) == ["main"] * 4
    values = {f"l/layer{i}": "main" for i in range(2)}
    assert layout("free", {**values, "depth": 2}, depth) == ["main"] * 2


def test_every_draw_is_filled_alike() -> None:
    found = space({
        MLP: {"$choice": [GATED, PLAIN], "as": "kind"},
        f"{ATTENTION}/n_kv_heads": {"$choice": [1, 2, 4], "as": "kv"},
        f"{STACK}/layers": {"$layout": {"of": ["main"], "layers": {"$int": [1, 5], "as": "depth"}, "form": "uniform"}},
    })  # fmt: skip
    draws = random.Random(0)
    seen = set()
    for _ in range(50):
        document, values = found.draw(lambda hole: draws.choice(hole.values() or hole.samples()))
        assert found.fill(values) == document
        seen.add(spec_hash(load_spec(document)))
    assert len(seen) > 20


def test_the_space_is_not_changed_by_filling() -> None:
    found = space(
        {MLP: {"$choice": [GATED, PLAIN], "as": "kind"}, f"{STACK}/d_model": {"$choice": [32, 64], "as": "w"}}
    )
    before = copy.deepcopy(found.document)
    found.fill({"kind": "mlp", "ff": 64, "w": 64})["stacks"].clear()
    assert found.document == before


@pytest.mark.parametrize(
    ("changes", "path", "words"),
    [
        ({f"{MLP}/d_ff": {"$itn": [1, 2]}}, f"/{MLP}/d_ff", "did you mean '\\$int'"),
        ({f"{MLP}/d_ff": {"$int": [2, 1]}}, f"/{MLP}/d_ff/$int", "in order"),
        ({f"{MLP}/d_ff": {"$int": [1, 2, 0]}}, f"/{MLP}/d_ff/$int", "step"),
        ({f"{MLP}/d_ff": {"$choice": []}}, f"/{MLP}/d_ff/$choice", "at least one"),
        ({f"{MLP}/d_ff": {"$choice": [8, 8]}}, f"/{MLP}/d_ff/$choice", "twice"),
        ({f"{MLP}/d_ff": {"$choice": [8], "name": "x"}}, f"/{MLP}/d_ff", "unknown field 'name' beside"),
        ({f"{MLP}/d_ff": {"$float": [0, 1], "log": True}}, f"/{MLP}/d_ff/$float", "above 0"),
        ({f"{MLP}/d_ff": {"$ref": "nothing"}}, f"/{MLP}/d_ff/$ref", "unknown hole 'nothing'"),
        ({f"{MLP}/d_ff": {"$if": {"hole": "x"}}}, f"/{MLP}/d_ff/$if", "allowed"),
        ({f"{STACK}/layers": {"$layout": {"of": ["main"], "layers": 2, "form": "unifrom"}}},
         f"/{STACK}/layers/$layout/form", "did you mean 'uniform'"),
        ({f"{STACK}/layers": {"$layout": {"of": ["mian"], "layers": 2, "form": "uniform"}}},
         f"/{STACK}/layers/0/of/0/block", "did you mean 'main'"),
        ({f"{MLP}/d_ff": {"$choice": [8, 16], "as": "x"}, f"{STACK}/d_model": {"$choice": [32], "as": "x"}},
         f"/{MLP}/d_ff", "two holes are named 'x'"),
        # first values make a valid spec
        ({f"{ATTENTION}/n_kv_heads": {"$choice": [3, 2]}}, f"/{ATTENTION}/n_kv_heads", "must be a multiple"),
        # every other value is tried alone against the type
        ({f"{ATTENTION}/mask": {"$choice": ["causal", "casual"]}}, f"/{ATTENTION}/mask",
         "with 'casual' here.*'causal'"),
        ({MLP: {"$choice": [GATED, {**PLAIN, "activation": {"$choice": ["gelu", "glu"]}}], "as": "k"}},
         f"/{MLP}/$choice/1/activation", "with 'glu' here"),
        ({f"{STACK}/blocks/b": {"like": "main", "set": {"/0/op/n_heads": {"$choice": [4, "x"]}}}},
         f'/{STACK}/blocks/b/set["/0/op/n_heads"]', "with 'x' here"),
    ],
)  # fmt: skip
def test_refused(changes: dict[str, Any], path: str, words: str) -> None:
    with pytest.raises(InputError, match=words) as caught:
        space(changes)
    assert caught.value.path == path
    assert caught.value.source == "space.json"


def test_rules_across_fields_are_checked_for_each_proposal() -> None:
    found = space({f"{ATTENTION}/n_kv_heads": {"$choice": [2, 3], "as": "kv"}})
    with pytest.raises(SpecError, match="found 3; n_heads \\(4\\) must be a multiple"):
        resolve(load_spec(found.fill({"kv": 3})))
