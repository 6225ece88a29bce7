"""Everything an inference job holds, in bytes."""

from dataclasses import dataclass

from compiler.cost.devices import Device
from compiler.cost.formats import Storage
from compiler.cost.liveness import Liveness
from compiler.cost.sites import Site
from compiler.ir.program import Program
from compiler.ops.base import Env

LOGIT_BYTES = 4  # sampling reads logits in fp32
RESERVE_SHARE = 0.03  # allocator slack: 2 to 5 % of what is allocated, a rule of thumb
DEFAULT_CHUNK = 2048  # tokens of a prompt that go through the model at once; engines use 512 to 8,192


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes.

    weights: in their storage formats. cache: caches and state of all sequences at the context. activations: peak by
    liveness over the rewritten graph. logits: what the head makes. workspace: device context and library workspace.
    reserve: 3 % of all that for the allocator.
    """

    weights: int
    cache: int
    activations: int
    logits: int
    workspace: int
    reserve: int

    @property
    def total(self) -> int:
        return self.weights + self.cache + self.activations + self.logits + self.workspace + self.reserve


def prefill_chunk(context: int, asked: int | None, can_cut: bool) -> int:
    """Tokens of each sequence that go through at once: all, where a model cannot step or sees its prompt whole."""
    return min(context, asked or DEFAULT_CHUNK) if can_cut else context


def logits_bytes(program: Program, env: Env, storage: Storage, can_step: bool) -> int:
    """Generation keeps one position in fp32; other models give all positions in the activations' type."""
    if not program.meta.get("has_head", True):
        return 0
    each = LOGIT_BYTES if can_step else storage.activation_bytes
    here = {**env, "S": 1} if can_step else env
    return sum(program.main.types[v].elements(here) for v in program.main.outputs) * each


def inference(
    program: Program, found: tuple[Site, ...], env: Env, storage: Storage, device: Device, *,
    weights: int, cache: int, can_step: bool, materialised: bool,
) -> Memory:  # fmt: skip
    """`env`: sizes of the last chunk of the prompt (S the chunk, T the context), the widest step there is."""
    tail = frozenset(site.node.name for site in found if site.stage == "tail") if can_step else frozenset()
    activations = Liveness(program, env, storage, tail, materialised).peak()
    logits = logits_bytes(program, env, storage, can_step)
    held = weights + cache + activations + logits
    return Memory(weights, cache, activations, logits, device.context_bytes, round(RESERVE_SHARE * held))
