"""Every file that is not as it should be is refused by one error that names the file and the key."""

from __future__ import annotations

import json
import os
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import dagir
from dagir import ops
from dagir.errors import FileError
from dagir.modeling.model import Model
from effort import steps
from faults.dagir_files import join, model, parts, refused, rewrite


@pytest.fixture
def path(tmp_path):
    return tmp_path / "m.dagir"


# ---- the file


def test_missing_empty_truncated_or_no_file(path, tmp_path):
    refused(path, "there is no such file")
    path.write_bytes(b"")
    refused(path, "is empty")
    path.write_bytes(b"abc")
    refused(path, "is truncated: the file ends within its header")
    model().save(path)
    content = path.read_bytes()
    path.write_bytes(content[:100])
    refused(path, "is truncated: the file ends within its header")
    path.write_bytes(content[:-1])
    with pytest.raises(FileError, match=r"hidden/bias|kernel|constant.*: is truncated: its bytes end at"):
        dagir.load(path)
    refused(tmp_path, "is a folder or a device, not a file")


def test_a_pipe_does_not_hang(path):
    os.mkfifo(path)
    refused(path, "is a folder or a device, not a file")


def test_files_of_other_kinds(path):
    for content in (pickle.dumps({"a": 1}) * 50, b"PK\x03\x04" + bytes(100), np.random.default_rng(0).bytes(300)):
        path.write_bytes(content)
        refused(path, "")
    join(path, b"[1, 2]  ", b"")
    refused(path, "is no safetensors file: its header is no JSON object")
    join(path, b"{\xff\xfe}", b"")
    refused(path, "is no safetensors file: its header is no text")
    join(path, b'{"a": }', b"")
    refused(path, "is no valid JSON")
    join(path, {"__metadata__": {"format": "pt"}}, b"")
    refused(path, "is a safetensors file without a dagir model")


def test_a_boolean_tensor_of_other_bytes(path):
    x = dagir.Input((2,), dtype="bool")
    Model(x, ops.logical_and(x, np.array([True, False]))).save(path)
    header, data = parts(path)
    join(path, header, b"\x02" + data[1:])
    refused(path, "constant: is boolean and holds bytes other than 0 and 1")


# ---- the document: (change, where and what)


def node(kind):
    return lambda document: next(record for record in document["nodes"] if record["op"] == kind)


def put(kind, /, **changes):
    return lambda document: node(kind)(document).update(changes)


def layer(name, /, **changes):
    return lambda document: next(x for x in document["layers"] if x["name"] == name).update(changes)


def fields(kind, /, **changes):
    return lambda document: node(kind)(document)["fields"].update(changes)


