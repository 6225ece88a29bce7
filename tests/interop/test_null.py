"""Null in config.json: where a family's own class has a number, it is no size."""

import pytest
import transformers

from archspec.errors import InputError
from archspec.interop.hf import FAMILIES
from archspec.interop.huggingface import to_spec
from archspec.spec import load_spec
from archspec.spec.canonical import canonical
from tests.interop.test_source import NEEDED

# Null means something else than absent, or nothing reads it unless other fields say so.
OWN_NULL = {
    "num_key_value_heads", "num_decoder_layers", "sliding_window", "max_window_layers", "q_lora_rank",
    "original_max_position_embeddings",
}  # fmt: skip


@pytest.mark.parametrize("model_type", [name for name in FAMILIES if name in transformers.CONFIG_MAPPING])
def test_null_is_a_size_only_where_transformers_has_none(model_type: str) -> None:
    """Field by field: null means what is absent where the default of their class is None; else it is refused."""
    cls, fields = transformers.CONFIG_MAPPING[model_type], NEEDED.get(model_type, {}) | {"model_type": model_type}
    absent, refused = canonical(load_spec(to_spec(fields))), []
    for name, default in {name: getattr(cls, name) for name in dir(cls) if hasattr(cls(), name)}.items():
        if name in fields or name in OWN_NULL or name.startswith("_") or not (default is None or type(default) is int):
            continue
        try:
            to_spec(fields | {name: "x"})
        except InputError as error:
            if "expected a whole number" not in error.message:
                continue
        else:
            continue  # it is not read as a size
        if default is None:
            assert canonical(load_spec(to_spec(fields | {name: None}))) == absent, name
            continue
        with pytest.raises(InputError, match="found null, expected a whole number") as caught:
            to_spec(fields | {name: None})
        assert caught.value.path == f"/{name}"
        refused.append(name)
    assert {"vocab_size", "hidden_size"} & set(refused) or len(refused) > 2
