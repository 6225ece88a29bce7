"""Linear attention, state spaces and RWKV, emitted, against the reference meaning and against transformers."""

import random
from pathlib import Path
from typing import Any

import pytest
import torch

from archspec import zoo
from archspec.spec import load_spec, resolve
from compiler.lower.program import lower
from tests.emit_torch.exact import check, close, compiled_steps, drawn, emitted, stepped
from tests.emit_torch.packages import ids, spec
from tests.zoo import renaming as r
from tests.zoo.shrink import shrunk
from tests.zoo.test_meaning import CASES, model_of, small

PASSES = pytest.mark.parametrize("passes", [None, ()], ids=["all passes", "no passes"])
ZOO = [
    "mamba-130m", "falcon-mamba-7b", "mamba2-130m", "mamba-codestral-7b", "jamba-v0.1", "rwkv-4-169m", "minimax-text-01"
]  # fmt: skip
SMALL = {"vocab_size": 97, "max_length": 256, "d_model": 16, "n_heads": 2, "d_ff": 24, "d_key": 8, "d_value": 12}
TWO = [{"repeat": 2, "of": ["main"]}]

BY_HEAD = {"type": "gated", "per": "head", "fn": "exp_softplus"}
BY_CHANNEL = {"type": "gated", "per": "channel", "fn": "sigmoid", "divide": 16, "rank": 3}
L2 = {"norm": {"type": "rms", "eps": 1e-6, "gain": "none"}, "scope": "head", "at": "before_position"}
ROPE = {"type": "rope", "theta": 100, "dims": 4}
MIXERS: dict[str, dict[str, Any]] = {
    "plain": {},
    "key sum": {"feature_map": "elu_plus_one", "normalise": {"type": "key_sum", "eps": 1e-6}},
    "softmax features": {"feature_map": "softmax", "normalise": {"type": "key_sum", "eps": 1e-3}},
    "fixed decay": {"decay": {"type": "fixed", "rate": 0.9}},
    "fixed decay by head": {"decay": {"type": "fixed", "rate": [0.5, 0.999]}, "position": [ROPE]},
    "decay by head": {"decay": BY_HEAD, "scale": 0.5},
    "decay by channel": {"decay": BY_CHANNEL},
    "fast decay by channel": {"decay": {**BY_CHANNEL, "divide": 0.01}},
    "delta": {"rule": "delta", "qk_norm": L2, "scale": 0.3},
    "delta with decay by head": {"rule": "delta", "qk_norm": L2, "scale": 0.3, "decay": BY_HEAD},
    "delta with decay by channel": {"rule": "delta", "qk_norm": L2, "scale": 0.3, "decay": BY_CHANNEL},
    "delta and key sum": {"rule": "delta", "qk_norm": L2, "scale": 0.3, "feature_map": "elu_plus_one",
                          "normalise": {"type": "key_sum", "eps": 1e-2}},
    "short convolution": {"conv": {"kernel": 3, "bias": True, "activation": "silu"}, "rule": "delta", "qk_norm": L2,
                          "scale": 0.3, "activation": "silu"},
    "a kernel of one": {"conv": {"kernel": 1}},
    "gate": {"gate": {"type": "projected", "fn": "silu"}, "inner_norm": {"norm": "rms", "scope": "head"}},
    "all at once": {"mask": "full", "feature_map": "elu_plus_one", "normalise": {"type": "key_sum", "eps": 1e-6}},
    "all at once, no sum": {"mask": "full", "scale": 0.1},
    "random features": {"feature_map": {"type": "random_exp", "features": 6}, "normalise": {"type": "key_sum"}},
}  # fmt: skip
REFUSED = {
    "all at once": r"linear_attention: every query reads all keys",
    "all at once, no sum": r"linear_attention: every query reads all keys",
    "random features": r"random_features: its key stabiliser is a maximum over the whole sequence",
}


