"""`per_layer_config`: against transformers' own layers, each built from its own view of the configuration."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from safetensors.torch import save_file

from archspec.errors import InputError
from archspec.interop.huggingface import export_config
from archspec.interop.source import open_source
from archspec.spec import load_spec, resolve
from compiler.lower.program import lower
from compiler.verify.interpreter import interpret
from compiler.weights import load, open_weights
from tests.interop.tiny import DECODER, WINDOWS, redraw

IDS = torch.randint(5, 97, (2, 11), generator=torch.Generator().manual_seed(0))
WIDER: dict[int, dict[str, Any]] = {0: {"num_key_value_heads": 1}, 2: {"intermediate_size": 64}}
CASES = {
    "Llama": ({}, WIDER),
    "Llama skips": ({}, {0: {"skip": ["mlp"], "num_key_value_heads": 4}, 2: {"skip": ["attention"]}}),
    "Qwen3": ({"head_dim": 16, **WINDOWS}, {2: {"intermediate_size": 64, "num_attention_heads": 2}}),
    "Gemma2": ({"head_dim": 16, "query_pre_attn_scalar": 9, "sliding_window": 4}, WIDER),
}


class Nothing(torch.nn.Module):
    """What a part that is left out adds."""

    def forward(self, x: torch.Tensor = None, **given: Any) -> Any:  # type: ignore[assignment]
        return (torch.zeros_like(given["hidden_states"]), None) if given else torch.zeros_like(x)


def built(name: str) -> tuple[transformers.PreTrainedModel, transformers.PreTrainedConfig]:
    kind, (more, layers) = name.split()[0], CASES[name]
    fields = {"vocab_size": 97, **DECODER, "pad_token_id": 0, **more}
    config = getattr(transformers, f"{kind}Config")
    module = getattr(transformers, f"{kind}ForCausalLM")
    plain, own = config(**fields), config(**fields, per_layer_config=layers, architectures=[f"{kind}ForCausalLM"])
    plain._attn_implementation = "eager"
    model = module(plain).eval()
    layer_class = type(model.model.layers[0])
    for i in layers:
        view = own.per_layer_config[i]
        view._attn_implementation = "eager"
        model.model.layers[i] = layer_class(view, i)
        if "attention" in view.skip:
            model.model.layers[i].self_attn, model.model.layers[i].input_layernorm = Nothing(), torch.nn.Identity()
        if "mlp" in view.skip:
            model.model.layers[i].mlp, model.model.layers[i].post_attention_layernorm = Nothing(), torch.nn.Identity()
    model.eval()
    redraw(model)
    return model, own


@pytest.fixture(params=list(CASES))
def saved(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[transformers.PreTrainedModel, Path]:
    model, config = built(request.param)
    tensors = {name: p.detach().contiguous() for name, p in model.named_parameters()}
    save_file(tensors, tmp_path / "model.safetensors", {"format": "pt"})
    config.save_pretrained(tmp_path)
    return model, tmp_path


def test_means_what_the_layers_compute(
    saved: tuple[transformers.PreTrainedModel, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    model, folder = saved
    source = open_source(folder)
    program = lower(resolve(source.spec))
    shapes = {path: param.shape for path, param in program.parameter_paths().items()}
    assert source.tensors is not None and set(shapes) == set(source.tensors.recipes)
    weights = load(shapes, source.tensors, open_weights(folder), torch.float64)
    with monkeypatch.context() as patch, torch.no_grad():
        patch.setattr(torch.Tensor, "float", torch.Tensor.double)
        expected = model.double()(IDS, use_cache=False).logits
    found = next(iter(interpret(program, weights, {"input_ids": IDS}).values()))
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


def test_comes_back_as_it_was(saved: tuple[transformers.PreTrainedModel, Path]) -> None:
    spec = open_source(saved[1]).spec
    assert export_config(spec) == (saved[1] / "config.json").read_text()


def test_is_written_from_a_spec_alone(saved: tuple[transformers.PreTrainedModel, Path], tmp_path: Path) -> None:
    document = dict(open_source(saved[1]).spec._document)
    document.pop("origin")
    written = json.loads(export_config(load_spec(document)))
    original = json.loads((saved[1] / "config.json").read_text())
    assert written["model_type"] == original["model_type"]
    own = {layer: set(fields) for layer, fields in original["per_layer_config"].items()}
    assert {layer: set(fields) for layer, fields in written["per_layer_config"].items()} == own


def test_an_edit_of_one_layer_changes_its_fields(tmp_path: Path) -> None:
    _, config = built("Llama")
    config.save_pretrained(tmp_path)
    original = json.loads((tmp_path / "config.json").read_text())
    document = json.loads(json.dumps(open_source(tmp_path).spec._document))
    document["stacks"]["decoder"]["blocks"]["main_layer_2"][1]["op"]["d_ff"] = 80
    written = json.loads(export_config(load_spec(document)))
    original["per_layer_config"]["2"]["intermediate_size"] = 80
    assert written == original


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ({"3": {}}, "/per_layer_config/3: there are 3 layers"),
        ({"one": {}}, "/per_layer_config/one: expected the number of a layer"),
        ({"1": {"surprise": 1}}, "/per_layer_config/1/surprise.*is not understood"),
        ({"1": {"intermediate_size": 0}}, "/per_layer_config/1/intermediate_size: found 0"),
        ({"1": {"hidden_size": 64}}, "/per_layer_config/1: these fields change more than the layer"),
        ({"1": {"vocab_size": 8}}, "/per_layer_config/1: these fields change more than the layer"),
        ({"1": {"num_hidden_layers": 2}}, "/per_layer_config/1: these fields change more than the layer"),
        ({"1": {"skip": ["norm"]}}, "/per_layer_config/1/skip: found"),
        ({"1": {"skip": ["attention", "mlp"]}}, "/per_layer_config/1: nothing is left"),
        ([], "/per_layer_config: found"),
        ({"1": 2}, "/per_layer_config/1: found 2"),
    ],
)
def test_what_no_layer_can_have_is_refused(layers: Any, message: str, tmp_path: Path) -> None:
    fields = {"model_type": "llama", **DECODER, "per_layer_config": layers}
    (tmp_path / "config.json").write_text(json.dumps(fields))
    with pytest.raises(InputError, match=message):
        open_source(tmp_path)
