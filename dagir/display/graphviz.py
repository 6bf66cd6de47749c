"""`dagir.plot`: pictures of models, laid out by Graphviz, which the wheel of pygraphviz carries."""

from __future__ import annotations

import contextlib
import os
import threading
from importlib.util import find_spec
from os import PathLike
from typing import TypeVar, overload

from dagir.display.dot import Painter, Show, dot_text, part_remedy
from dagir.errors import ArgumentError, BackendError, FileError
from dagir.ir.graph import Graph
from dagir.modeling.model import Model
from dagir.support.file_replacement import check_free
from dagir.support.frameworks import takes_a_model
from dagir.support.paths import checked

SUFFIXES = (".png", ".svg", ".pdf", ".dot")
MOST_PIXELS_A_SIDE = 32_000
MOST_PIXELS = 400_000_000
LEAST_DPI = 50
NOTEBOOK_PARTS = 200
_RANKDIRS = ("TB", "LR", "BT", "RL")
_graphviz = threading.Lock()  # it keeps global state


class Picture(bytes):
    """A picture of a model, as `plot` gives it without a path: the bytes of an SVG, which a notebook shows drawn."""

    def __repr__(self) -> str:
        return f"<Picture: SVG, {len(self):,} bytes>"

    def _repr_svg_(self) -> str:
        return self.decode()


PathT = TypeVar("PathT", str, PathLike[str])


@overload
def plot(
    model: Model,
    path: None = None,
    *,
    show_shapes: bool = False,
    show_dtype: bool = False,
    show_layer_names: bool = True,
    expand_nested: bool = False,
    rankdir: str = "TB",
    dpi: int = 200,
    show_layer_activations: bool = False,
    show_trainable: bool = False,
) -> Picture: ...
@overload
def plot(
    model: Model,
    path: PathT,
    *,
    show_shapes: bool = False,
    show_dtype: bool = False,
    show_layer_names: bool = True,
    expand_nested: bool = False,
    rankdir: str = "TB",
    dpi: int = 200,
    show_layer_activations: bool = False,
    show_trainable: bool = False,
) -> PathT: ...
def plot(
    model: Model,
    path: PathT | None = None,
    *,
    show_shapes: bool = False,
    show_dtype: bool = False,
    show_layer_names: bool = True,
    expand_nested: bool = False,
    rankdir: str = "TB",
    dpi: int = 200,
    show_layer_activations: bool = False,
    show_trainable: bool = False,
) -> PathT | Picture:
    """Draw a model.  keras.utils.plot_model.

    path: a file whose suffix is .png, .svg, .pdf or .dot, which is returned; None returns the bytes of the SVG, which a
    notebook shows as a picture.
    rankdir: where the arrows go, TB, LR, BT or RL. dpi: of a PNG; a picture too tall for one is drawn with fewer.
    expand_nested: draw what is inside nested models. A .dot file needs no pygraphviz.
    Raises ArgumentError, BackendError where pygraphviz is missing, FileError.
    show_shapes, show_dtype, show_layer_names, show_layer_activations, show_trainable: what each box says.

    >>> dagir.plot(model, "digits.svg", show_shapes=True)  # doctest: +SKIP
    """
    if not isinstance(model, Model):
        raise takes_a_model("plot", model)
    if rankdir not in _RANKDIRS:
        raise ArgumentError(f"rankdir is one of {', '.join(_RANKDIRS)}, got {rankdir!r}")
    if isinstance(dpi, bool) or not isinstance(dpi, (int, float)) or not dpi > 0:
        raise ArgumentError(f"dpi is a number above 0, got {dpi!r}")
    suffix = ".svg" if path is None else os.path.splitext(os.fspath(path))[1].lower()
    if suffix not in SUFFIXES:
        raise ArgumentError(f"{path}: a picture is one of {', '.join(SUFFIXES)}", remedy="give one of these suffixes")
    if path is not None:
        checked(path)
    show = Show(show_shapes, show_dtype, show_layer_names, show_layer_activations, show_trainable, expand_nested)
    text, parts = dot_text(model, show, rankdir)
    if suffix == ".dot":
        data = text.encode()
    else:
        data = _draw(text, suffix[1:], dpi, f"model {model.name!r} with {parts:,} layers", expand_nested)
    if path is None:
        return Picture(data)
    _write(os.fspath(path), data)
    return path


def notebook_svg(model: Model) -> str | None:
    """The picture of a model for a notebook; None where there is no pygraphviz, or no graph, or it is a big one."""
    if "graph" not in vars(model) or len(model.layers) > NOTEBOOK_PARTS or find_spec("pygraphviz") is None:
        return None
    text, parts = dot_text(model, Show(shapes=True))
    return None if parts > NOTEBOOK_PARTS else _draw(text, "svg", 96, "", False).decode()


def painted_svg(model: Model | Graph, painter: Painter) -> str:
    """The picture of a model in colours of one's own, as an <svg> element for a page. Raises BackendError."""
    text, _ = dot_text(model, Show(), painter=painter)
    drawn = _draw(text, "svg", 96, "", False).decode()
    return drawn[drawn.index("<svg") :]


def _draw(text: str, format: str, dpi: float, what: str, nested: bool) -> bytes:
    try:
        import pygraphviz
    except ImportError as error:
        raise BackendError(
            "pictures are laid out by Graphviz, which comes with pygraphviz",
            facts=[("import", str(error))],
            remedy="pip install 'dagir[plot]', or plot to a .dot file, which needs neither",
        ) from None
    with _graphviz:
        graph = pygraphviz.AGraph(string=text)
        graph.layout(prog="dot")
        if format == "png":
            graph.graph_attr["dpi"] = str(_fitting_dpi(graph.graph_attr["bb"], dpi, what, nested))
        drawn = graph.draw(None, format=format)
        graph.close()
    return bytes(drawn)


def _fitting_dpi(box: str, dpi: float, what: str, nested: bool) -> float:
    """The dpi, or as many as a PNG has room for. Raises ArgumentError where nothing could be read then."""
    left, bottom, right, top = map(float, box.split(","))
    width, height = (right - left) / 72 + 1, (top - bottom) / 72 + 1
    fitting: float = min(dpi, MOST_PIXELS_A_SIDE / max(width, height), (MOST_PIXELS / (width * height)) ** 0.5)
    if fitting < min(dpi, LEAST_DPI):
        raise ArgumentError(
            f"{what} is too big for a PNG: {width * dpi:,.0f} x {height * dpi:,.0f} pixels",
            remedy=f"draw it as .svg or .pdf, or {part_remedy(nested)}",
        )
    return fitting


def _write(path: str, data: bytes) -> None:
    """Write beside `path`, then rename into place. Raises FileError."""
    check_free(path, overwrite=True)
    folder, name = os.path.split(os.path.realpath(path))
    temporary = os.path.join(folder, f".{name}.{os.urandom(4).hex()}.tmp")
    try:
        with open(temporary, "xb") as file:
            file.write(data)
        os.replace(temporary, os.path.realpath(path))
    except OSError as error:
        raise FileError(f"{path}: cannot be written: {error.strerror or error}") from None
    finally:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
