"""What a lowering function may ask for: nodes, names of parameters, values from outside the block."""

from dataclasses import dataclass, field
from typing import Any, NoReturn

from archspec.errors import InputError
from compiler.ir.builder import Builder
from compiler.ir.types import Dim, TensorType

Poolings = tuple[tuple[int, bool], ...]  # of a stream since the input: strides, each with whether the first row is kept


@dataclass(frozen=True)
class Outer:
    """Values of the main graph that a block may capture, by capture name."""

    main: Builder
    optional: dict[str, str]  # main inputs that may be absent -> what stands in
    ids: dict[str, str]  # such an input -> the input whose shape it takes
    values: dict[str, str] = field(default_factory=dict)  # capture name -> main value
    types: dict[str, TensorType] = field(default_factory=dict)

    def offer(self, name: str, value: str, type_: TensorType) -> None:
        self.values[name], self.types[name] = value, type_

    def pooled(self, name: str, poolings: Poolings) -> str:
        """The capture name of what goes with rows pooled so, of a padding mask, positions or ids (B, S) offered as
        `name`: a row is real where all it is made of is, anything else is that of the first."""
        if not poolings:
            return name
        stride, keep_first = poolings[-1]
        of, made = self.pooled(name, poolings[:-1]), f"{name}.pooled"
        made += "".join(f"_{times}{'_but_first' if kept else ''}" for times, kept in poolings)
        if made not in self.types:
            how = "min" if name == "attention_mask" else "first"
            value = self.main.node("pool_rows", self.values[of], at=made, stride=stride, keep_first=keep_first, how=how)
            self.offer(made, value, self.main.types[value])
        return made


@dataclass
class Scope:
    """One graph being built for one stack: the main graph itself, or a block of it."""

    b: Builder
    stack: str
    d_model: int
    outer: Outer
    spec_name: str
    max_length: int
    at_least: dict[str, str]
    slot: str = ""  # "{block}": stands for the call's prefix in parameter paths
    axes: int = 1  # of the stack's input, besides batch and width
    segment_rows: dict[str, Dim] = field(default_factory=dict)  # inputs joined along the sequence -> rows of each
    stream_places: dict[str, str] = field(default_factory=dict)  # stream -> capture name of its rows' places, or ""
    before: dict[str, str] = field(default_factory=dict)  # streams as the current branch sees them
    memory: dict[str, Any] = field(default_factory=dict)  # of the current attention: see `compressed_past`
    reading: str = ""  # the stream that the current branch reads
    seen: dict[str, dict[str, Any]] = field(default_factory=dict)  # other stack -> how a branch before looked at it
    streams: dict[str, str] = field(default_factory=dict)  # stream -> value
    pooled: dict[str, Poolings] = field(default_factory=dict)  # stream -> how its rows were pooled
    own: Poolings = ()  # of the rows that the current branch reads
    theirs: Poolings = ()  # of the keys that the current attention sees
    captures: dict[str, None] = field(default_factory=dict)

    def capture(self, name: str) -> str:
        """A value from outside the block, by capture name ("positions", "attention_mask", "encoder", ...); positions
        and padding are those of the rows that the current branch reads."""
        return self.capture_of(name, self.own if name in ("positions", "attention_mask") else ())

    def capture_of(self, name: str, poolings: Poolings) -> str:
        """What goes with rows pooled so."""
        name = self.outer.pooled(name, poolings)
        self.captures.setdefault(name)
        return self.b.input(name, self.outer.types[name])

    def capture_input(self, name: str, shape: tuple[int | str, ...], stand_in: str | None = None) -> str:
        """A model input (int) that a block reads by name; without `stand_in` the caller must give it."""
        self.offer_input(name, shape, stand_in)
        return self.capture(name)

    def offer_input(self, name: str, shape: tuple[int | str, ...], stand_in: str | None = None) -> None:
        """Make it a model input that blocks may capture."""
        type_ = TensorType("int", shape)
        if name not in self.outer.types or self.outer.types[name] != type_:
            self.outer.offer(name, self.outer.main.input(name, type_), type_)
            if stand_in:
                self.outer.optional[name] = stand_in
                # As long as the ids of this stack, not of the first one.
                mask, first = self.outer.values["attention_mask"], next(iter(self.outer.main.inputs))
                self.outer.ids[name] = self.outer.ids.get(mask, first)

    def stream_place(self, stream: str) -> str:
        """Places (B, rows) of a stream whose rows do not stand at their own slots, "" for any other."""
        name = self.stream_places.get(stream, "")
        return self.capture(name) if name else ""

    def places(self, q: str, k: str) -> tuple[str, ...]:
        """Positions of queries and keys where those of the queries are not their slots: none, or both."""
        place = self.stream_place(self.reading)
        return (place, self.capture("positions")) if place else ()

    def at_queries(self, value: str) -> str:
        """Rows of a captured value (B, S, ...) for the queries, where these stand at given places."""
        place = self.stream_places.get(self.reading, "")
        if not place:
            return value
        name = f"{value}.at.{place}"
        if name not in self.outer.types:  # before the layers, as no layer changes it
            taken = self.outer.main.node("take_rows", self.outer.values[value], self.outer.values[place], at=name)
            self.outer.offer(name, taken, self.outer.main.types[taken])
        return self.capture(name)

    def segments(self, name: str, q: str, k: str) -> tuple[str, str]:
        """Segment ids of queries and of keys, an input of zeros unless given."""
        if self.own or self.theirs:
            self.offer_input(name, ("B", self.outer.types["positions"].shape[1]), "zeros")
            return self.capture_of(name, self.own), self.capture_of(name, self.theirs)
        ids = self.capture_input(name, ("B", self.type_of(k).shape[2]), "zeros")
        return self.at_queries(ids), ids

    def type_of(self, value: str) -> TensorType:
        return self.b.types[value]

    def width(self, value: str) -> int:
        return int(self.b.types[value].shape[-1])

    def refuse(self, what: str, path: str) -> NoReturn:
        """The language can say it, the compiler cannot lower it yet."""
        raise InputError(f"the compiler cannot lower {what} yet", source=self.spec_name, path=path)

    def only(self, thing: Any, where: str, **defaults: Any) -> None:
        """Refuse any of these fields of `thing` that differs from the value given here."""
        for name, default in defaults.items():
            if getattr(thing, name, default) != default:
                self.refuse(f"{getattr(thing, 'type', type(thing).__name__.lower())}.{name}", where)

    def owner(self, default: str, weights: str | None) -> str:
        """Path prefix of parameters: the default, or the shared name ("/s" over the spec, "s" within the layer)."""
        if weights is None:
            return default
        return weights[1:] if weights.startswith("/") else f"{self.slot}.{weights}"
