"""Files that from_onnx must not trust: one error that names the node, the tensor or the place, in bounded time."""

from __future__ import annotations

import os

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import dagir
from dagir.errors import ArgumentError, DeclarationWarning, FileError, UnsafeFile, UnsupportedOp


def info(name, shape, dtype=TensorProto.FLOAT):
    return helper.make_tensor_value_info(name, dtype, shape)


def model(nodes, inputs=None, outputs=None, initializers=(), opset=17, functions=(), **graph):
    """A model of x: float[N, 3] to y, unless told otherwise."""
    made = helper.make_graph(
        nodes, "net", inputs or [info("x", ["N", 3])], outputs or [info("y", None)], list(initializers), **graph
    )
    imports = [helper.make_opsetid("", opset), *(helper.make_opsetid(f.domain, 1) for f in functions)]
    return helper.make_model(made, opset_imports=imports, functions=list(functions), ir_version=10)


def one(op, inputs=("x",), **attributes):
    return helper.make_node(op, list(inputs), ["y"], name="n", **attributes)


def weight(array, name="w"):
    return numpy_helper.from_array(np.asarray(array, "float32"), name)


ADDED = model([one("Add", ("x", "w"))], initializers=[weight(np.ones(3))])


def changed(change, base=ADDED):
    made = onnx.ModelProto()
    made.CopyFrom(base)
    change(made)
    return made


@pytest.mark.parametrize("data", [b"", b"\0" * 40, os.urandom(200), ADDED.SerializeToString()[:-9]])
def test_no_model(tmp_path, data):
    path = tmp_path / "net.onnx"
    path.write_bytes(data)
    with pytest.raises(FileError, match=r"net.onnx"):
        dagir.from_onnx(path)


def test_no_file(tmp_path):
    with pytest.raises(FileError, match="there is no such file"):
        dagir.from_onnx(tmp_path / "net.onnx")
    with pytest.raises(FileError, match="not a file"):
        dagir.from_onnx(tmp_path)
    with pytest.raises(ArgumentError, match=r"takes the path of a file or an onnx\.ModelProto, got int"):
        dagir.from_onnx(3)


def _opset(version):
    return lambda m: setattr(m.opset_import[0], "version", version)


def _tensor(**fields):
    return lambda m: [setattr(m.graph.initializer[0], key, part) for key, part in fields.items()]


def _dims(*sizes):
    return lambda m: m.graph.initializer[0].dims.__setitem__(slice(None), sizes)


def _node(**fields):
    return lambda m: [setattr(m.graph.node[0], key, part) for key, part in fields.items()]


def _ring(m):
    m.graph.node.add(op_type="Add", input=["late", "x"], output=["y2"], name="early")
    m.graph.node.add(op_type="Exp", input=["y2"], output=["late"], name="later")
    m.graph.output.append(info("y2", None))


def _again(m):
    m.graph.node.add().CopyFrom(m.graph.node[0])


WRONG = {
    "opset 999": (_opset(999), UnsupportedOp, "uses opset 999, and dagir reads up to"),
    "opset 0": (_opset(0), FileError, "is 0"),
    "opset 3": (_opset(3), UnsupportedOp, r"node 'n' \(Add\).* it is Add as of opset 3"),
    "no opset": (lambda m: m.ClearField("opset_import"), FileError, "does not say which opset"),
    "IR 99": (lambda m: setattr(m, "ir_version", 99), FileError, "IR version 99"),
    "unknown domain": (_node(domain="a.b"), UnsupportedOp, r"node 'n' \(a.b.Add\).* version of the domain 'a.b'"),
    "unknown op": (
        _node(op_type="Ad"),
        UnsupportedOp,
        r"node 'n' \(Ad\) cannot be taken: .* has no operator of this name",
    ),
    "a ring": (_ring, FileError, r"node 'early' \(Add\) reads 'late', which nothing makes before"),
    "an unknown name": (lambda m: m.graph.node[0].input.__setitem__(0, "z"), FileError, "reads 'z', which nothing"),
    "no such output": (lambda m: setattr(m.graph.output[0], "name", "z"), FileError, "no node makes the output 'z'"),
    "short data": (_tensor(raw_data=b"1234"), FileError, "'w' does not hold what its shape and dtype say"),
    "a negative size": (_dims(-3), FileError, "'w' has the shape"),
    "a huge size": (_dims(2**40, 2**40), FileError, "'w' has the shape"),
    "dtype 77": (_tensor(data_type=77), FileError, "unknown dtype 77"),
    "dtype of an input": (
        lambda m: setattr(m.graph.input[0].type.tensor_type, "elem_type", TensorProto.DOUBLE),
        UnsupportedOp,
        r"node 'n' \(Add\).*different dtypes: float64 and float32",
    ),
    "two values of a name": (_again, FileError, "node 'n' makes 'y', which is there already"),
    "two inputs of a name": (lambda m: m.graph.input.append(m.graph.input[0]), FileError, "the input 'x' twice"),
    "no rank": (lambda m: m.graph.input[0].type.tensor_type.ClearField("shape"), FileError, "'x' has no known rank"),
}


