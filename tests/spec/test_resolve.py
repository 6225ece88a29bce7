"""What `resolve` hands on: every number concrete, every default filled in, equal bodies once."""

import math
import time
from typing import Any

import pytest

from archspec.spec import Layer, branch_names, branches, load_spec, resolve
from archspec.spec.attention import Attention, LatentAttention
from archspec.spec.inputs import Tokens
from archspec.spec.mixers import FixedDecay, LinearAttention, SelectiveScan
from archspec.spec.positions import Rope, YarnScaling
from archspec.spec.resolved import ResolvedStack
from tests.spec.documents import ATTENTION, MLP, ROOT, STACK, tiny


def stack(changes: dict[str, Any] | None = None) -> ResolvedStack:
    return resolve(load_spec(tiny(changes))).stacks["decoder"]


def first_op(changes: dict[str, Any] | None = None) -> Any:
    return branches(stack(changes).bodies[0])[0].op


def test_defaults_of_attention() -> None:
    op = first_op({f"{ATTENTION}/n_kv_heads": ...})
    assert isinstance(op, Attention)
    assert (op.n_heads, op.n_kv_heads, op.d_head, op.d_value, op.scale) == (4, 4, 8, 8, 1 / math.sqrt(8))
    rope = op.position[0]
    assert isinstance(rope, Rope)
    assert (rope.theta, rope.dims, rope.pairing) == (10000, 8, "half")


def test_defaults_of_inputs_and_head() -> None:
    resolved = resolve(load_spec(tiny()))
    tokens = resolved.stacks["decoder"].inputs[0].sum[0]
    assert isinstance(tokens, Tokens)
    assert (tokens.name, tokens.size, tokens.width) == ("input_ids", 100, 32)
    assert resolved.head and resolved.head.logits and resolved.head.logits.size == 100
    assert resolved.stacks["decoder"].streams == {"x": "text"}
    assert resolved.output == "decoder"
    assert (resolved.vocab_size, resolved.max_length) == (100, 64)


def test_head_sees_the_width_of_the_output_stack() -> None:
    resolved = resolve(load_spec(tiny({"head/logits": {"type": "linear", "scale": "=1/sqrt(d_model)"}})))
    assert resolved.head and resolved.head.logits
    assert resolved.head.logits.scale == 1 / math.sqrt(32)  # type: ignore[union-attr]


def test_defaults_of_a_scan() -> None:
    op = first_op({f"{STACK}/d_model": 40, ATTENTION: "selective_scan"})
    assert isinstance(op, SelectiveScan)
    assert (op.d_inner, op.d_state, op.d_conv, op.dt_rank) == (80, 16, 4, 3)  # dt_rank: 40/16, rounded up


def test_formula_by_head() -> None:
    op = first_op(
        {ATTENTION: {"type": "linear_attention", "n_heads": 4, "decay": {"type": "fixed", "rate": "=1-2**(-5-head)"}}}
    )
    assert isinstance(op, LinearAttention) and isinstance(op.decay, FixedDecay)
    assert op.decay.rate == tuple(1 - 2.0 ** (-5 - head) for head in range(4))
    assert (op.d_key, op.d_value, op.mask.type) == (8, 8, "causal")


def test_formula_by_layer_makes_bodies_by_layer() -> None:
    found = stack({f"{ATTENTION}/scale": "=1/(layer+1)"})
    assert [layer.body for layer in found.layers] == [0, 1, 2]
    assert [branches(body)[0].op.scale for body in found.bodies] == [1, 1 / 2, 1 / 3]  # type: ignore[union-attr]


def test_equal_bodies_by_layer_are_one() -> None:
    found = stack({f"{ATTENTION}/mask": {"type": "window", "behind": "=4+8*min(layer, 1)"}})
    assert found.layers == (Layer(0), Layer(1), Layer(1))


def test_layer_counts_through_repeats() -> None:
    entries = [{"repeat": 2, "of": ["main", {"repeat": "=1+1", "of": ["main"]}]}]
    found = stack({f"{STACK}/layers": entries, f"{MLP}/d_ff": "=8*(layer+1)*n_layers"})
    assert [branches(found.bodies[layer.body])[1].op.d_ff for layer in found.layers] == [  # type: ignore[union-attr]
        8 * (i + 1) * 6 for i in range(6)
    ]


