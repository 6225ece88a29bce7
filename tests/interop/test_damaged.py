"""Whatever stands in a file that somebody sent: a spec or one clear error, never a crash."""

import json
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, given, settings

from archspec import zoo
from archspec.errors import InputError
from archspec.interop.huggingface import export_config, to_spec
from archspec.interop.source import open_source, open_spec
from archspec.spec import load_spec, resolve
from archspec.spec.canonical import canonical
from tests.interop.test_gguf import CASES, file_of
from tests.interop.test_source import PUBLISHED

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 10**13) | st.floats(allow_nan=False) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=2),
    max_leaves=4,
)
ROPE = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 64, "short_factor": [1.0]}
FIELDS: dict[str, dict[str, Any]] = {
    **{name: fields | {"rope_scaling": ROPE} for name, fields in PUBLISHED.items() if name != "gpt2"},
    "gpt2": PUBLISHED["gpt2"],
    "bert": {"model_type": "bert", "hidden_size": 32, "num_attention_heads": 4, "hidden_act": "gelu"},
    "roberta": {"model_type": "roberta", "pad_token_id": 1, "max_position_embeddings": 66},
    "longrope": {"model_type": "llama", "rope_scaling": ROPE | {"rope_type": "longrope", "long_factor": [1.0]}},
}


@settings(max_examples=400, deadline=None)
@given(st.data())
def test_any_value_in_any_field(data: st.DataObject) -> None:
    fields = json.loads(json.dumps(data.draw(st.sampled_from(list(FIELDS.values())))))
    at = fields
    if "rope_scaling" in fields and data.draw(st.booleans()):
        at = fields["rope_scaling"]
    at[data.draw(st.sampled_from(sorted(at)))] = data.draw(JSON)
    try:
        spec = load_spec(to_spec(fields, source="config.json"))
        resolve(spec)
    except InputError:
        return
    assert json.loads(export_config(spec)) == fields


def test_any_byte_of_a_gguf_header(tmp_path: Path) -> None:
    path, _ = file_of(CASES["llama"], tmp_path)
    whole = path.read_bytes()

    @settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(st.integers(0, 2600), st.binary(min_size=1, max_size=4))
    def damage(at: int, new: bytes) -> None:
        path.write_bytes(whole[:at] + new + whole[at + len(new) :])
        try:
            resolve(open_source(path).spec)
        except InputError as error:
            assert str(error)

    damage()


# Those that config.json of a family here can say; the others must be refused, not written wrongly.
SAYABLE = {
    "llama": [
        "llama-2-7b",
        "llama-2-70b",
        "llama-3-8b",
        "llama-3.1-405b",
        "llama-3.2-1b",
        "smollm2-135m",
        "smollm2-1.7b",
    ],
    "mistral": ["mistral-7b"],
    "qwen2": ["qwen2-0.5b", "qwen2-72b", "qwen2.5-7b"],
    "qwen3": ["qwen3-0.6b", "qwen3-32b"],
    "gemma2": ["gemma-2-2b", "gemma-2-27b"],
    "gemma3_text": ["gemma-3-1b", "gemma-3-27b"],
    "olmo2": ["olmo-2-7b", "olmo-2-13b"],
    "gpt_neox": ["pythia-70m", "pythia-12b"],
    "gpt_oss": ["gpt-oss-20b", "gpt-oss-120b"],
    "rwkv": ["rwkv-4-169m", "rwkv-4-14b"],
    "reformer": ["reformer-enwik8"],
    "transfo-xl": ["transformer-xl-wt103"],
    "switch_transformers": ["switch-base-8", "switch-base-128"],
    "nllb-moe": ["nllb-moe-54b"],
    "xlm-roberta-xl": ["xlm-roberta-xl", "xlm-roberta-xxl"],
    "roformer": ["roformer-base"],
    "longformer": ["longformer-base-4096", "longformer-large-4096"],
    "big_bird": ["bigbird-roberta-base-eval"],
    "funnel": ["funnel-small"],
    "wav2vec2-conformer": ["wav2vec2-conformer-large"],
    "wav2vec2-bert": ["w2v-bert-2.0"],
    "idefics": ["idefics-9b"],
    "mllama_text_model": ["llama-3.2-11b-vision-text"],
    "mixtral": ["mixtral-8x7b", "mixtral-8x22b"],
    "qwen2_moe": ["qwen1.5-moe-a2.7b", "qwen2-57b-a14b"],
    "qwen3_moe": ["qwen3-30b-a3b", "qwen3-235b-a22b"],
    "deepseek_v2": ["deepseek-v2", "deepseek-v2-lite"],
    "deepseek_v3": ["deepseek-v3", "deepseek-r1"],
    "mamba": ["mamba-130m", "mamba-2.8b"],
    "mamba2": ["mamba2-130m", "mamba-codestral-7b"],
    "jamba": ["jamba-v0.1"],
    "gpt2": ["gpt2", "gpt2-xl"],
    "bloom": ["bloom-560m", "bloom-176b"],
    "falcon": ["falcon-7b", "falcon-40b", "falcon-180b", "falcon2-11b", "falcon-rw-1b"],
    "glm": ["glm-4-9b", "glm-4-9b-chat", "chatglm3-6b"],
    "glm4": ["glm-4-9b-0414", "glm-4-32b-0414"],
    "mpt": ["mpt-7b"],
    "t5": ["t5-small", "t5-11b", "flan-t5-small", "flan-ul2"],
    "bart": ["bart-base", "bart-large"],
    "mbart": ["mbart-large-cc25"],
    "marian": ["marian-en-de"],
    "bert": ["bert-base", "bert-base-relative", "bert-large", "minilm-l6"],
    "roberta": ["roberta-base", "roberta-large"],
}


@pytest.mark.parametrize("name", zoo.names())
def test_every_zoo_spec_is_exported_or_refused(name: str) -> None:
    spec = open_spec(f"zoo:{name}")
    wanted = next((family for family, names in SAYABLE.items() if name in names), None)
    try:
        text = export_config(spec)
    except InputError as refusal:
        assert "no Hugging Face family can say this architecture" in str(refusal)
        assert wanted is None
        return
    fields = json.loads(text)
    assert wanted in (None, fields["model_type"])
    again = load_spec(to_spec(fields))
    assert canonical(again) == canonical(spec) and resolve(again).max_length == resolve(spec).max_length
