"""Sound files of every format, small, made without Keras: what mutations start from."""

from __future__ import annotations

import io
import json
import shutil
import zipfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

import dagir
from dagir import layers, ops
from dagir.modeling.training import TrainingState

SUFFIXES = {
    "keras": ".keras",
    "h5": ".h5",
    "dagir": ".dagir",
    "weights": ".safetensors",
    "savedmodel": ".pb",
    "graph": ".pb",
    "checkpoint": ".index",
    "onnx": ".onnx",
    "certificate": ".onnx",
    "pair": ".onnx",
}
_SAVED_MODEL = Path(__file__).resolve().parents[2] / "tests/faults/saved_model"
_FROZEN_GRAPH = Path(__file__).resolve().parents[2] / "tests/convert/frozen_graphs/tensorflow_1_loop.pb"
RNG = np.random.default_rng(0)


def make(folder: Path) -> dict[str, list[Path]]:
    """The seeds of each format, in a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    found: dict[str, list[Path]] = {format: [] for format in SUFFIXES}
    for name, config, weights in _keras_models():
        path = folder / f"{name}.keras"
        path.write_bytes(_keras(config, weights))
        found["keras"].append(path)
        legacy = folder / f"{name}.h5"
        legacy.write_bytes(_legacy(config, weights))
        found["h5"].append(legacy)
    for name, model in models().items():
        path = folder / f"{name}.dagir"
        model.save(path)
        found["dagir"].append(path)
        dagir.to_onnx(model, folder / f"{name}.onnx")
        found["onnx"].append(folder / f"{name}.onnx")
        found["certificate"].append(_certified(folder / f"{name}.certified.onnx", model))
        found["pair"].append(folder / f"{name}.onnx")
    small = next(iter(models().values()))
    small.save_weights(folder / "net.safetensors")
    found["weights"].append(folder / "net.safetensors")
    shutil.copytree(_SAVED_MODEL, folder / "saved_model")
    found["savedmodel"].append(folder / "saved_model/saved_model.pb")
    found["checkpoint"].append(folder / "saved_model/variables/variables.index")
    shutil.copy(_FROZEN_GRAPH, folder / "graph.pb")
    found["graph"].append(folder / "graph.pb")
    for path in _strangers(folder):
        found["onnx"].append(path)
        found["pair"].append(path)
    return found


# ---- models of dagir


def models() -> dict[str, dagir.Model]:
    """A network of many kinds of layers, one with a nested model, one with sequences; the first has been trained."""
    image = dagir.Input((6, 6, 2), name="image")
    h = layers.Conv2D(3, 3, padding="same", activation="relu", name="conv")(image)
    h = layers.BatchNormalization(name="norm")(h)
    h = layers.MaxPooling2D(name="pool")(h)
    h = layers.Flatten(name="flat")(h)
    net = dagir.Model(image, layers.Dense(4, activation="softmax", name="head")(h), name="net")
    inner_in = dagir.Input((4,), name="inner_in")
    inner = dagir.Model(inner_in, layers.Dense(4, activation="tanh", name="d")(inner_in), name="inner")
    x = dagir.Input((4,), name="x")
    twice = dagir.Model(x, layers.Add(name="sum")([inner(inner(x)), ops.sqrt(ops.abs(x))]), name="twice")
    ids = dagir.Input((None,), dtype="int32", name="ids")
    e = layers.Embedding(11, 5, mask_zero=True, name="emb")(ids)
    steps = dagir.Model(ids, layers.Bidirectional(layers.LSTM(3, name="lstm"), name="bi")(e), name="steps")
    made = {"net": net, "twice": twice, "steps": steps}
    for model in made.values():
        for weight in model.weights:
            weight.assign(RNG.normal(size=weight.shape) if "variance" not in weight.name else np.ones(weight.shape))
    net.restore_training(TrainingState("keras", {"optimizer": {"class_name": "SGD", "config": {}}}, (np.ones(3),)))
    return made


def _certified(path: Path, model: dagir.Model) -> Path:
    onnx_backend: Any = dagir.backend("onnx")
    dagir.to_onnx(model, path)
    report = dagir.verify(model, {"onnx": onnx_backend.open(path, model)}, samples=2)
    onnx_backend.certify(path, report, "net.dagir")
    return path


# ---- .onnx files that others could have written


def _strangers(folder: Path) -> list[Path]:
    def tensor(name: str, *shape: Any) -> Any:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)

    weights = numpy_helper.from_array(RNG.normal(size=(3, 2)).astype(np.float32), "w")
    calls = [helper.make_node("f", ["x"], ["a"], domain="local"), helper.make_node("MatMul", ["a", "w"], ["y"])]
    body = [helper.make_node("Relu", ["in"], ["t"]), helper.make_node("Exp", ["t"], ["out"])]
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("local", 1)]
    function = helper.make_function("local", "f", ["in"], ["out"], body, opsets[:1])
    graph = helper.make_graph(calls, "calls", [tensor("x", "n", 3)], [tensor("y", "n", 2)], [weights])
    calling = helper.make_model(graph, functions=[function], opset_imports=opsets, ir_version=9)

    branches = [
        helper.make_graph([helper.make_node(op, ["x"], [name])], name, [], [tensor(name, "n", 3)])
        for op, name in (("Relu", "then"), ("Neg", "else"))
    ]
    zero = numpy_helper.from_array(np.zeros((), np.float32), "zero")
    nodes = [
        helper.make_node("ReduceSum", ["x"], ["s"], keepdims=0),
        helper.make_node("Greater", ["s", "zero"], ["c"]),
        helper.make_node("If", ["c"], ["y"], then_branch=branches[0], else_branch=branches[1]),
    ]
    graph = helper.make_graph(nodes, "choice", [tensor("x", "n", 3)], [tensor("y", "n", 3)], [zero])
    choosing = helper.make_model(graph, opset_imports=opsets[:1], ir_version=9)

    for name, model in (("calls", calling), ("choice", choosing)):
        onnx.save(model, folder / f"{name}.onnx")
    outside = folder / "outside.onnx"
    options: dict[str, Any] = {"location": "outside.data", "size_threshold": 0}
    onnx.save(calling, outside, save_as_external_data=True, **options)
    return [folder / "calls.onnx", folder / "choice.onnx", outside]


# ---- files of Keras, by hand


def _tensor(layer: str, shape: list[Any]) -> dict[str, Any]:
    config = {"shape": shape, "dtype": "float32", "keras_history": [layer, 0, 0]}
    return {"class_name": "__keras_tensor__", "config": config}


def _layer(class_name: str, name: str, config: dict[str, Any], *sources: tuple[str, list[Any]]) -> dict[str, Any]:
    inner = {"name": name, "trainable": True, "dtype": "float32", **config}
    tensors = [_tensor(*source) for source in sources]
    arguments = tensors if len(tensors) < 2 else [tensors]
    calls = [{"args": arguments, "kwargs": {}}] if tensors else []
    record = {"module": "keras.layers", "class_name": class_name, "config": inner, "registered_name": None}
    return {**record, "name": name, "inbound_nodes": calls}


def _model(class_name: str, config: dict[str, Any]) -> dict[str, Any]:
    return {"module": "keras", "class_name": class_name, "config": config, "registered_name": class_name}


def _functional(inputs: list[str], output: str, *made: dict[str, Any]) -> dict[str, Any]:
    ends = {"input_layers": [[name, 0, 0] for name in inputs], "output_layers": [[output, 0, 0]]}
    return _model("Functional", {"name": "model", "trainable": True, "layers": list(made), **ends})


def _keras_models() -> list[tuple[str, dict[str, Any], dict[str, list[tuple[int, ...]]]]]:
    """Name, configuration, and the shapes of each layer's weights."""
    shape = {"batch_shape": [None, 6, 6, 2]}
    conv = {"filters": 3, "kernel_size": [3, 3], "padding": "same", "activation": "relu"}
    net = _functional(
        ["image"],
        "head",
        _layer("InputLayer", "image", shape),
        _layer("Conv2D", "conv", conv, ("image", [None, 6, 6, 2])),
        _layer("BatchNormalization", "norm", {"axis": -1}, ("conv", [None, 6, 6, 3])),
        _layer("Add", "sum", {}, ("conv", [None, 6, 6, 3]), ("norm", [None, 6, 6, 3])),
        _layer("Flatten", "flat", {}, ("sum", [None, 6, 6, 3])),
        _layer("Dense", "head", {"units": 4, "activation": "softmax"}, ("flat", [None, 108])),
    )
    net_weights = {"conv": [(3, 3, 2, 3), (3,)], "norm": [(3,)] * 4, "head": [(108, 4), (4,)]}
    stack = [
        _layer("InputLayer", "ids", {"batch_shape": [None, 7], "dtype": "int32"}),
        _layer("Embedding", "emb", {"input_dim": 11, "output_dim": 5, "mask_zero": True}),
        _layer("LSTM", "lstm", {"units": 3}),
        _layer("Dense", "head", {"units": 2}),
    ]
    steps = _model("Sequential", {"name": "steps", "trainable": True, "layers": stack})
    steps_weights = {"emb": [(11, 5)], "lstm": [(5, 12), (3, 12), (12,)], "head": [(3, 2), (2,)]}
    return [("functional", net, net_weights), ("sequential", steps, steps_weights)]


