"""Ops of a user's own in files: by the name that they were registered under, and never by their code."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass

import numpy as np
import pytest

import dagir
from dagir_numpy.rules import rules
from dagir_onnx.rules import rules as onnx_rules


@dagir.register_op("tests")
@dataclass(frozen=True)
class Cube(dagir.Op):
    scale: float = 1.0
    axes: tuple[int, ...] = ()

    def infer(self, x):
        return (x,)


@dataclass(frozen=True)
class Unknown(dagir.Op):
    def infer(self, x):
        return (x,)


@rules.rule(Cube)
def cube(op, x):
    return op.scale * x**3


@onnx_rules.rule(Cube)
def cube_onnx(op, emit, x):
    return emit("Mul", emit("Mul", emit("Mul", x, x), x), emit.constant(op.scale, x.type.dtype))


class Cubed(dagir.Layer):
    def call(self, x):
        return dagir.apply(Cube(3.0, (1, 2)), x)


def model(op):
    x = dagir.Input((4,), name="x")
    return dagir.Model(x, dagir.apply(op, dagir.layers.Dense(4)(x)))


def test_an_op_comes_back_with_its_fields(tmp_path):
    path = tmp_path / "m.dagir"
    made = model(Cube(2.0, (1, 0)))
    made.save(path)
    found = dagir.load(path)
    assert found.graph.nodes[-1].op == Cube(2.0, (1, 0))
    array = np.random.default_rng(0).normal(size=(2, 4)).astype("float32")
    np.testing.assert_array_equal(dagir.lower(found)(array), dagir.lower(made)(array))
    assert dagir.verify(found, ["onnx"]).ok
    again = dagir.Model.from_config(made.get_config())
    assert again.graph.nodes[-1].op == Cube(2.0, (1, 0))


def test_a_layer_that_uses_it_is_kept_too(tmp_path):
    x = dagir.Input((4,), name="x")
    dagir.Model(x, Cubed()(x)).save(tmp_path / "m.dagir")
    assert any(node.op == Cube(3.0, (1, 2)) for node in dagir.load(tmp_path / "m.dagir").graph.nodes)


def test_where_it_is_not_registered(tmp_path):
    with pytest.raises(dagir.FileError, match=r"op Unknown is not one of dagir\.ops") as refused:
        model(Unknown()).save(tmp_path / "m.dagir")
    assert "@dagir.register_op" in str(refused.value)
    assert not (tmp_path / "m.dagir").exists()
    with pytest.raises(dagir.ArgumentError, match=r"op Unknown is not one of dagir\.ops"):
        model(Unknown()).get_config()
    model(Cube()).save(tmp_path / "m.dagir")
    load = f"import dagir; dagir.load({str(tmp_path / 'm.dagir')!r})"
    process = subprocess.run([sys.executable, "-c", load], capture_output=True, text=True, check=False)
    assert "names the unknown op 'tests>Cube'" in process.stderr
    assert "import the module that registers it" in process.stderr


@pytest.mark.parametrize("package", ["", None, "a>b"])
def test_a_package_has_a_name(package):
    with pytest.raises(dagir.ArgumentError, match="takes the name of your package"):
        dagir.register_op(package)


def test_what_is_no_op():
    with pytest.raises(dagir.ArgumentError, match="decorates a subclass"):
        dagir.register_op("tests")(int)


def test_a_class_that_is_defined_again_takes_its_place(tmp_path):
    model(Cube(2.0)).save(tmp_path / "m.dagir")
    first = Cube

    @dagir.register_op("tests")
    @dataclass(frozen=True)
    class Again(dagir.Op):
        scale: float = 1.0
        axes: tuple[int, ...] = ()

        def infer(self, x):
            return (x,)

    try:
        Again.__name__ = "Cube"
        dagir.register_op("tests")(Again)
        assert type(dagir.load(tmp_path / "m.dagir").graph.nodes[-1].op) is Again
    finally:
        dagir.register_op("tests")(first)