@pytest.mark.parametrize("kind", WRONG)
def test_what_is_wrong_is_told(kind):
    change, error, reason = WRONG[kind]
    with pytest.raises(error, match=reason):
        dagir.from_onnx(changed(change))


# ---- external data


def _outside(**entries):
    def change(m):
        tensor = m.graph.initializer[0]
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        for key, text in entries.items():
            tensor.external_data.add(key=key.rstrip("_"), value=text)

    return change


OUTSIDE = {
    "up": (_outside(location="../w.bin"), UnsafeFile, "which is not beside the file"),
    "absolute": (_outside(location="/etc/hostname"), UnsafeFile, "which is not beside the file"),
    "missing": (_outside(location="none.bin"), FileError, "there is no such file"),
    "a folder": (_outside(location="folder"), UnsafeFile, "which is no file"),
    "a pipe": (_outside(location="pipe"), UnsafeFile, "which is no file"),
    "a symbolic link": (_outside(location="symlink"), UnsafeFile, "a link to a file elsewhere"),
    "a hard link": (_outside(location="hardlink"), UnsafeFile, "a link to a file elsewhere"),
    "behind the end": (_outside(location="w.bin", offset="4"), FileError, "does not hold|lies outside"),
    "a negative place": (_outside(location="w.bin", offset="-4"), FileError, "lies outside"),
    "a long part": (_outside(location="w.bin", length="4096"), FileError, "lies outside"),
    "no number": (_outside(location="w.bin", offset="four"), FileError, "is no number"),
    "an unknown key": (_outside(location="w.bin", colour="4"), FileError, "'colour', which ONNX does not have"),
    "a key twice": (_outside(location="w.bin", offset="0", offset_="0"), FileError, "'offset', twice"),
}


@pytest.fixture
def folder(tmp_path):
    inside = tmp_path / "model"
    (inside / "folder").mkdir(parents=True)
    (tmp_path / "other.bin").write_bytes(b"\0" * 12)
    (inside / "w.bin").write_bytes(np.arange(3, dtype="float32").tobytes())
    os.mkfifo(inside / "pipe")
    os.symlink(tmp_path / "other.bin", inside / "symlink")
    os.link(tmp_path / "other.bin", inside / "hardlink")
    return inside


@pytest.mark.parametrize("kind", OUTSIDE)
def test_external_data(folder, kind):
    change, error, reason = OUTSIDE[kind]
    (folder / "net.onnx").write_bytes(changed(change).SerializeToString())
    with pytest.raises(error, match=reason):
        dagir.from_onnx(folder / "net.onnx")


def test_external_data_in_a_constant_and_in_a_branch(folder):
    tensor = weight(np.zeros(3))
    change, _, reason = OUTSIDE["up"]
    holder = model([], initializers=[tensor])
    change(holder)
    tensor = holder.graph.initializer[0]
    branch = helper.make_graph([helper.make_node("Constant", [], ["b"], value=tensor)], "b", [], [info("b", None)])
    flag = numpy_helper.from_array(np.array(True), "flag")
    for made in (
        model([helper.make_node("Constant", [], ["y"], value=tensor)]),
        model([one("If", ("flag",), then_branch=branch, else_branch=branch)], initializers=[flag]),
    ):
        (folder / "net.onnx").write_bytes(made.SerializeToString())
        with pytest.raises(UnsafeFile, match=reason):
            dagir.from_onnx(folder / "net.onnx")


