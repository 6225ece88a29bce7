"""Fields of config.json that do not change what the forward computes. They live on in `origin` only.

Sources: transformers 5.23 `configuration_utils.py` (fields of PreTrainedConfig; the generation parameters that it pops)
and `GenerationConfig._get_default_generation_params()`, plus what releases 2 to 4 wrote.
"""

# Bookkeeping, and what the caller gets back rather than what is computed.
BOOKKEEPING = frozenset({
    "architectures", "model_type", "transformers_version", "_name_or_path", "name_or_path", "_commit_hash", "dtype",
    "torch_dtype", "finetuning_task", "id2label", "label2id", "num_labels", "_num_labels", "problem_type",
    "task_specific_params", "return_dict", "use_return_dict", "output_hidden_states", "output_attentions",
    "output_past", "torchscript", "use_bfloat16", "use_cache", "gradient_checkpointing", "tokenizer_class",
    "prefix", "language", "attn_implementation", "_attn_implementation", "_attn_implementation_autoset",
    "pretraining_tp", "chunk_size_feed_forward",
})  # fmt: skip

# Read by the tokenizer and by `generate`; token ids are copied to the package from here.
GENERATION = frozenset({
    "bos_token_id", "eos_token_id", "pad_token_id", "sep_token_id", "cls_token_id", "mask_token_id", "unk_token_id",
    "decoder_start_token_id", "assistant_confidence_threshold", "assistant_lookbehind", "bad_words_ids",
    "begin_suppress_tokens", "diversity_penalty", "do_sample", "early_stopping", "encoder_no_repeat_ngram_size",
    "encoder_repetition_penalty", "epsilon_cutoff", "eta_cutoff", "exponential_decay_length_penalty",
    "forced_bos_token_id", "forced_eos_token_id", "length_penalty", "max_length", "max_new_tokens", "min_length",
    "no_repeat_ngram_size", "num_assistant_tokens", "num_assistant_tokens_schedule", "num_beam_groups", "num_beams",
    "num_return_sequences", "output_scores", "remove_invalid_values", "repetition_penalty",
    "return_dict_in_generate", "suppress_tokens", "target_lookbehind", "temperature", "top_k", "top_p", "typical_p",
})  # fmt: skip

# Dropout acts in training only; initialisers before it.
TRAINING = frozenset({
    "initializer_range", "initializer_factor", "attention_dropout", "hidden_dropout", "hidden_dropout_prob",
    "attention_probs_dropout_prob", "classifier_dropout", "resid_pdrop", "embd_pdrop", "attn_pdrop",
})  # fmt: skip

ALWAYS = BOOKKEEPING | GENERATION | TRAINING

# Understood with one value only, whatever the family: another one changes the graph.
FIXED: dict[str, tuple[object, ...]] = {
    "add_cross_attention": (False,),
    "cross_attention_hidden_size": (None,),
    "tie_encoder_decoder": (False,),
    "pruned_heads": ({},),
    "quantization_config": (None,),
    "tf_legacy_loss": (False,),
}
