"""How many parameters a program has, exactly, by kind, and how many one token uses."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import prod

from compiler.cost.formats import Storage
from compiler.cost.sites import Site
from compiler.ir.program import Program


@dataclass(frozen=True)
class Parameters:
    """Elements.

    total: every parameter once, a tied one too: what counting the reference's tensors gives. active: what one token
    uses (embedding tables counted whole). stored: elements in the weight file that we write; each tied tensor once.
    non_embedding: less all embedding tables and the head's matrix, tied or not.
    """

    total: int
    active: int
    stored: int
    non_embedding: int
    non_embedding_active: int
    by_kind: Mapping[str, int] = field(default_factory=dict)
    weight_bytes: int = 0
    bytes_by_kind: Mapping[str, int] = field(default_factory=dict)


OUTSIDE = ("embedding", "head")


def count(program: Program, found: tuple[Site, ...], copies: Mapping[str, int], storage: Storage) -> Parameters:
    """`found`: the program's sites; `copies`: template -> number of stored tensors."""
    shares = {
        template: site.op.active_share(site.node.attrs) for site in found for template in site.node.params.values()
    }
    by_kind: dict[str, int] = {}
    bytes_by_kind: dict[str, int] = {}
    active = active_inside = 0
    for template, n in copies.items():
        param = program.params[template]
        elements = prod(param.shape) * n
        by_kind[param.kind] = by_kind.get(param.kind, 0) + elements
        size = storage.weight(param.kind).bytes_of(param.shape) * n
        bytes_by_kind[param.kind] = bytes_by_kind.get(param.kind, 0) + size
        used = round(elements * shares[template])
        active += used
        if param.kind not in OUTSIDE:
            active_inside += used
    bytes_by_kind |= {kind: stored for kind, (stored, _) in storage.mixed.items() if kind in bytes_by_kind}
    total = sum(by_kind.values())
    inside = total - sum(by_kind.get(kind, 0) for kind in OUTSIDE)
    return Parameters(total, active, total, inside, active_inside, by_kind, sum(bytes_by_kind.values()), bytes_by_kind)
