"""SavedModels that nobody should have written: one error of dagir, soon, whatever they hold."""

from __future__ import annotations

import time

import pytest

import dagir
from dagir.errors import DagirError, FileError, UnsafeFile, UnsupportedLayer
from faults.saved_models import copied, encode, functions, node, nodes, written


def test_a_sound_one_is_read(tmp_path):
    """And what is written here is what was read."""
    folder, message = copied(tmp_path / "net")
    wanted = dagir.from_tensorflow(folder)
    assert wanted.input_names == ["word", "x"] and wanted.output_names == ["place", "y"]
    assert dagir.from_tensorflow(written(folder, message)).output_names == wanted.output_names


def serving(message):
    """The call of the signature's function, and the function."""
    call = next(each for each in nodes(message).values() if "serving_default_x" in each["inputs"])
    name = call["attributes"]["f"]["func"]["name"]
    return call, next(each for each in functions(message) if each["signature"]["name"] == name)


def self_call(message):
    call, function = serving(message)
    inner = next(each for each in function["nodes"] if each["op"].endswith("PartitionedCall"))
    inner["attributes"]["f"] = call["attributes"]["f"]


def cycle(message):
    _, function = serving(message)
    inner = next(each for each in function["nodes"] if each["op"].endswith("PartitionedCall"))
    inner["inputs"][0] = f"{inner['name']}:output:0"


def copies_in_a_ring(message):
    """Of the variable's handle, which the search for its key follows, and of the table's."""
    graph = message["meta_graphs"][0]["graph"]
    graph["nodes"] += [node("a", "Identity", "b"), node("b", "Identity", "a")]
    for each in graph["nodes"]:
        each["inputs"] = ["a" if nodes(message).get(i, {}).get("op") == "HashTableV2" else i for i in each["inputs"]]


def _called(name, *inputs):
    return node(f"call_{inputs[0].partition(':')[0]}", "PartitionedCall", *inputs, f={"func": {"name": name}})


def doubling(message):
    """Forty functions, each of which calls the next one twice: a million million calls."""
    _, function = serving(message)
    argument = function["signature"]["inputs"][0]
    listed = functions(message)
    for depth in range(40):
        first = _called(f"f{depth + 1}", "x")
        second = _called(f"f{depth + 1}", f"{first['name']}:output:0")
        held = [first, second] if depth < 39 else []
        result = f"{second['name']}:output:0" if held else "x"
        signature = {"name": f"f{depth}", "inputs": [{**argument, "name": "x"}], "outputs": [{"name": "y"}]}
        listed.append({"signature": signature, "nodes": held, "returns": {"y": result}})
    inner = next(each for each in function["nodes"] if each["op"].endswith("PartitionedCall"))
    start = _called("f0", inner["inputs"][0])
    function["nodes"].append(start)
    inner["inputs"][0] = f"{start['name']}:output:0"


def _constants(message):
    for function in functions(message):
        yield from (each for each in function["nodes"] if each["op"] == "Const")


def huge_constants(message):
    for each in _constants(message):
        tensor = each["attributes"]["value"]["tensor"]
        tensor["shape"] = {"dims": [{"size": 1 << 40}]}
        tensor.pop("content", None)


def negative_shapes(message):
    for each in _constants(message):
        each["attributes"]["value"]["tensor"]["shape"] = {"dims": [{"size": -5}]}


def no_such_function(message):
    call, _ = serving(message)
    call["attributes"]["f"]["func"]["name"] = "missing"


def no_such_node(message):
    for info in message["meta_graphs"][0]["signatures"]["serving_default"]["outputs"].values():
        info["name"] = "missing:0"


def no_such_output(message):
    for info in message["meta_graphs"][0]["signatures"]["serving_default"]["outputs"].values():
        info["name"] = info["name"].partition(":")[0] + ":77"


def no_signature(message):
    message["meta_graphs"][0]["signatures"].clear()


def odd_input(message):
    for info in message["meta_graphs"][0]["signatures"]["serving_default"]["inputs"].values():
        info["dtype"] = 99


def commands(message):
    for each in nodes(message).values():
        each["op"] = "\x1b[2J"


KINDS = {
    "a function that calls itself": (self_call, DagirError, "deep"),
    "a cycle": (cycle, FileError, "cycle"),
    "copies in a ring": (copies_in_a_ring, DagirError, ""),
    "calls that double": (doubling, UnsafeFile, "asks for too much"),
    "constants without end": (huge_constants, UnsafeFile, "asks for too much"),
    "sizes below 0": (negative_shapes, UnsupportedLayer, "shape"),
    "a function that is missing": (no_such_function, FileError, "function 'missing'"),
    "a node that is missing": (no_such_node, FileError, "'missing'"),
    "an output that is missing": (no_such_output, DagirError, "output 77"),
    "no signature": (no_signature, DagirError, "has no signature"),
    "a dtype that nobody knows": (odd_input, UnsupportedLayer, "99"),
    "names that command a terminal": (commands, DagirError, ""),
}


@pytest.mark.parametrize("kind", KINDS)
def test_one_error_and_soon(tmp_path, kind):
    change, error, said = KINDS[kind]
    folder, message = copied(tmp_path / "net")
    change(message)
    start = time.perf_counter()
    with pytest.raises(error) as refused:
        dagir.from_tensorflow(written(folder, message))
    assert time.perf_counter() - start < 10
    assert said in str(refused.value)
    assert "\n" not in refused.value.summary and "\x1b" not in str(refused.value)


def test_every_truncation_is_an_error_or_a_model(tmp_path):
    folder, message = copied(tmp_path / "net")
    whole = encode(message, "SavedModel")
    for size in range(0, len(whole), 61):
        (folder / "saved_model.pb").write_bytes(whole[:size])
        with pytest.raises(DagirError):
            dagir.from_tensorflow(folder)


@pytest.mark.parametrize("file", ["variables.index", "variables.data-00000-of-00001"])
def test_a_truncated_checkpoint_is_an_error(tmp_path, file):
    folder, _ = copied(tmp_path / "net")
    whole = (folder / "variables" / file).read_bytes()
    for size in range(0, 48 if "data" in file else len(whole), 7):
        (folder / "variables" / file).write_bytes(whole[:size])
        with pytest.raises(DagirError):
            dagir.from_tensorflow(folder)
