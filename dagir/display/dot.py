"""A model as a graph in the DOT language: a box for each part, a frame around the parts of a nested model."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from html import escape
from typing import TypeAlias

from dagir.display.layer_graph import Anatomy, Part, PartCall, Source, anatomy
from dagir.display.summary_table import shape_text
from dagir.errors import ArgumentError
from dagir.ir.graph import Graph, Node, Value
from dagir.ir.naming import Namer
from dagir.layers.base import Layer
from dagir.modeling.model import Model

FONT = "Helvetica,Arial,sans-serif"
MOST_PARTS = 5000
_DEEPEST = 100

# fill and line, by kind of part
_COLOURS = {
    "input": ("#e2e8f0", "#475569"),
    "model": ("#f8fafc", "#334155"),
    "op": ("#ffffff", "#94a3b8"),
    "custom": ("#ecfccb", "#65a30d"),
    "dense": ("#dbeafe", "#2563eb"),
    "embedding": ("#ffedd5", "#ea580c"),
    "conv": ("#ede9fe", "#7c3aed"),
    "rnn": ("#fce7f3", "#db2777"),
    "attention": ("#fae8ff", "#c026d3"),
    "merging": ("#fef3c7", "#b45309"),
    "normalization": ("#ccfbf1", "#0f766e"),
    "pooling": ("#dcfce7", "#15803d"),
    "regularization": ("#fee2e2", "#dc2626"),
    "activation": ("#fef9c3", "#a16207"),
    "reshaping": ("#f3f4f6", "#6b7280"),
}
_CORE_KINDS = {"InputLayer": "input", "Dense": "dense", "Embedding": "embedding"}
_FRAME_FILLS = ("#f8fafc", "#f1f5f9")


@dataclass(frozen=True)
class Show:
    """What a box says besides the kind of its part."""

    shapes: bool = False
    dtype: bool = False
    names: bool = True
    activations: bool = False
    trainable: bool = False
    nested: bool = False


@dataclass(frozen=True)
class Paint:
    """How a box is drawn in place of the colours of its kind. id, classes: of the box in an SVG. facts: more lines."""

    fill: str
    line: str
    id: str
    classes: str
    dashed: bool = False
    facts: tuple[tuple[str, str], ...] = ()


Painter: TypeAlias = Callable[[Part], Paint]


def dot_text(model: Model | Graph, show: Show, rankdir: str = "TB", painter: Painter | None = None) -> tuple[str, int]:
    """The DOT text of a model, and the number of boxes. Raises ArgumentError for a model too big to be looked at."""
    writer = _Writer(model, show, painter)
    ground = "white" if painter is None else "transparent"
    head = [
        f'digraph "{_id(model.name)}" {{',
        f'  graph [rankdir={rankdir}, bgcolor="{ground}", pad=0.2, nodesep=0.3, ranksep=0.35, fontname="{FONT}"];',
        f'  node [shape=plain, fontname="{FONT}", fontsize=12, fontcolor="#0f172a"];',
        f'  edge [color="#64748b", penwidth=1.2, arrowsize=0.7, fontname="{FONT}", fontsize=10, fontcolor="#475569"];',
    ]
    return "\n".join([*head, *writer.boxes, *writer.arrows(), "}\n"]), writer.parts


class _Frame:
    """A model that is drawn with its parts."""

    def __init__(self, whole: Anatomy) -> None:
        self.whole = whole
        self.ids: dict[Part, str] = {}
        self.frames: dict[Part, _Frame] = {}

    def starts(self, part: Part, index: int) -> Iterator[str]:
        """The boxes that an arrow to input `index` of a part points at."""
        frame = self.frames.get(part)
        if frame is None:
            yield self.ids[part]
        else:
            for inner, place in frame.whole.entries(min(index, len(frame.whole.inputs) - 1)):
                yield from frame.starts(inner, place)

    def ends(self, source: Source) -> Iterator[str]:
        """The box that an arrow from an output of a part comes from."""
        frame = self.frames.get(source.part)
        if frame is None:
            yield self.ids[source.part]
        elif (inner := frame.whole.exits[source.output]) is not None:
            yield from frame.ends(inner)


class _Writer:
    def __init__(self, model: Model | Graph, show: Show, painter: Painter | None = None) -> None:
        self.name, self.show, self.painter = model.name, show, painter
        self.parts = 0
        self.boxes: list[str] = []
        self._namer = Namer()
        self._all: list[_Frame] = []
        if isinstance(model, Model):
            model.graph  # noqa: B018  # raises where the model has none yet
        self._root = self._frame(anatomy(model), "", 1)

    def _frame(self, whole: Anatomy, path: str, depth: int) -> _Frame:
        frame = _Frame(whole)
        self._all.append(frame)
        indent = "  " * depth
        for part in whole.parts:
            name = self._namer(_id(f"{path}{part.name}"))
            if self.show.nested and _opens(part) and depth < _DEEPEST:
                assert part.inner is not None
                self.boxes.append(f'{indent}subgraph "cluster_{name}" {{')
                self.boxes.append(f"{indent}  {self._frame_style(part, depth)}")
                frame.frames[part] = self._frame(anatomy(part.inner), f"{path}{part.name}/", depth + 1)
                self.boxes.append(f"{indent}}}")
            else:
                self._count()
                frame.ids[part] = name
                self.boxes.append(f'{indent}"{name}" [{self._box(part, name)}];')
        return frame

    def _count(self) -> None:
        self.parts += 1
        if self.parts > MOST_PARTS:
            raise ArgumentError(
                f"model {self.name!r} has more than {MOST_PARTS:,} layers to draw",
                remedy=part_remedy(self.show.nested),
            )

    def _frame_style(self, part: Part, depth: int) -> str:
        kind = f'<font color="#64748b" point-size="11">  {_text(part.kind)}</font>'
        label = f"<b>{_text(part.name)}</b>{kind}" if self.show.names else kind
        fill = _FRAME_FILLS[depth % 2]
        return f'label=<{label}>; labeljust=l; style="rounded,filled"; color="#94a3b8"; fillcolor="{fill}"; margin=12;'

    def arrows(self) -> list[str]:
        """One arrow for each pair of boxes that are connected, numbered where a box has several calls."""
        found: dict[tuple[str, str], dict[str, None]] = {}
        for frame in self._all:
            for part in frame.whole.parts:
                for number, call in enumerate(part.calls):
                    self._arrows_of(frame, part, number, call, found)
        return [
            f'  "{start}" -> "{end}"{_numbers(labels)};' for (start, end), labels in found.items() if start != end
        ] + [f'  "{start}" -> "{end}" [color="#94a3b8"];' for start, end in found if start == end]

    def _arrows_of(
        self, frame: _Frame, part: Part, number: int, call: PartCall, found: dict[tuple[str, str], dict[str, None]]
    ) -> None:
        for place, source in enumerate(call.sources):
            if source is None:
                continue
            shared = [str(source.call + 1)] if len(source.part.calls) > 1 else []
            shared += [str(number + 1)] if len(part.calls) > 1 and not shared else []
            for start in frame.ends(source):
                for end in frame.starts(part, place):
                    found.setdefault((start, end), {}).update(dict.fromkeys(shared))

    # ---- boxes

    def _box(self, part: Part, name: str) -> str:
        if self.painter is None:
            return f'label=<{self._label(part, *_COLOURS[kind_of(part)])}>, tooltip="{name}"'
        paint = self.painter(part)
        style = "rounded,dashed" if paint.dashed else "rounded"
        label = self._label(part, paint.fill, paint.line, style, paint.facts)
        return f'label=<{label}>, id="{paint.id}", class="{paint.classes}"'

    def _label(
        self, part: Part, fill: str, line: str, style: str = "rounded", more: tuple[tuple[str, str], ...] = ()
    ) -> str:
        kind = _text(part.kind)
        activation = _activation(part) if self.show.activations else ""
        if activation:
            kind += f" · {_text(activation)}"
        small = f'<font color="{line}" point-size="11">{kind}</font>'
        lines = [f"<b>{_text(part.name)}</b>", small] if self.show.names else [f"<b>{kind}</b>"]
        facts = [*self._facts(part), *more]
        span = ' colspan="2"' if facts else ""
        rows = "".join(f'<tr><td align="left"{span}>{text}</td></tr>' for text in lines)
        rows += "".join(_fact_row(label, text) for label, text in facts)
        return (
            f'<table border="1" cellborder="0" cellspacing="0" cellpadding="3" style="{style}" bgcolor="{fill}" '
            f'color="{line}"><tr><td height="2"></td></tr>{rows}<tr><td height="2"></td></tr></table>'
        )

    def _facts(self, part: Part) -> list[tuple[str, str]]:
        facts: list[tuple[str, str]] = []
        is_input = kind_of(part) == "input"
        if self.show.shapes:
            if not is_input:
                facts += [("input", text) for text in _shapes(part.calls, inputs=True)]
            facts += [("shape" if is_input else "output", text) for text in _shapes(part.calls, inputs=False)]
        if self.show.dtype:
            dtypes = dict.fromkeys(str(value.dtype) for call in part.calls for value in call.outputs)
            facts.append(("dtype", ", ".join(dtypes)))
        if self.show.trainable and part.trainable is not None:
            facts.append(("trainable", "yes" if part.trainable else "no"))
        return facts


def part_remedy(nested: bool = False) -> str:
    """How to plot a part of a model."""
    folded = "leave nested models closed with expand_nested=False, or " if nested else ""
    return f"{folded}plot a part: dagir.plot(dagir.extract(model, outputs='last layer', inputs='first layer'), path)"


def kind_of(part: Part) -> str:
    """What sort of part this is, which decides its colours: the family of its layer's class."""
    operation = part.operation
    if isinstance(operation, Value):
        return "input"
    if isinstance(operation, Node):
        return "model" if isinstance(part.inner, Graph) else "op"
    if isinstance(operation, Model):
        return "model"
    for cls in type(operation).__mro__:
        package, _, module = cls.__module__.rpartition(".")
        if package != "dagir.layers" or cls is Layer:
            continue
        if module == "core":
            return _CORE_KINDS.get(cls.__name__, "reshaping")
        return module if module in _COLOURS else "reshaping"
    return "custom"


