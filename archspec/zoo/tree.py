"""The decision tree: which kind of architecture a task wants, as data. Its leaves name specs of the zoo, best first.

Here stand only the questions and the reasons; every number (memory, speed) is computed by who walks the tree.
Source: the practice of surveys on efficient transformers; their tables of memory and speed are not taken over.
"""

from dataclasses import dataclass

GIGABYTE = 1e9
LARGE, SMALL = 24.0, 16.0  # GB; between them a hybrid


@dataclass(frozen=True)
class Leaf:
    """`specs`: zoo names, the strongest first. `context`: tokens that are meant where the user gives no number.
    `long_context`: the same where long text is meant but no question of the tree asks for it; 0 where it cannot be."""

    kind: str
    specs: tuple[str, ...]
    context: int
    long_context: int = 0


@dataclass(frozen=True)
class Branch:
    """One answer to a question, why it leads where it does, and what follows."""

    answer: str
    reason: str
    then: "Fork | Leaf"


@dataclass(frozen=True)
class Fork:
    """`fact`: which fact of the request answers the question."""

    fact: str
    question: str
    branches: tuple[Branch, ...]


SPARSE = Leaf(
    "decoder with windows and global layers",
    ("gemma-3-27b", "gpt-oss-20b", "gemma-3-12b", "moba-8b", "gemma-3-4b", "gemma-3-1b"),
    16384,
)
HYBRID = Leaf(
    "hybrid of attention and state space or convolution", ("minimax-text-01", "jamba-v0.1", "stripedhyena-7b"), 16384
)
STATE_SPACE = Leaf(
    "state space or retention",
    ("falcon-mamba-7b", "retnet-6.7b", "mamba-2.8b", "mamba2-2.7b", "retnet-2.7b", "mamba2-1.3b", "mamba-790m",
     "mamba2-370m", "mamba-130m"),
    16384,
)  # fmt: skip
PLAIN = Leaf(
    "plain decoder",
    ("mixtral-8x22b", "qwen2.5-72b", "qwen3-32b", "qwen3-14b", "llama-3.1-8b", "qwen3-4b", "qwen3-1.7b",
     "smollm2-360m", "smollm2-135m"),
    2048,
)  # fmt: skip
LOCAL_GLOBAL = Leaf(
    "decoder with fine local attention and a global path",
    ("gemma-3-27b", "gpt-oss-20b", "gemma-3-12b", "gemma-3-4b", "gemma-3-1b"),
    8192,
    long_context=16384,
)
LONG_ENCODER = Leaf(
    "encoder with windows and global tokens",
    ("longformer-large-4096", "bigbird-roberta-large", "longformer-base-4096", "bigbird-roberta-base"),
    4096,
)
ENCODER = Leaf("encoder", ("bert-large", "bert-base", "minilm-l6"), 512)
MANY_LANGUAGES = Leaf(
    "encoder of many languages",
    ("xlm-roberta-xxl", "xlm-roberta-xl", "xlm-roberta-large", "xlm-roberta-base"),
    512,
)
MANY_TASKS = Leaf(
    "encoder-decoder taught many tasks",
    ("flan-ul2", "flan-t5-xxl", "flan-t5-xl", "flan-t5-large", "flan-t5-base", "flan-t5-small"),
    512,
)
ONE_TASK = Leaf("encoder-decoder", ("t5-11b", "t5-3b", "t5-large", "t5-base", "t5-small"), 512)

DECODER = Fork(
    "long_context",
    "Long text?",
    (
        Branch(
            "no", "keys and values of a short text are small beside the weights: full attention costs little", PLAIN
        ),
        Branch(
            "yes",
            "keys and values, and the work of full attention, grow with the text",
            Fork(
                "memory",
                "How much memory?",
                (
                    Branch(
                        f"more than {LARGE:g} GB",
                        "room for keys and values: windows bound most layers, global layers keep sight of everything",
                        SPARSE,
                    ),
                    Branch(
                        f"{SMALL:g} to {LARGE:g} GB",
                        "a few attention layers recall, the others carry a state that does not grow",
                        HYBRID,
                    ),
                    Branch(
                        f"less than {SMALL:g} GB",
                        "a state of constant size: memory does not depend on the length of the text",
                        STATE_SPACE,
                    ),
                ),
            ),
        ),
    ),
)

TREE = Fork(
    "task",
    "What is the task?",
    (
        Branch("generate", "text is written from left to right: a decoder alone", DECODER),
        Branch(
            "understand",
            "every token may see all others: an encoder alone",
            Fork(
                "multilingual",
                "Several languages?",
                (
                    Branch("yes", "one vocabulary and one model over a hundred languages", MANY_LANGUAGES),
                    Branch(
                        "no",
                        "one language needs no shared vocabulary",
                        Fork(
                            "long_context",
                            "Long documents?",
                            (
                                Branch("no", "512 tokens are enough: full attention both ways", ENCODER),
                                Branch("yes", "windows with a few global tokens keep the work linear", LONG_ENCODER),
                            ),
                        ),
                    ),
                ),
            ),
        ),
        Branch(
            "transform",
            "one text becomes another: an encoder reads, a decoder writes",
            Fork(
                "multitask",
                "Several tasks?",
                (
                    Branch("yes", "tuned on instructions of many tasks: the task is said in the text", MANY_TASKS),
                    Branch("no", "one task is fine-tuned", ONE_TASK),
                ),
            ),
        ),
        Branch(
            "code",
            "neighbouring lines matter most, definitions stand far away: local attention with a global path",
            LOCAL_GLOBAL,
        ),
    ),
)
# More tokens than this are a long text, whether or not the user says so.
LONG_FROM = {"generate": 8192, "understand": 512}
