"""Every family against transformers: the spec means what their model computes, and the configuration comes back."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import transformers
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from archspec.errors import InputError
from archspec.interop.huggingface import export_config
from archspec.interop.recipe import sources
from archspec.interop.source import open_source
from archspec.spec import load_spec, resolve
from compiler.lower.program import lower
from compiler.verify.interpreter import interpret
from compiler.weights import load, open_weights
from tests.interop.tiny import CASES, VOCABULARY, Case

IDS = torch.randint(5, VOCABULARY, (2, 11), generator=torch.Generator().manual_seed(0))
TARGETS = torch.randint(5, VOCABULARY, (2, 7), generator=torch.Generator().manual_seed(1))


def outputs(case: Case, model: torch.nn.Module, shift: int = 0) -> transformers.utils.ModelOutput:
    """What transformers computes, words counted on by `shift`; an encoder-decoder also gets what it has written."""
    words, written = (5 + (ids - 5 + shift) % (VOCABULARY - 5) for ids in (IDS, TARGETS))
    more = {"decoder_input_ids": written} if case.role == "pair" else case.more(words)
    return model(words, **{name: x.to(model.dtype) if x.is_floating_point() else x for name, x in more.items()})


@torch.no_grad()
def exact(case: Case, model: torch.nn.Module, monkeypatch: pytest.MonkeyPatch) -> transformers.utils.ModelOutput:
    """`outputs` in float64: what they compute in float32 on purpose (norms, mostly) is not rounded either."""
    with monkeypatch.context() as patch:
        patch.setattr(torch.Tensor, "float", torch.Tensor.double)
        return outputs(case, model.double().eval())


def logits_here(
    folder: Path, ids: torch.Tensor, mask: torch.Tensor | None = None, **more: torch.Tensor
) -> torch.Tensor:
    source = open_source(folder)
    program = lower(resolve(source.spec))
    params = {path: param.shape for path, param in program.parameter_paths().items()}
    weights = load(params, source.tensors, open_weights(folder), torch.float64)
    targets = {"decoder_input_ids": TARGETS} if len(source.spec._document["stacks"]) > 1 else {}
    inputs = {"input_ids": ids} | targets | more | ({} if mask is None else {"attention_mask": mask})
    return next(iter(interpret(program, weights, inputs).values()))


def test_means_what_transformers_computes(saved: tuple[Case, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    case, folder = saved
    theirs = getattr(transformers, head_class(folder))
    model = theirs.from_pretrained(
        folder, dtype=torch.float64, attn_implementation=case.attention, experts_implementation="eager"
    )
    expected = exact(case, model, monkeypatch).logits
    # float64 on both sides, so that what remains is their float32 rotary table.
    torch.testing.assert_close(logits_here(folder, IDS, **case.more(IDS)), expected.double(), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", ["bert", "roberta"])
def test_padding_does_not_shift_what_is_seen(name: str, tmp_path: Path) -> None:
    model = CASES[name].save(tmp_path).double()
    mask = torch.ones_like(IDS, dtype=torch.bool)
    mask[1, -4:] = mask[0, :3] = False  # right and left
    ids = IDS.masked_fill(~mask, model.config.pad_token_id)
    with torch.no_grad():
        expected = model(ids, attention_mask=mask.long()).logits
    torch.testing.assert_close(logits_here(tmp_path, ids, mask)[mask], expected[mask], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(("name", "head"), [("bert", "BertLMHeadModel"), ("roberta", "RobertaForCausalLM")])
def test_an_encoder_may_be_told_to_decode(name: str, head: str, tmp_path: Path) -> None:
    model = CASES[name].save(tmp_path, head, is_decoder=True).double()
    with torch.no_grad():
        expected = model(IDS).logits
    torch.testing.assert_close(logits_here(tmp_path, IDS), expected, atol=1e-5, rtol=1e-5)


def test_pre_training_leaves_its_second_head_unread(tmp_path: Path) -> None:
    model = CASES["bert"].save(tmp_path, "BertForPreTraining").double()
    with torch.no_grad():
        expected = model(IDS).prediction_logits
    torch.testing.assert_close(logits_here(tmp_path, IDS), expected, atol=1e-5, rtol=1e-5)
    matched = open_source(tmp_path).tensors.matched(open_weights(tmp_path).shapes())
    assert {name.rpartition(".")[0] for name in matched.unread} == {"bert.pooler.dense", "cls.seq_relationship"}


def respelled(folder: Path, name: str, respell: Callable[[str], str], extra: dict[str, torch.Tensor]) -> torch.Tensor:
    """Saves a model, renames its stored tensors and adds some; the logits that it had before."""
    model = CASES[name].save(folder).double()
    file = folder / "model.safetensors"
    tensors = {respell(key): tensor for key, tensor in load_file(file).items()}
    save_file(tensors | extra, file)
    with torch.no_grad():
        return model(IDS).logits


def test_names_of_the_first_gpt2_checkpoint(tmp_path: Path) -> None:
    masks = {f"h.{layer}.attn.bias": torch.ones(1, 1, 4, 4) for layer in range(3)}
    expected = respelled(tmp_path, "gpt2", lambda name: name.removeprefix("transformer."), masks)
    torch.testing.assert_close(logits_here(tmp_path, IDS), expected, atol=1e-5, rtol=1e-5)


def test_names_of_the_first_bert_checkpoint(tmp_path: Path) -> None:
    def old(name: str) -> str:
        return name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta")

    extra = {"bert.embeddings.position_ids": torch.arange(40)[None], "cls.seq_relationship.weight": torch.ones(2, 32)}
    expected = respelled(tmp_path, "bert", old, extra)
    torch.testing.assert_close(logits_here(tmp_path, IDS), expected, atol=1e-5, rtol=1e-5)


def test_rotary_frequencies_in_old_llama_checkpoints_are_left_unread(tmp_path: Path) -> None:
    stored = {"model.layers.0.self_attn.rotary_emb.inv_freq": torch.ones(4)}
    expected = respelled(tmp_path, "llama", lambda name: name, stored)
    torch.testing.assert_close(logits_here(tmp_path, IDS), expected, atol=1e-5, rtol=1e-5)


def test_weights_of_another_model_are_refused(saved: tuple[Case, Path], tmp_path: Path) -> None:
    _, folder = saved
    CASES["gpt2" if "gpt2" not in head_class(folder).lower() else "bert"].save(tmp_path)
    source = open_source(folder)
    shapes = {path: param.shape for path, param in lower(resolve(source.spec)).parameter_paths().items()}
    with pytest.raises(InputError, match=r"missing .* and .* more; surplus"):
        load(shapes, source.tensors, open_weights(tmp_path))


def head_class(folder: Path) -> str:
    return json.loads((folder / "config.json").read_text())["architectures"][0]


def test_reads_exactly_what_the_forward_reads(saved: tuple[Case, Path], tmp_path: Path) -> None:
    case, folder = saved
    model = case.build(**({"use_cache": False} if hasattr(case.build().config, "use_cache") else {}))
    for shift in (0, 13, 31):  # more words, so that every expert is chosen
        outputs(case, model, shift).logits.sum().backward()
    stored = set(safe_open(folder / "model.safetensors", "pt").keys())
    tensors = open_source(folder).tensors.matched(stored)
    used = marked(model, tmp_path) - set(tensors.copies)
    assert {name for recipe in tensors.recipes.values() for name in sources(recipe)} == used
    assert set(tensors.unread) | set(tensors.copies) == stored - used


# Stored, though they follow from the configuration.
FOLLOWING = ("slope_rate", "_decay", "encoder.embed_positions.weight")


@torch.no_grad()
def marked(model: torch.nn.Module, folder: Path) -> set[str]:
    """The stored tensors with a gradient, under the names that saving gives them; buffers count as used."""
    for p in model.parameters():
        p.fill_(p.grad is not None)
    for name, buffer in model.named_buffers():
        buffer.fill_(not name.endswith(FOLLOWING))
    model.save_pretrained(folder)
    return {name for name, tensor in load_file(folder / "model.safetensors").items() if tensor.any()}


def test_paths_are_those_of_the_lowered_program(saved: tuple[Case, Path]) -> None:
    source = open_source(saved[1])
    assert set(lower(resolve(source.spec)).parameter_paths()) == set(source.tensors.recipes)


def test_an_unedited_import_exports_the_same_file(saved: tuple[Case, Path]) -> None:
    spec = open_source(saved[1]).spec
    assert export_config(spec) == (saved[1] / "config.json").read_text()


# Families that another one can say, under other tensor names: the export takes the plainer one.
PLAINER = {"mistral": "llama", "phi3": "mistral", "xlm-roberta": "roberta"}


def test_without_origin_the_export_means_the_same(saved: tuple[Case, Path], tmp_path: Path) -> None:
    case, folder = saved
    document = dict(open_source(folder).spec._document)
    document.pop("origin")
    (tmp_path / "config.json").write_text(export_config(load_spec(document)))
    config = transformers.AutoConfig.from_pretrained(tmp_path)
    again, before = getattr(transformers, config.architectures[0])(config), case.build()
    if config.model_type != before.config.model_type:
        assert config.model_type == PLAINER[before.config.model_type]
        assert again.num_parameters() == before.num_parameters()
        return
    shapes = {name: p.shape for name, p in before.named_parameters()}
    assert {name: p.shape for name, p in again.named_parameters()} == shapes


# Where another width than intermediate_size's stands; empty where it follows from the width of the model.
WIDTHS: dict[str, tuple[str, ...]] = {
    "switch_transformers": (),
    "xlnet": ("d_inner",),
    "gpt2": ("n_inner",),
    "mamba": ("state_size",),
    "mamba2": ("state_size",),
    "jamba": (),
    "bloom": (),
    "falcon": ("ffn_hidden_size",),
    "mpt": (),
    "t5": ("d_ff",),
    **dict.fromkeys(["bart", "mbart", "marian"], ("encoder_ffn_dim", "decoder_ffn_dim")),
}
# Where the width of the experts stands if it is not there.
EXPERT_WIDTHS = {
    **dict.fromkeys(["qwen2_moe", "qwen3_moe", "deepseek_v2", "deepseek_v3"], ("moe_intermediate_size",)),
    "switch_transformers": ("d_ff",),
}


def test_an_edit_replaces_what_it_changes_and_keeps_the_rest(saved: tuple[Case, Path]) -> None:
    original = json.loads((saved[1] / "config.json").read_text())
    document = json.loads(json.dumps(open_source(saved[1]).spec._document))
    for stack in document["stacks"].values():
        first = next(iter(stack["blocks"].values()))
        ops = [branch["op"] for step in first for branch in step.get("parallel", [step])]
        for op in ops:
            inner = op.get("expert", op)
            inner.update({width: 56 for width in ("d_ff", "d_state") if width in inner})
    widths = (EXPERT_WIDTHS if "expert" in ops[-1] else WIDTHS).get(original["model_type"], ("intermediate_size",))
    if not widths:
        with pytest.raises(InputError, match=f"{original['model_type']} cannot say this architecture"):
            export_config(load_spec(document))
        return
    assert json.loads(export_config(load_spec(document))) == original | dict.fromkeys(widths, 56)


def test_the_bare_model_has_no_head(saved: tuple[Case, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    case, _ = saved
    model = case.save(tmp_path, case.bare)
    source = open_source(tmp_path)
    assert source.spec.head is None
    expected = exact(case, model, monkeypatch).last_hidden_state
    torch.testing.assert_close(logits_here(tmp_path, IDS, **case.more(IDS)), expected, atol=1e-5, rtol=1e-5)
    if case.role == "encoder":
        matched = source.tensors.matched(safe_open(tmp_path / "model.safetensors", "pt").keys())
        assert all(name.startswith("pooler.") or name.endswith(FOLLOWING) for name in matched.unread)


@pytest.mark.parametrize("name", ["surprise", "attn_multiplier"])
def test_an_unknown_field_is_refused_by_name(saved: tuple[Case, Path], tmp_path: Path, name: str) -> None:
    fields = json.loads((saved[1] / "config.json").read_text()) | {name: {"a": 1}}
    (tmp_path / "config.json").write_text(json.dumps(fields))
    with pytest.raises(Exception, match=f"/{name}.*is not understood"):
        open_source(tmp_path)