DOCUMENTS = {
    "unknown key": (lambda d: d.update(evil=1), "has the unknown field 'evil'"),
    "dunder key": (lambda d: d.update(__class__="os"), "has the unknown field '__class__'"),
    "no nodes": (lambda d: d.pop("nodes"), "has no 'nodes'"),
    "nodes are no list": (lambda d: d.update(nodes={}), "nodes: must be a list, got {}"),
    "a node is no object": (lambda d: d["nodes"].__setitem__(0, 3), "nodes[0]: must be an object, got 3"),
    "unknown op": (put("Linear", op="Lineer"), "nodes[0].op: names the unknown op 'Lineer'"),
    "op by module path": (put("Linear", op="os.system"), "nodes[0].op: names the unknown op 'os.system'"),
    "dunder op": (put("Linear", op="__builtins__"), "nodes[0].op: names the unknown op '__builtins__'"),
    "a function is no op": (put("Linear", op="linear"), "nodes[0].op: names the unknown op 'linear'"),
    "field of an op without": (
        put("Linear", fields={"__class__": "x"}),
        "nodes[0].fields: has the unknown field '__class__'",
    ),
    "unknown field": (fields("Clip", axis=1), "fields: has the unknown field 'axis'"),
    "missing field": (put("Clip", fields={}), "fields: has no 'minimum'"),
    "wrong field type": (fields("Clip", minimum="low"), "fields.minimum: must be a number, got 'low'"),
    "bool for number": (fields("Clip", minimum=True), "fields.minimum: must be a number, got True"),
    "huge int": (fields("Clip", minimum=2**70), "fields.minimum: is an int of more than 64 bits"),
    "later operand": (
        put("Linear", **{"in": [10**6]}),
        "nodes[0].in[0]: refers to value 1000000, which is missing or comes later",
    ),
    "itself": (put("Clip", **{"in": [17]}), "in[0]: refers to value"),
    "negative operand": (put("Linear", **{"in": [-1]}), "nodes[0].in[0]: refers to value -1"),
    "operand is text": (put("Linear", **{"in": ["x"]}), "nodes[0].in[0]: must be an int, got 'x'"),
    "operand missing": (put("Linear", **{"in": []}), "nodes[0]: Linear refuses its operands"),
    "operand absent": (put("Linear", **{"in": [None, None]}), "nodes[0]: Linear refuses its operands"),
    "operand does not fit": (put("Linear", **{"in": [0, 0]}), "nodes[0]: Linear refuses its operands"),
    "call out of range": (put("Linear", call=99), "nodes[0].call: refers to call 99, which is missing"),
    "name is a number": (put("Linear", name=4), "nodes[0].name: must be a string, got 4"),
    "location out of range": (put("Linear", at=99), "nodes[0].at: refers to location 99"),
    "location is no line": (lambda d: d["locations"].__setitem__(0, "x"), "locations[0]: must be file:line, got 'x'"),
    "graph refers to itself": (
        lambda d: [n.update(fields={"graph": 0}) for n in d["nodes"] if n["op"] == "Call"],
        "graphs[0].outputs[0]: refers to value",
    ),
    "graph out of range": (
        lambda d: [n.update(fields={"graph": 9}) for n in d["nodes"] if n["op"] == "Call"],
        ".fields.graph: refers to graph 9",
    ),
    "graph without its input": (
        lambda d: d["graphs"][0].update(inputs=[]),
        "graphs[0]: the outputs depend on input 'x'",
    ),
    "unknown dtype": (lambda d: d["inputs"][0].update(dtype="object"), "inputs[0].dtype: 'object' is not a dtype"),
    "negative size": (lambda d: d["inputs"][0].update(shape=[-1, 3]), "inputs[0].shape: has the size -1"),
    "size is code": (
        lambda d: d["inputs"][0].update(shape=["__import__('os')", 3, 3]),
        "inputs[0].shape[0]: \"__import__('os')\" is not a size",
    ),
    "size of endless terms": (
        lambda d: d["inputs"][0].update(shape=["*".join(["(a+b+c+d+e)"] * 70), 3]),
        "inputs[0].shape[0]: a product of sizes has more than 1000 terms",
    ),
    "size nested deep": (lambda d: d["inputs"][0].update(shape=["-" * 9000 + "a", 3]), "inputs[0].shape[0]: "),
    "tensor missing": (lambda d: d["parameters"][0].update(tensor="x"), "parameters[0]: refers to the tensor 'x'"),
    "tensor unlisted": (lambda d: d["checksums"].pop("hidden/bias"), "checksums.hidden/bias: the graph and the file"),
    "checksum is text": (
        lambda d: d["checksums"].update({"hidden/bias": "x"}),
        "checksums.hidden/bias: must be an int, got 'x'",
    ),
    "weight of another shape": (
        lambda d: d["parameters"][0].update(tensor=d["parameters"][1]["tensor"]),
        "nodes[0]: Linear refuses its operands",
    ),
    "unknown kind": (layer("hidden", kind="pickle"), "layers[1].kind: must be one of layer"),
    "unknown layer": (layer("hidden", **{"class": "Lambda2"}), "layers[1].class: names the unknown layer 'Lambda2'"),
    "layer by module path": (layer("hidden", **{"class": "base"}), "layers[1].class: names the unknown layer 'base'"),
    "unknown argument": (
        layer("hidden", config={"dict": [["__class__", 1], ["units", 4]]}),
        "layers[1]: Dense refuses its configuration",
    ),
    "config is no dict": (layer("hidden", config=[1]), "layers[1].config: must be a dict with names as keys"),
    "config of other units": (
        layer("hidden", config={"dict": [["units", 2**33], ["name", "hidden"]]}),
        "layers[1]: Dense cannot be built again: weight 0 of layer 'hidden' is float32[3, 8589934592] by its",
    ),
    "unknown function": (
        layer("hidden", config={"dict": [["units", 4], ["activation", {"function": "os.system"}]]}),
        "layers[1].config.dict[1].function: refers to the function 'os.system', which dagir.ops does not have",
    ),
    "unknown reference": (layer("hidden", config={"import": "os"}), "layers[1].config: has the unknown kind 'import'"),
    "key twice": (
        layer("hidden", config={"dict": [["units", 4], ["units", 4]]}),
        "layers[1].config.dict[1]: has the key 'units', which is no key or stands twice",
    ),
    "weights left out": (layer("hidden", weights=[]), "layers[1]: Dense cannot be built again: weight 0"),
    "weight too many": (
        layer("hidden", weights=[0, 1, 2]),
        "layers[1].weights: Dense 'hidden' makes 2 weights again, stored are 3",
    ),
    "layer inside itself": (layer("hidden", layers=[1]), "layers[1].layers[0]: refers to layer 1, which is missing or"),
    "slash in a name": (layer("hidden", name="a/b", kind="custom"), "layers[1]: a layer name is a non-empty string"),
    "main is no model": (lambda d: d.update(model=1), "model: refers to a layer that is no model"),
    "structures": (layer("m", outputs={"value": 0}), ": its inputs or outputs are not those of its graph"),
    "mask": (lambda d: d.update(masks=[[0, 1]]), "masks[0]: is no boolean value, or a second mask"),
    "mask of itself": (lambda d: d.update(masks=[[0, 0]]), "masks[0]: must be two different values, got [0, 0]"),
    "nan in JSON": (lambda d: json.dumps(d).replace('"name"', 'NaN, "name"', 1), "graph: is no valid JSON"),
    "document is a list": (lambda d: "[]", "must be an object, got []"),
    "nested too deep for JSON": (lambda d: "[" * 100_000, "graph: the JSON is nested too deep"),
    "nested too deep": (
        lambda d: d["layers"][1].update(config=json.loads("[" * 200 + "]" * 200)),
        "layers[1].config" + "[0]" * 65 + ": is nested deeper than 64",
    ),
}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_documents(name, path):
    change, message = DOCUMENTS[name]
    model().save(path)
    rewrite(path, change)
    with pytest.raises(FileError) as caught:
        dagir.load(path)
    summary = caught.value.summary
    assert summary.startswith(f"{path}: ") and message in summary, summary


@given(data=st.data())
def test_any_damage_to_the_document_is_one_error(data, tmp_path_factory):
    """Whatever stands in place of any part of the document: a model, or a FileError."""
    path = tmp_path_factory.mktemp("damaged") / "m.dagir"
    model().save(path)
    junk = data.draw(
        st.sampled_from([None, True, -1, 0, 3, 2**63, 1e300, "", "relu", [], [0], {}, {"value": 0}, {"dict": []}])
    )

    def change(document):
        place, key = document, data.draw(st.sampled_from(sorted(document)))
        while isinstance(place[key], (dict, list)) and place[key] and data.draw(st.integers(0, 4)):
            place = place[key]
            key = data.draw(st.sampled_from(sorted(place) if isinstance(place, dict) else range(len(place))))
        place[key] = junk

    rewrite(path, change)
    try:
        loaded = dagir.load(path)
    except FileError as error:
        assert error.summary.startswith(f"{path}: ")
    else:
        assert isinstance(loaded, Model)


def test_endless_sizes_take_few_steps(path):
    model().save(path)
    rewrite(path, DOCUMENTS["size of endless terms"][0])
    assert steps(lambda: refused(path, "inputs[0].shape[0]")) < 20_000
