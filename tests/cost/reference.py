"""Independent counts: transformers' own classes on the meta device, where nothing is stored and nothing computed."""

from dataclasses import dataclass, field
from typing import Any

import torch
import transformers
from torch.utils.flop_counter import FlopCounterMode

from archspec.interop.huggingface import to_spec
from archspec.spec import Resolved, load_spec, resolve

torch.set_num_threads(1)


@dataclass(frozen=True)
class Reference:
    """`model` and `config` name classes of transformers; `fields` the configuration."""

    model: str
    config: str
    fields: dict[str, Any] = field(default_factory=dict)

    def resolved(self) -> Resolved:
        """Our reading of the same configuration."""
        config = self._config().to_dict() | {"architectures": [self.model]}
        return resolve(load_spec(to_spec(config)))

    def parameters(self) -> int:
        """Elements of all parameters, tied ones once."""
        return sum(p.numel() for p in self._meta().parameters())

    def flops(self, batch: int, length: int) -> int:
        """What torch's counter gives for one forward: every matrix product, hidden pairs too."""
        model = self._meta()
        ids = torch.zeros(batch, length, dtype=torch.long, device="meta")
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            # A mask that is given is not built: building one looks at values, which do not exist here.
            model(input_ids=ids, attention_mask=torch.zeros(batch, 1, length, length, device="meta"), use_cache=False)
        return int(counter.get_total_flops())

    def _config(self) -> Any:
        config = getattr(transformers, self.config)(**self.fields)
        config._attn_implementation = "eager"
        return config

    def _meta(self) -> torch.nn.Module:
        with torch.device("meta"):
            model: torch.nn.Module = getattr(transformers, self.model)(self._config())
        return model.eval()


SMALL = {"vocab_size": 97, "hidden_size": 32, "intermediate_size": 80, "num_hidden_layers": 3,
         "num_attention_heads": 4, "max_position_embeddings": 64}  # fmt: skip
GROUPED = SMALL | {"num_key_value_heads": 2}

REFERENCES = {
    "llama": Reference("LlamaForCausalLM", "LlamaConfig", GROUPED),
    "llama-tied": Reference("LlamaForCausalLM", "LlamaConfig", GROUPED | {"tie_word_embeddings": True}),
    "llama-wide-heads": Reference("LlamaForCausalLM", "LlamaConfig", GROUPED | {"head_dim": 24}),
    "mistral": Reference("MistralForCausalLM", "MistralConfig", GROUPED | {"sliding_window": 16}),
    "qwen2": Reference("Qwen2ForCausalLM", "Qwen2Config", GROUPED),
    "qwen3": Reference("Qwen3ForCausalLM", "Qwen3Config", GROUPED | {"head_dim": 16}),
    "gpt2": Reference("GPT2LMHeadModel", "GPT2Config",
                      {"vocab_size": 97, "bos_token_id": 1, "eos_token_id": 2, "n_embd": 32, "n_layer": 3,
                       "n_head": 4, "n_positions": 64}),
    "gpt2-124m": Reference("GPT2LMHeadModel", "GPT2Config"),
    "bert": Reference("BertForMaskedLM", "BertConfig", SMALL),
    "roberta": Reference("RobertaForMaskedLM", "RobertaConfig", SMALL),
    "smollm2-135m": Reference("LlamaForCausalLM", "LlamaConfig", {
        "vocab_size": 49152, "hidden_size": 576, "intermediate_size": 1536, "num_hidden_layers": 30,
        "num_attention_heads": 9, "num_key_value_heads": 3, "tie_word_embeddings": True,
        "max_position_embeddings": 8192}),
}  # fmt: skip
