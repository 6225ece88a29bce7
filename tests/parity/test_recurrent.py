"""Mamba, Mamba-2 and RWKV-4 against transformers' slow paths, weights copied; the zoo's specs in every target."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from transformers import Mamba2Config, Mamba2ForCausalLM, MambaConfig, MambaForCausalLM, RwkvConfig, RwkvForCausalLM

from tests.parity.models import VOCAB, decoder, difference, ids, redraw
from tests.parity.targets import everywhere
from tests.zoo.renaming import renamed
from tests.zoo.test_meaning import CASES, model_of, small

ZOO = ("mamba-130m", "mamba2-130m", "mamba-codestral-7b", "jamba-v0.1", "rwkv-4-169m", "minimax-text-01")


def compare(spec: dict[str, Any], weights: dict[str, Any], model: nn.Module) -> float:
    tokens = ids(2, 13)
    expected = model(input_ids=tokens, use_cache=False).logits
    return difference(spec, weights, model, {"input_ids": tokens}, expected)


@pytest.mark.parametrize("name", ZOO)
def test_every_target_steps(name: str, tmp_path: Path) -> None:
    case = CASES[name]
    theirs, tokens = model_of(case), ids(2, 17)
    with torch.no_grad():
        expected = theirs(input_ids=tokens).logits
    program = small(case, name)
    weights = renamed(program.parameter_paths(), dict(theirs.state_dict()), case.table)
    everywhere(program, weights, {"input_ids": tokens}, expected, tmp_path)


def test_selective_scan_is_mamba() -> None:
    config = MambaConfig(
        vocab_size=VOCAB, hidden_size=32, state_size=8, num_hidden_layers=2, expand=2, time_step_rank=4, conv_kernel=4
    )
    model, norm = redraw(MambaForCausalLM(config)), {"type": "rms", "eps": config.layer_norm_epsilon}
    op = {"type": "selective_scan", "d_inner": 64, "d_state": 8, "d_conv": 4, "dt_rank": 4}
    spec = decoder("m", 32, {"main": [{"pre_norm": norm, "op": op}]}, [{"repeat": 2, "of": ["main"]}], norm)
    weights: dict[str, Any] = {
        "vocab.weight": "backbone.embeddings.weight",
        "decoder.final_norm.weight": "backbone.norm_f.weight",
    }
    for i in range(2):
        theirs, ours = f"backbone.layers.{i}.", f"decoder.{i}.selective_scan."
        mixer = theirs + "mixer."
        weights |= {
            ours + "pre_norm.weight": theirs + "norm.weight",
            ours + "in.weight": mixer + "in_proj.weight",
            ours + "conv.weight": model.state_dict()[mixer + "conv1d.weight"].squeeze(1),
            ours + "conv.bias": mixer + "conv1d.bias",
            ours + "x.weight": mixer + "x_proj.weight",
            ours + "dt.weight": mixer + "dt_proj.weight",
            ours + "dt.bias": mixer + "dt_proj.bias",
            ours + "a_log": mixer + "A_log",
            ours + "d": mixer + "D",
            ours + "out.weight": mixer + "out_proj.weight",
        }
    assert compare(spec, weights, model) < 1e-4


@pytest.mark.parametrize("limit", [(0.0, 1e30), (0.0, 0.05)])
def test_ssd_is_mamba_2(limit: tuple[float, float]) -> None:
    config = Mamba2Config(
        vocab_size=VOCAB,
        hidden_size=32,
        state_size=8,
        num_hidden_layers=2,
        expand=2,
        num_heads=8,
        head_dim=8,
        n_groups=2,
        conv_kernel=4,
        chunk_size=4,
        tie_word_embeddings=False,
        time_step_limit=limit,
    )
    model, norm = redraw(Mamba2ForCausalLM(config)), {"type": "rms", "eps": config.layer_norm_epsilon}
    op = {
        "type": "ssd",
        "n_heads": 8,
        "d_head": 8,
        "d_state": 8,
        "n_groups": 2,
        "inner_norm": norm,
        "dt_limit": list(limit),
    }
    blocks = {"main": [{"pre_norm": norm, "op": op}]}
    spec = decoder("m2", 32, blocks, [{"repeat": 2, "of": ["main"]}], norm, head={"logits": "linear"})
    weights: dict[str, Any] = {
        "vocab.weight": "backbone.embeddings.weight",
        "decoder.final_norm.weight": "backbone.norm_f.weight",
        "head.logits.weight": "lm_head.weight",
    }
    for i in range(2):
        theirs, ours = f"backbone.layers.{i}.", f"decoder.{i}.ssd."
        mixer = theirs + "mixer."
        weights |= {
            ours + "pre_norm.weight": theirs + "norm.weight",
            ours + "in.weight": mixer + "in_proj.weight",
            ours + "conv.weight": model.state_dict()[mixer + "conv1d.weight"].squeeze(1),
            ours + "conv.bias": mixer + "conv1d.bias",
            ours + "a_log": mixer + "A_log",
            ours + "d": mixer + "D",
            ours + "dt_bias": mixer + "dt_bias",
            ours + "inner_norm.weight": mixer + "norm.weight",
            ours + "out.weight": mixer + "out_proj.weight",
        }
    assert compare(spec, weights, model) < 1e-4


def test_wkv_is_rwkv_4() -> None:
    config = RwkvConfig(
        vocab_size=VOCAB,
        hidden_size=32,
        attention_hidden_size=32,
        num_hidden_layers=2,
        intermediate_size=48,
        rescale_every=0,
        context_length=64,
    )
    model, norm = redraw(RwkvForCausalLM(config)), {"type": "layer", "eps": config.layer_norm_epsilon}
    steps = [
        {"pre_norm": norm, "op": {"type": "wkv"}},
        {"pre_norm": norm, "op": {"type": "shifted_mlp", "d_ff": 48, "activation": "relu2"}},
    ]
    layers = [{"repeat": 2, "of": ["main"]}]
    spec = decoder("r", 32, {"main": steps}, layers, norm, then=[norm], head={"logits": "linear"})
    weights: dict[str, Any] = {"vocab.weight": "rwkv.embeddings.weight", "head.logits.weight": "head.weight"}
    stored = model.state_dict()
    for role in ("weight", "bias"):
        weights[f"decoder.final_norm.{role}"] = f"rwkv.ln_out.{role}"
        weights[f"decoder.text.then.0.{role}"] = f"rwkv.blocks.0.pre_ln.{role}"
    for i in range(2):
        theirs, time, channel = f"rwkv.blocks.{i}.", f"decoder.{i}.wkv.", f"decoder.{i}.shifted_mlp."
        attention, feed = theirs + "attention.", theirs + "feed_forward."
        for role in ("weight", "bias"):
            weights |= {
                f"{time}pre_norm.{role}": f"{theirs}ln1.{role}",
                f"{channel}pre_norm.{role}": f"{theirs}ln2.{role}",
            }
        for ours, name in (("k", "key"), ("v", "value"), ("r", "receptance")):
            weights[f"{time}mix_{ours}"] = stored[f"{attention}time_mix_{name}"].flatten()
            weights[f"{time}{ours}.weight"] = f"{attention}{name}.weight"
        weights |= {
            time + "decay": attention + "time_decay",
            time + "first": attention + "time_first",
            time + "o.weight": attention + "output.weight",
            channel + "mix_up": stored[feed + "time_mix_key"].flatten(),
            channel + "mix_gate": stored[feed + "time_mix_receptance"].flatten(),
            channel + "up.weight": feed + "key.weight",
            channel + "gate.weight": feed + "receptance.weight",
            channel + "down.weight": feed + "value.weight",
        }
    assert compare(spec, weights, model) < 1e-4