def test_like_and_set_replace_whole_values() -> None:
    blocks = {"b": {"like": "main", "set": {"/0/op/mask": {"type": "window", "behind": 4}, "/1/op/d_ff": 128}}}
    found = stack({f"{STACK}/blocks/b": blocks["b"], f"{STACK}/layers": ["main", "b", "main"]})
    assert [layer.body for layer in found.layers] == [0, 1, 0]
    attention, mlp = (branch.op for branch in branches(found.bodies[1]))
    assert attention.mask.behind == 4 and attention.n_kv_heads == 2  # type: ignore[union-attr]
    assert mlp.d_ff == 128  # type: ignore[union-attr]


def test_set_reaches_into_a_short_form() -> None:
    entry = {"block": "main", "set": {"/0/op/position/0/theta": 500000}}
    assert first_op({f"{STACK}/layers": [entry]}).position[0].theta == 500000


def test_shared_weights_of_an_entry() -> None:
    found = stack({f"{STACK}/layers": ["main", {"block": "main", "weights": "/s"}, {"block": "main", "weights": "/s"}]})
    assert found.layers == (Layer(0), Layer(0, "/s"), Layer(0, "/s"))


def test_nothing_is_left_open() -> None:
    for file in (ROOT / "examples").glob("*.json"):
        for found in resolve(load_spec(file)).stacks.values():
            dumped = str([item.model_dump() for body in found.bodies for item in body])
            assert "'=" not in dumped, file
            assert "'=" not in str([item.model_dump() for item in found.inputs])


def test_stacks_stand_after_those_they_read() -> None:
    resolved = resolve(load_spec(ROOT / "examples" / "idefics-9b.json"))
    assert list(resolved.stacks) == ["vision", "resampler", "decoder"]
    assert resolved.output == "decoder"
    assert resolved.stacks["decoder"].reads == ("resampler",)
    assert resolved.stacks["resampler"].reads == ("vision",)


def test_yarn_gain_and_latent_scale() -> None:
    op = branches(resolve(load_spec(ROOT / "examples" / "deepseek-v3.json")).stacks["decoder"].bodies[0])[0].op
    assert isinstance(op, LatentAttention)
    assert op.scale == pytest.approx((0.1 * math.log(40) + 1) ** 2 / math.sqrt(192), rel=1e-15)
    assert op.mask.type == "causal"
    position = {"type": "rope", "scaling": {"type": "yarn", "factor": 4, "original_length": 32}}
    scaling = first_op({f"{ATTENTION}/position": [position]}).position[0].scaling
    assert isinstance(scaling, YarnScaling)
    assert scaling.gain == pytest.approx(0.1 * math.log(4) + 1)


def test_branch_names_are_numbered_when_repeated() -> None:
    op = {"type": "mlp", "d_ff": 8, "activation": "relu"}
    block = [{"op": op}, {"name": "mlp_2", "op": op}, {"parallel": [{"op": op}, {"name": "a", "op": op}]}, {"op": op}]
    body = stack({f"{STACK}/blocks/main": block}).bodies[0]
    assert branch_names(body) == ("mlp", "mlp_2", "mlp_3", "a", "mlp_4")


def test_several_inputs_are_joined() -> None:
    found = stack(
        {f"{STACK}/input": [{"name": "a", "sum": ["tokens"]}, {"name": "b", "sum": [{"type": "latents", "count": 2}]}]}
    )
    assert found.streams == {"x": "input"}
    assert [item.name for item in found.inputs] == ["a", "b"]


def test_depth_is_free() -> None:
    """126 equal layers cost about what 2 cost. Best of many runs; the margin is wide, for a busy machine."""

    def seconds(layers: int) -> float:
        spec = load_spec(tiny({f"{STACK}/layers/0/repeat": layers}))
        times = []
        for _ in range(30):
            start = time.perf_counter()
            resolve(spec)
            times.append(time.perf_counter() - start)
        return min(times)

    assert seconds(126) < 2 * seconds(2)
