"""Pictures of models: every format, through pygraphviz, whose wheel carries Graphviz."""

from __future__ import annotations

import pytest

import dagir
from dagir import layers
from dagir.display import graphviz
from guide import autoencoder, ensemble, mnist, shared_embedding, tickets, toy_resnet

SIGNS = {".png": b"\x89PNG", ".svg": b"<", ".pdf": b"%PDF", ".dot": b"digraph"}


@pytest.mark.parametrize("suffix", SIGNS)
@pytest.mark.parametrize("network", [mnist, autoencoder, ensemble, tickets, toy_resnet, shared_embedding])
def test_formats(network, suffix, tmp_path):
    path = tmp_path / f"model{suffix}"
    dagir.plot(network.model(), path, show_shapes=True, expand_nested=True)
    assert path.read_bytes().lstrip().startswith(SIGNS[suffix])
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_shapes_and_nesting_are_drawn(tmp_path):
    dagir.plot(autoencoder.model(), tmp_path / "a.dot", show_shapes=True, expand_nested=True)
    text = (tmp_path / "a.dot").read_text()
    assert "(batch, 28, 28, 1)" in text
    assert "subgraph" in text
    dagir.plot(autoencoder.model(), tmp_path / "b.dot")
    assert "(batch" not in (tmp_path / "b.dot").read_text()


def test_a_model_shows_itself_in_a_notebook():
    shown = mnist.model()._repr_mimebundle_()
    assert set(shown) == {"text/plain", "image/svg+xml"} and "<svg" in shown["image/svg+xml"]
    picture = dagir.plot(mnist.model())
    assert isinstance(picture, bytes) and picture._repr_svg_() == picture.decode()
    assert repr(picture) == f"<Picture: SVG, {len(picture):,} bytes>"


def test_a_big_model_is_a_table_in_a_notebook(monkeypatch):
    monkeypatch.setattr(graphviz, "NOTEBOOK_PARTS", 1)
    shown = mnist.model()._repr_mimebundle_()
    assert set(shown) == {"text/plain", "text/html"} and "<table" in shown["text/html"]


def test_an_unknown_suffix_lists_those_there_are(tmp_path):
    with pytest.raises(dagir.ArgumentError, match="svg"):
        dagir.plot(mnist.model(), tmp_path / "model.bmp")
    assert not list(tmp_path.iterdir())


def test_a_thousand_layers_are_drawn_or_told(tmp_path):
    x = y = dagir.Input((4,), name="x")
    for _ in range(1000):
        y = layers.ReLU()(y)
    dagir.plot(dagir.Model(x, y), tmp_path / "deep.dot")
    assert (tmp_path / "deep.dot").read_text().count("->") >= 1000