def test_external_data_are_mapped_and_links_beside_the_file_are_followed(folder, tmp_path):
    (folder / "net.onnx").write_bytes(changed(_outside(location="w.bin", length="12")).SerializeToString())
    (tmp_path / "linked").mkdir()
    for name in ("net.onnx", "w.bin"):
        os.symlink(folder / name, tmp_path / "linked" / name)
    for path in (folder / "net.onnx", tmp_path / "linked" / "net.onnx"):
        (parameter,) = dagir.from_onnx(path).graph.parameters
        assert not parameter.array.flags.owndata and not parameter.array.flags.writeable
        np.testing.assert_array_equal(parameter.array, [0, 1, 2])
    with pytest.raises(FileError, match=r"give dagir\.from_onnx the path of the file"):
        dagir.from_onnx(onnx.load(folder / "net.onnx", load_external_data=False))


# ---- bounds


def _function(name, nodes):
    return helper.make_function(
        "own", name, ["x"], ["y"], nodes, [helper.make_opsetid("", 17), helper.make_opsetid("own", 1)]
    )


def test_a_function_that_calls_itself():
    function = _function("F", [helper.make_node("F", ["x"], ["y"], domain="own")])
    with pytest.raises(UnsafeFile, match="calls itself"):
        dagir.from_onnx(model([one("F", domain="own")], functions=[function]))


def test_functions_that_double():
    doubling = [
        _function(
            f"F{i}",
            [
                helper.make_node(f"F{i + 1}", ["x"], ["a"], domain="own"),
                helper.make_node(f"F{i + 1}", ["a"], ["y"], domain="own"),
            ],
        )
        for i in range(24)
    ]
    last = _function("F24", [helper.make_node("Exp", ["x"], ["y"])])
    with pytest.raises(UnsafeFile, match=r"once its functions are opened|nodes in all"):
        dagir.from_onnx(model([one("F0", domain="own")], functions=[*doubling, last]))


def test_branches_nested_as_deep_as_a_file_can_have_them():
    last = helper.make_graph([helper.make_node("Exp", ["x"], ["v"])], "g", [], [info("v", None)])
    inner = last
    for _ in range(28):
        node = helper.make_node("If", ["flag"], ["v"], then_branch=inner, else_branch=last)
        inner = helper.make_graph([node], "g", [], [info("v", None)])
    flag = info("flag", [], TensorProto.BOOL)
    made = model([one("If", ("flag",), then_branch=inner, else_branch=last)], [info("x", ["N", 3]), flag])
    found = dagir.lower(dagir.from_onnx(made))({"x": np.zeros((1, 3), "float32"), "flag": np.array(True)})
    np.testing.assert_array_equal(found["y"], np.ones((1, 3)))


def test_a_constant_of_a_huge_shape_is_not_computed():
    shape = numpy_helper.from_array(np.int64([2**38]), "shape")
    found = dagir.from_onnx(model([one("ConstantOfShape", ("shape",))], initializers=[shape]))
    assert found.outputs[0].type.shape == (2**38,)


def test_all_that_cannot_be_taken_is_told_at_once():
    nodes = [
        helper.make_node("RandomNormalLike", ["x"], ["a"], name="noise"),
        helper.make_node("Foo", ["a"], ["b"], name="foo"),
        helper.make_node("SequenceConstruct", ["b"], ["s"], name="list"),
        helper.make_node("SequenceAt", ["s", "i"], ["y"], name="at"),
    ]
    index = numpy_helper.from_array(np.int64(0), "i")
    with pytest.raises(UnsupportedOp, match="4 nodes cannot be taken, of RandomNormalLike, Foo") as refused:
        dagir.from_onnx(model(nodes, initializers=[index]))
    assert [label for label, _ in refused.value.facts] == ["RandomNormalLike", "Foo", "SequenceConstruct", "SequenceAt"]
    assert dict(refused.value.facts)["RandomNormalLike"].endswith("node 'noise'")


