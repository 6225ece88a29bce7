"""Training by formula: states to the byte, kept activations against what autograd keeps."""

import pytest
import torch
import transformers

from archspec import zoo
from archspec.interop.huggingface import to_spec
from archspec.spec import load_spec, resolve
from compiler.cost.report import cost


def test_states() -> None:
    """16 bytes a parameter: bf16 weights and gradients, fp32 master copy and two moments."""
    report = cost(resolve(load_spec(zoo.read("smollm2-135m"))), context=512, phase="training")
    training, n = report.training, report.parameters.total
    assert training is not None
    assert training.weights + training.gradients + training.master_weights + training.optimizer == 16 * n
    assert training.flops_per_step == 3 * report.flops.prefill
    assert training.activations_checkpointed < training.activations
    assert report.to_json()["memory"]["total"] == training.total == report.total_bytes


def test_the_gated_formula() -> None:
    """B·S·(8h + 4Hd + 4Gd + 8f) + 4·B·S·H a layer, and the final norm's input and output outside the layers."""
    report = cost(resolve(load_spec(zoo.read("llama-3-8b"))), context=256, batch=2, phase="training")
    tokens, h, heads, kv, f = 512, 4096, 32 * 128, 8 * 128, 14336
    layer = tokens * (8 * h + 4 * heads + 4 * kv + 8 * f) + 4 * tokens * 32
    assert report.training is not None
    assert report.training.activations == 32 * layer + 2 * tokens * 2 * h


@pytest.mark.parametrize("activation", ["gelu", "relu"])
def test_against_autograd(activation: str) -> None:
    """Bytes that a backward pass of transformers' GPT-2 keeps, without dropout and with fused attention."""
    torch.set_num_threads(1)
    config = transformers.GPT2Config(
        vocab_size=211, n_embd=64, n_layer=3, n_head=4, n_positions=128, activation_function=activation,
        resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0, bos_token_id=1, eos_token_id=2,
    )  # fmt: skip
    config._attn_implementation = "sdpa"
    model = transformers.GPT2LMHeadModel(config).train()
    own = {p.untyped_storage().data_ptr() for p in model.parameters()}
    kept: dict[int, int] = {}
    alive: list[torch.Tensor] = []  # so that no address is used twice

    def pack(x: torch.Tensor) -> torch.Tensor:
        storage = x.untyped_storage()
        if storage.data_ptr() not in own and x.is_floating_point():
            kept[storage.data_ptr()] = storage.nbytes()
            alive.append(x)
        return x

    ids = torch.randint(0, 211, (2, 128), generator=torch.Generator().manual_seed(0))
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda x: x):
        model(input_ids=ids, use_cache=False)
    spec = to_spec(config.to_dict() | {"architectures": ["GPT2LMHeadModel"]})
    report = cost(resolve(load_spec(spec)), context=128, batch=2, dtype="fp32", phase="training")
    assert report.training is not None
    assert report.training.activations == pytest.approx(sum(kept.values()), rel=0.10)
