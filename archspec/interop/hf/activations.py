"""Names of activations: transformers 5.23 `activations.py` ACT2CLS <-> ours. Several of theirs are one function."""

ACTIVATIONS = {
    "silu": "silu",
    "swish": "silu",
    "gelu": "gelu",
    "gelu_python": "gelu",
    "gelu_new": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
    "gelu_python_tanh": "gelu_tanh",
    "gelu_fast": "gelu_tanh",
    "gelu_accurate": "gelu_tanh",
    "relu": "relu",
    "relu2": "relu2",
    "relu6": "relu6",
    "mish": "mish",
    "quick_gelu": "gelu_quick",
    "tanh": "tanh",
    "sigmoid": "sigmoid",
    "linear": "identity",
}

# Ours -> the spelling to write. Where several mean the same the one that configurations usually carry is taken.
SPELLINGS = {
    "silu": "silu",
    "gelu": "gelu",
    "gelu_tanh": "gelu_new",
    "relu": "relu",
    "relu2": "relu2",
    "relu6": "relu6",
    "mish": "mish",
    "gelu_quick": "quick_gelu",
    "tanh": "tanh",
    "sigmoid": "sigmoid",
    "identity": "linear",
}