def test_operators_of_text_are_told_at_once_with_their_counts():
    nodes = [
        helper.make_node("StringNormalizer", ["x"], ["a"], name="lower"),
        helper.make_node("StringConcat", ["a", "a"], ["b"], name="twice"),
        helper.make_node("StringConcat", ["b", "a"], ["c"], name="thrice"),
        helper.make_node("RegexFullMatch", ["c"], ["m"], name="match", pattern="a+"),
        helper.make_node("Cast", ["m"], ["n"], name="cast", to=TensorProto.FLOAT),
        helper.make_node("StringSplit", ["c"], ["y", "z"], name="parts"),
    ]
    made = model(nodes, [info("x", [3], TensorProto.STRING)])
    with pytest.raises(UnsupportedOp, match=r"5 nodes cannot be taken, of StringNormalizer, .*") as refused:
        dagir.from_onnx(made)
    assert "StringConcat (2), RegexFullMatch, StringSplit" in refused.value.summary
    facts = dict(refused.value.facts)
    assert facts["StringConcat"].endswith("computes on text; 2 nodes: 'twice', 'thrice'") and "Cast" not in facts


# ---- declarations that lie


LIES = {
    "another size": ([info("y", ["N", 4])], r"is declared \[N, 4\], and is float32\[N, 3\]"),
    "another rank": ([info("y", ["N"])], r"is declared \[N\], and has 2 axes"),
    "a negative size": ([info("y", [-1, 3])], "a size is no negative number"),
    "one name for two sizes": ([info("y", ["N", "N"])], "'N' stands for different sizes"),
}


@pytest.mark.parametrize("kind", LIES)
def test_declarations_are_corrected_and_told(kind):
    outputs, reason = LIES[kind]
    made = model([one("Exp")], outputs=outputs)
    with pytest.warns(DeclarationWarning, match=reason):
        found = dagir.from_onnx(made)
    assert [str(size) for size in found.outputs[0].type.shape] == ["N", "3"]


def test_a_value_inside_that_is_declared_of_another_size():
    nodes = [helper.make_node("Exp", ["x"], ["a"]), helper.make_node("Neg", ["a"], ["y"])]
    made = model(nodes, value_info=[info("a", [2, 2, 2]), info("y", ["N", 3])])
    with pytest.warns(DeclarationWarning, match=r"the value 'a' is declared \[2, 2, 2\], and has 2 axes"):
        dagir.from_onnx(made)
    made = model(nodes, outputs=[info("y", ["N", 3], TensorProto.INT64)])
    with pytest.warns(DeclarationWarning, match="the output 'y' is declared as int64, and is float32"):
        dagir.from_onnx(made)


def test_an_input_of_unknown_size_and_one_of_minus_one():
    made = model([one("Add", ("x", "z"))], [info("x", [-1, None]), info("z", ["a b", "?"])])
    found = dagir.from_onnx(made)
    assert [str(size) for size in found.inputs[0].type.shape] == ["x_dim0", "x_dim1"]
    assert [str(size) for size in found.inputs[1].type.shape] == ["a_b", "z_dim1"]


def test_a_name_that_one_input_has_twice():
    made = model([one("Exp")], [info("x", ["N", 3, "N", "M"])])
    found = dagir.from_onnx(made)
    assert [str(size) for size in found.inputs[0].type.shape] == ["N", "3", "x_dim2", "M"]
    assert dagir.lower(found)({"x": np.zeros((2, 3, 5, 1), "float32")})["y"].shape == (2, 3, 5, 1)


def test_a_file_that_lists_its_weights_as_inputs():
    made = changed(lambda m: (m.graph.input.append(info("w", [3])), setattr(m, "ir_version", 3)))
    found = dagir.from_onnx(made)
    assert found.input_names == ["x"]
    assert [(weight.name, weight.trainable) for weight in found.graph.parameters] == [("w", True)]


def test_inputs_of_other_shapes_and_constants():
    made = model([one("Reshape", ("x", "shape"))], [info("x", None), info("shape", [2], TensorProto.INT64)])
    with pytest.raises(FileError, match="no known rank"):
        dagir.from_onnx(made)
    by_data = dagir.from_onnx(made, inputs={"x": ("n", 4)})
    assert by_data.outputs[0].shape == (None, None)
    (moved,) = dagir.lower(by_data)({"x": np.ones((3, 4), "float32"), "shape": np.int64([2, -1])}).values()
    assert moved.shape == (2, 6)
    found = dagir.from_onnx(made, inputs={"x": ("n", 4), "shape": np.int64([2, -1])})
    assert str(found.outputs[0].type) == "float32[2, 2*n]"
    with pytest.raises(ArgumentError, match="has no input 'X'"):
        dagir.from_onnx(made, inputs={"X": (1, 4)})