_GROUPS = {"conv": "conv2d", "norm": "batch_normalization", "head": "dense", "emb": "embedding", "lstm": "lstm"}
_WEIGHTS = {
    "conv": ["kernel", "bias"],
    "norm": ["gamma", "beta", "moving_mean", "moving_variance"],
    "head": ["kernel", "bias"],
    "emb": ["embeddings"],
    "lstm": ["kernel", "recurrent_kernel", "bias"],
}


def _array(shape: tuple[int, ...]) -> Any:
    return RNG.uniform(0.1, 1, shape).astype(np.float32)


def _keras(config: dict[str, Any], weights: dict[str, list[tuple[int, ...]]]) -> bytes:
    stored, packed = io.BytesIO(), io.BytesIO()
    with h5py.File(stored, "w") as file:
        for name, shapes in weights.items():
            place = f"layers/{_GROUPS[name]}" + ("/cell" if name == "lstm" else "") + "/vars"
            for number, shape in enumerate(shapes):
                file.create_dataset(f"{place}/{number}", data=_array(shape))
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("metadata.json", '{"keras_version": "3.15.1", "date_saved": "2026-01-01@00:00:00"}')
        archive.writestr("config.json", json.dumps(config))
        archive.writestr("model.weights.h5", stored.getvalue())
    return packed.getvalue()


def _legacy(config: dict[str, Any], weights: dict[str, list[tuple[int, ...]]]) -> bytes:
    stored = io.BytesIO()
    with h5py.File(stored, "w") as file:
        file.attrs["model_config"], file.attrs["keras_version"] = json.dumps(config), "3.15.1"
        file.attrs["backend"] = "tensorflow"
        group = file.create_group("model_weights")
        names = [each["config"]["name"] for each in config["config"]["layers"]]
        group.attrs["layer_names"] = names
        for name in names:
            place = group.create_group(name)
            held = [f"{name}/{weight}" for weight in _WEIGHTS.get(name, ())]
            place.attrs["weight_names"] = held
            for weight, shape in zip(held, weights.get(name, ()), strict=True):
                place.create_dataset(weight, data=_array(shape))
    return stored.getvalue()