def linear(fields: dict[str, Any]) -> dict[str, Any]:
    op = {"type": "linear_attention", "n_heads": 2, "d_key": 8, "d_value": 6} | fields
    return spec(blocks={"main": [{"pre_norm": "rms", "op": op}, {"pre_norm": "rms", "op": GATED}]})


@PASSES
@pytest.mark.parametrize("name", ZOO)
def test_models(name: str, passes: Any, tmp_path: Path) -> None:
    check(small(CASES[name], name), ids(2, 84), tmp_path, passes)


@PASSES
@pytest.mark.parametrize("name", ["gla-1.3b", "retnet-1.3b", "retnet-1.3b-torchscale", "retnet-yar-1.3b"])
def test_linear_models(name: str, passes: Any, tmp_path: Path) -> None:
    stack = next(iter(zoo.read(name)["stacks"]))
    check(lower(shrunk(name, {stack: TWO}, SMALL)), ids(2, 84), tmp_path, passes)


@pytest.mark.parametrize("name", MIXERS)
def test_linear_attention(name: str, tmp_path: Path) -> None:
    model = check(lower(resolve(load_spec(linear(MIXERS[name])))), ids(2, 84), tmp_path)
    if name in REFUSED:
        with pytest.raises(RuntimeError, match=f"cannot run step by step: {REFUSED[name]}"):
            model.new_state(1, 4)


def test_each_mixer_bites() -> None:
    texts = {str(lower(resolve(load_spec(linear(fields)))).blocks) for fields in MIXERS.values()}
    assert len(texts) == len(MIXERS)


GATED = {"type": "gated_mlp", "d_ff": 24, "activation": "silu"}
OTHERS: dict[str, dict[str, Any]] = {
    "scan": {"type": "selective_scan", "d_state": 5, "bias": ["in", "conv", "dt", "out"]},
    "scan without bias": {"type": "selective_scan", "d_conv": 2, "bias": [], "rank_norm": "rms"},
    "ssd": {"type": "ssd", "d_head": 4, "d_state": 6, "inner_norm": "rms"},
    "ssd with groups and bounds": {"type": "ssd", "d_head": 4, "d_state": 6, "n_groups": 4, "dt_limit": [0.5, 0.9]},
    "wkv": {"type": "wkv"},
    "wide wkv": {"type": "wkv", "d_inner": 24},
}


@pytest.mark.parametrize("name", OTHERS)
def test_other_scans(name: str, tmp_path: Path) -> None:
    second = {"type": "shifted_mlp", "d_ff": 24} if "wkv" in name else {"type": "mlp", "d_ff": 24, "activation": "gelu"}
    blocks = {"main": [{"pre_norm": "rms", "op": OTHERS[name]}, {"pre_norm": "layer", "op": second}]}
    check(lower(resolve(load_spec(spec(blocks=blocks)))), ids(2, 84), tmp_path)


def test_layers_without_a_state_beside_some_with_one(tmp_path: Path) -> None:
    blocks = {
        "scan": [{"pre_norm": "rms", "op": {"type": "selective_scan", "d_state": 5}}],
        "mlp": [{"pre_norm": "rms", "op": {"type": "mlp", "d_ff": 24, "activation": "gelu"}}],
        "look": [{"pre_norm": "rms", "op": {"type": "attention", "n_heads": 2, "mask": "causal"}}],
    }
    layers = ["mlp", "scan", "look", "mlp", "scan"]
    check(lower(resolve(load_spec(spec(blocks=blocks, layers=layers)))), ids(2, 40), tmp_path)


