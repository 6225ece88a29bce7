"""The tables of `archspec show`."""

from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from compiler.cost.memory import RESERVE_SHARE
from compiler.cost.report import CostReport

GIB = 2**30


def print_report(r: CostReport) -> None:
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=120)
    weights = r.storage.precision.weights
    stored = "mixed" if isinstance(weights, dict) else weights
    console.print(f"[bold]{r.name}[/bold]  hash {r.hash[:12]}  variant {r.variant[:12]}")
    console.print(
        f"context {r.context:,}, batch {r.batch}, weights {stored}, activations {r.storage.precision.activations}, "
        f"cache {r.storage.cache.name}, {r.device.name}"
    )
    for table in (_parameters(r), _flops(r), _memory(r), _speed(r)):
        if table is not None:
            console.print(table, "")
    console.print(f"[bold]why[/bold]  {r.why}")
    for note in r.notes:
        console.print(f"[bold]note[/bold]  {note}")


def print_parameters(rows: Sequence[dict[str, Any]]) -> None:
    """One line for each parameter, wide enough for pipes."""
    width = max((len(row["path"]) for row in rows), default=0)
    for row in rows:
        shape = "×".join(map(str, row["shape"]))
        made = "  <- " + ", ".join(row["source"]) if row["source"] else ""
        print(f"{row['path']:<{width}}  {shape:>16}  {row['dtype']:<5} {row['bytes']:>14,}{made}")


def _table(title: str, *columns: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for i, column in enumerate((title, *columns)):
        words = i in (0, len(columns))  # the first column names the row, the last one explains it
        table.add_column(column, justify="left" if words else "right", header_style="bold" if i == 0 else None)
    return table


def _parameters(r: CostReport) -> Table:
    p = r.parameters
    table = _table("parameters", "count", "GB", "")
    table.add_row("total", f"{p.total:,}", f"{p.weight_bytes / 1e9:.3f}", "every tensor once, tied ones too")
    if p.active != p.total:
        table.add_row("active", f"{p.active:,}", "", "used by one token, embedding tables counted whole")
    table.add_row("without embeddings and head", f"{p.non_embedding:,}", "")
    for kind, n in p.by_kind.items():
        bits = 8 * p.bytes_by_kind[kind] / n
        table.add_row(f"  {kind}", f"{n:,}", f"{p.bytes_by_kind[kind] / 1e9:.3f}", f"{bits:.4g} bits each")
    return table


def _flops(r: CostReport) -> Table:
    f = r.flops
    table = _table("operations", "all pairs", "visible", "")
    table.add_row(
        "forward over the context",
        _count(f.prefill),
        _count(f.prefill_exact),
        "2 a multiply-add; head at every position",
    )
    if f.decode is not None and f.decode_exact is not None:
        table.add_row("prompt, head once", "", _count(f.prefill_generation), "head at the last position only")
        table.add_row("one more token", _count(f.decode), _count(f.decode_exact), "each sequence, at the context")
    return table


def _memory(r: CostReport) -> Table:
    m, c = r.memory, r.cache
    training = r.training
    rows: list[tuple[str, int, str]]
    if training:
        note = "by formula"
        rows = [
            ("weights", training.weights, "bf16"), ("gradients", training.gradients, "bf16"),
            ("master weights", training.master_weights, "fp32"), ("optimizer", training.optimizer, "Adam, two of fp32"),
            ("activations kept", training.activations, "all that the backward pass reads, fused attention"),
            ("logits and loss", training.logits, "14 bytes a logit"),
            ("workspace", training.workspace, "device context"),
            ("reserve", training.reserve, f"{RESERVE_SHARE:.0%} for the allocator"), ("total", training.total, ""),
            ("  activations, checkpointed", training.activations_checkpointed, "instead, keeping layer inputs only"),
        ]  # fmt: skip
    else:
        note = f"prompt in chunks of {r.prefill_chunk:,}" if r.no_step is None else "one forward"
        growing = c.at_context - c.constant_bytes - c.cross_bytes_per_encoder_token * r.context
        ring = ", windows keep rings" if growing < c.bytes_per_token * r.context else ""
        rows = [
            ("weights", m.weights, ""), ("cache", m.cache, f"{c.bytes_per_token:,} B a token{ring}"),
            ("activations", m.activations, "peak of the rewritten graph, by liveness"),
            ("logits", m.logits, "last position, fp32" if r.no_step is None else ""),
            ("workspace", m.workspace, "device context and libraries"),
            ("reserve", m.reserve, f"{RESERVE_SHARE:.0%} for the allocator"), ("total", m.total, ""),
        ]  # fmt: skip
    table = _table(f"{'training' if training else 'inference'} memory", "GB", "GiB", note)
    for name, size, what in rows:
        style = "bold" if name == "total" else None
        table.add_row(name, f"{size / 1e9:.3f}", f"{size / GIB:.3f}", what, style=style)
    if not training and c.cross_bytes_per_encoder_token:
        table.add_row("  of the cache", "", "", f"{c.cross_bytes_per_encoder_token:,} B for each source token")
    if not training and c.constant_bytes:
        table.add_row("  of the cache", "", "", f"{c.constant_bytes:,} B of constant state")
    seen = r.device.memory_bytes
    table.add_row(
        f"{r.device.name} shows", f"{seen / 1e9:.3f}", f"{seen / GIB:.3f}", "fits" if r.fits else "does not fit"
    )
    return table


def _speed(r: CostReport) -> Table | None:
    s = r.speed
    if r.training or s.prefill_tokens_per_second is None or s.prefill_limit is None:
        return None
    table = _table("tokens a second", "expected", "at most", "bound", "")
    name = "prompt" if r.no_step is None else "forward"
    table.add_row(name, f"{s.prefill_tokens_per_second:,.0f}", f"{s.prefill_limit:,.0f}", s.prefill_bound, "")
    if s.decode_tokens_per_second is not None and s.decode_limit is not None:
        table.add_row(
            "decode",
            f"{s.decode_tokens_per_second:,.1f}",
            f"{s.decode_limit:,.1f}",
            s.decode_bound,
            r.efficiency.source,
        )
    return table


def _count(n: int) -> str:
    return f"{n / 1e9:,.3f} G" if n < 1e13 else f"{n / 1e12:,.2f} T"