def _opens(part: Part) -> bool:
    return isinstance(part.inner, Graph) or (isinstance(part.inner, Model) and part.inner.has_graph)


def _activation(part: Part) -> str:
    found = getattr(part.operation, "activation", None)
    name = getattr(found, "__name__", found)
    return name if isinstance(name, str) and name not in ("linear", "identity") else ""


def _shapes(calls: Iterable[PartCall], inputs: bool) -> list[str]:
    """A text for each tensor; if there are several calls, a text for each one that differs."""
    texts = [shape_text([value.type]) for call in calls for value in (call.values if inputs else call.outputs)]
    listed = list(dict.fromkeys(texts))
    if len(texts) > len(listed) == 1 and inputs and len(texts) > 1:
        return [f"{texts[0]} × {len(texts)}"]
    return listed if len(listed) <= 6 else [*listed[:5], f"and {len(listed) - 5} more"]


def _fact_row(label: str, text: str) -> str:
    return (
        f'<tr><td align="left"><font color="#64748b" point-size="11">{label}</font></td>'
        f'<td align="left"><font point-size="11">{_text(text)}</font></td></tr>'
    )


def _numbers(labels: Iterable[str]) -> str:
    text = ", ".join(labels)
    return f' [label=" {text} "]' if text else ""


_UNDRAWABLE = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def _text(text: str) -> str:
    """Text for a label: XML's own characters escaped, those that XML cannot hold replaced."""
    return escape(_UNDRAWABLE.sub("\ufffd", text))


def _id(name: str) -> str:
    return _UNDRAWABLE.sub("\ufffd", name).replace("\\", "/").replace('"', "'").replace("\n", " ")