@pytest.mark.parametrize("seed", range(12))
def test_random_hybrids(seed: int, tmp_path: Path) -> None:
    """Layers drawn from all kinds above, in one model."""
    draw = random.Random(seed)
    mixers = [linear(MIXERS[name])["stacks"]["decoder"]["blocks"]["main"][0]["op"] for name in MIXERS]
    mixers += [*OTHERS.values(), {"type": "attention", "n_heads": 4, "n_kv_heads": 2, "mask": "causal"}]
    moe = {"type": "moe", "n_experts": 4, "expert": {**GATED, "d_ff": 8}, "router": {"top_k": 2}}
    second = [moe, GATED, {"type": "shifted_mlp", "d_ff": 24}]
    blocks = {
        f"b{i}": [{"pre_norm": "rms", "op": draw.choice(mixers)}, {"pre_norm": "rms", "op": draw.choice(second)}]
        for i in range(3)
    }
    layers = draw.choices(list(blocks), k=4)
    used = {name: block for name, block in blocks.items() if name in layers}
    check(lower(resolve(load_spec(spec(blocks=used, layers=layers)))), ids(2, 84), tmp_path, draw.choice([None, ()]))


def test_a_state_never_grows(tmp_path: Path) -> None:
    program = small(CASES["mamba-130m"], "mamba-130m")
    model = emitted(program, drawn(program), tmp_path)
    state = model.new_state(2, 1000)
    assert {tuple(t.shape) for layer in state.caches for t in layer} == {(2, 3, 64), (2, 64, 8)}
    places = [t.data_ptr() for layer in state.caches for t in layer]
    for size in (5, 1, 1, 90):
        _, state = model.step(ids(2, size), state)
    assert [t.data_ptr() for layer in state.caches for t in layer] == places


def test_scans_keep_float32_under_bfloat16(tmp_path: Path) -> None:
    """The floor of the spec's precision: scan states are float32 in a bfloat16 model, conv tails are not."""
    program = small(CASES["mamba2-130m"], "mamba2-130m")
    model = emitted(program, drawn(program), tmp_path).to(torch.bfloat16)
    state = model.new_state(1, 8)
    assert [t.dtype for t in state.caches[0]] == [torch.bfloat16, torch.float32]
    logits, state = model.step(ids(1, 7), state)
    assert logits.dtype == torch.bfloat16 and torch.isfinite(logits).all()


def test_a_long_sum_does_not_overflow(tmp_path: Path) -> None:
    """RWKV's weights are exponentials of keys: keys of hundreds must not leave float32's range, nor an empty state."""
    program = small(CASES["rwkv-4-169m"], "rwkv-4-169m")
    weights = {k: v * 300 if k.endswith(".k.weight") else v for k, v in drawn(program).items()}
    expected = emitted(program, weights, tmp_path)(ids(1, 40))
    model = emitted(program, weights, tmp_path).float()
    for sizes in ([40], [1], [3, 17]):
        close(stepped(model, ids(1, 40), None, sizes).double(), expected, 2e-3)


@pytest.mark.parametrize("name", ["mamba-130m", "mamba2-130m", "jamba-v0.1", "rwkv-4-169m", "minimax-text-01"])
def test_against_transformers(name: str, tmp_path: Path) -> None:
    """The same logits with transformers' weights in float32, at once and in steps."""
    case, tokens = CASES[name], ids(2, 17)
    theirs = model_of(case)
    program = small(case, name)
    weights = r.renamed(program.parameter_paths(), dict(theirs.state_dict()), case.table)
    model = emitted(program, weights, tmp_path)
    with torch.no_grad():
        expected = theirs(input_ids=tokens).logits
    close(model(tokens), expected, 1e-4)
    close(stepped(model, tokens, None, [1]), expected, 1e-4)
    close(stepped(model, tokens, None, [7, 2]), expected, 1e-4)


@pytest.mark.parametrize("name", ["mamba-130m", "mamba2-130m", "rwkv-4-169m", "minimax-text-01"])
def test_a_compiled_step_is_compiled_once_for_all_tokens(name: str, tmp_path: Path) -> None:
    program = small(CASES[name], name)
    compiled_steps(emitted(program, drawn(program), tmp_path), ids(1, 12))
