"""Read the models of keras-hub's own tests, and compare NumPy and onnxruntime with Keras at two lengths.

    python tools/bench/keras_hub.py CHECKOUT OUT.json [--only REGEX] [--steps]

CHECKOUT is a checkout of keras-hub; its dependencies are installed. Each test that calls run_backbone_test,
run_vision_backbone_test or run_task_test gives a model and data: the test's own method is caught before it does
anything. --steps takes `call_with_cache` of the causal models in place of the models. Each model has a process.
"""

from __future__ import annotations

import argparse
import importlib
import inspect
import json
import os
import re
import signal
import sys
import time
import unittest
from collections import Counter
from pathlib import Path

os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np

import dagir
from dagir.errors import DagirError

CATCHES = re.compile(r"run_(?:vision_)?backbone_test|run_task_test")
CLOSE = 1e-4  # of the largest number


class Caught(BaseException):
    """Raised in place of a test, with its class, arguments and data."""


def catching(kind):
    def method(self, cls=None, init_kwargs=None, input_data=None, *_, train_data=None, backbone_cls=None, **__):
        raise Caught(kind, cls or backbone_cls, init_kwargs, input_data if train_data is None else train_data)

    return method


def cases(checkout):
    from keras_hub.src.tests.test_case import TestCase

    TestCase.run_backbone_test = TestCase.run_vision_backbone_test = catching("backbone")
    TestCase.run_task_test = catching("task")
    for path in sorted((checkout / "keras_hub/src/models").rglob("*_test.py")):
        text = path.read_text()
        if not CATCHES.search(text):
            continue
        module = importlib.import_module(".".join(path.relative_to(checkout).with_suffix("").parts))
        parts = re.split(r"\n    def (test\w*)", text)
        bodies = dict(zip(parts[1::2], parts[2::2], strict=True))
        catch = [name for name, body in bodies.items() if CATCHES.search(body)]
        for cls in vars(module).values():
            if isinstance(cls, type) and issubclass(cls, TestCase) and cls is not TestCase:
                for name in sorted(dir(cls)):
                    drawn = name not in bodies and name.startswith(tuple(catch))  # one of a test with parameters
                    if drawn or name in catch:
                        yield f"{path.stem}:{cls.__name__}.{name}", cls, name


def catch(cls, name):
    test = cls(name)
    try:
        test.setUp()
        getattr(test, name)()
    except Caught as caught:
        return caught.args
    except unittest.SkipTest:
        return None
    return None


def arrays(data):
    return keras.tree.map_structure(lambda part: np.asarray(keras.ops.convert_to_numpy(part)), data)


def other_sizes(inputs, data, how):
    """Another batch, and other lengths where the model has None."""

    def change(tensor, x):
        if tensor.shape[0] is None:
            x = x[:1] if len(x) > 1 else np.repeat(x, 2, 0)
        for axis in [axis for axis in range(1, x.ndim) if tensor.shape[axis] is None]:
            if how == "shorter" and x.shape[axis] > 1:
                x = np.take(x, range(x.shape[axis] - 1), axis)
            if how == "twice":
                x = np.concatenate([x, x], axis)
        return x

    return keras.tree.map_structure(change, inputs, data)


def compare(expected, found):
    """The largest difference in parts of the largest number; a sentence where they cannot be compared."""
    pairs = list(zip(keras.tree.flatten(arrays(expected)), keras.tree.flatten(found), strict=True))
    worst = 0.0
    for theirs, ours in pairs:
        if theirs.shape != ours.shape:
            return f"shape {ours.shape} in place of {theirs.shape}"
        if not np.array_equal(np.isfinite(theirs), np.isfinite(ours)):
            return "infinity or NaN at other places"
        known = np.isfinite(theirs)
        if known.any():
            a, b = theirs[known].astype("float64"), ours[known].astype("float64")
            worst = max(worst, float(np.abs(a - b).max() / max(np.abs(a).max(), 1e-6)))
    return worst


def judged(read, model, feeds):
    found = {}
    for backend in ("numpy", "onnx"):
        executable = dagir.lower(read, backend)
        for name, data in feeds.items():
            found[f"{backend}, {name}"] = compare(model(data), executable(data))
    bad = any(isinstance(each, str) or each > CLOSE for each in found.values())
    return {"status": "different" if bad else "equal", "found": found}


def whole(kind, cls, arguments, data):
    model = cls(**arguments)
    if kind == "task" and model.preprocessor is not None:
        data = model.preprocessor(*data)[0]
    inputs = model._inputs_struct
    if isinstance(inputs, (list, tuple)) and len(inputs) == 1:
        inputs = inputs[0]
    given = arrays(data)
    if isinstance(given, dict):
        given = keras.tree.map_structure(lambda tensor: given[tensor.name], inputs)
    read = dagir.from_keras(model)
    feeds = {"its own": keras.tree.map_structure(lambda tensor, x: x.astype(tensor.dtype), inputs, given)}
    for how in ("shorter", "twice", "batch"):
        try:
            changed = other_sizes(inputs, feeds["its own"], how)
            model(changed, training=False)
        except Exception:  # Keras does not take it
            continue
        feeds[how] = changed
        break
    return judged(read, lambda data: model(data, training=False), feeds)


class Step(keras.Model):
    def __init__(self, language_model):
        super().__init__()
        self.language_model = language_model

    def call(self, inputs):
        more = {name: part for name, part in inputs.items() if name not in ("tokens", "cache", "at")}
        return self.language_model.call_with_cache(inputs["tokens"], inputs["cache"], inputs["at"], **more)


def caches_of(model, ids):
    """Random numbers in the shape of the caches that the model hands to itself."""
    real, parameters = model.call_with_cache, list(inspect.signature(model._build_cache).parameters)[1:]

    def hand_over(token_ids, cache, *_, **__):
        raise Caught(cache)

    object.__setattr__(model, "call_with_cache", hand_over)
    try:
        model._build_cache(ids, *[np.ones(ids.shape, bool) if n == "padding_mask" else None for n in parameters])
    except Caught as caught:
        rng = np.random.default_rng(ids.size)
        return keras.tree.map_structure(lambda x: rng.normal(size=x.shape).astype("float32"), caught.args[0])
    finally:
        object.__setattr__(model, "call_with_cache", real)


def step(kind, cls, arguments, data):
    if (
        kind != "task"
        or "cache_update_index" not in inspect.signature(getattr(cls, "call_with_cache", step)).parameters
    ):
        return None
    model, rng, feeds = cls(**arguments), np.random.default_rng(0), {}
    for batch, length, at in ((2, 8, 3), (1, 6, 4), (3, 8, 0)):
        ids = rng.integers(1, 8, (batch, length)).astype("int32")
        feed = {"tokens": ids[:, :1], "cache": caches_of(model, ids), "at": np.int32(at)}
        needed = inspect.signature(model.call_with_cache).parameters.get("img_embeddings")
        if needed is not None and needed.default is needed.empty:
            feed["img_embeddings"] = rng.normal(size=(batch, 5, model.backbone.decoder_hidden_dim)).astype("float32")
        feeds[f"{batch}, {length}"] = feed
    taken = Step(model)
    taken(keras.tree.map_structure(keras.ops.convert_to_tensor, feed))
    first, second = list(feeds.values())[:2]

    def given(name, x, y):
        sizes = zip(x.shape, y.shape, strict=True)
        shape = [a if a == b else "length" if axis else "batch" for axis, (a, b) in enumerate(sizes)]
        return dagir.Input(batch_shape=tuple(shape), dtype=str(x.dtype), name=name)

    inputs = {}
    for key, part in first.items():
        pairs = list(zip(keras.tree.flatten(part), keras.tree.flatten(second[key]), strict=True))
        made = [given(key if len(pairs) == 1 else f"{key}_{place}", x, y) for place, (x, y) in enumerate(pairs)]
        inputs[key] = keras.tree.pack_sequence_as(part, made)
    read = dagir.from_keras(taken, inputs=inputs)
    order = [value.name for value in keras.tree.flatten(inputs)]
    flat = {name: dict(zip(order, keras.tree.flatten(feed), strict=True)) for name, feed in feeds.items()}

    def keras_says(data):
        packed = keras.tree.pack_sequence_as(inputs, [keras.ops.convert_to_tensor(data[name]) for name in order])
        return taken(packed)

    return judged(read, keras_says, flat)


def answer(take, cls, name):
    try:
        caught = catch(cls, name)
        made = None if caught is None else take(*caught)
        return {"status": "no case"} if made is None else {"kind": caught[0], **made}
    except DagirError as error:
        return {"kind": caught[0], "status": "refused", "reason": str(error)}
    except BaseException as error:
        return {"status": "no case", "reason": f"{type(error).__name__}: {error}"}


def in_a_process(take, cls, name, limit):
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        os.close(reader)
        signal.alarm(limit)
        with os.fdopen(writer, "w") as pipe:
            json.dump(answer(take, cls, name), pipe)
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        text = pipe.read()
    os.waitpid(child, 0)
    return json.loads(text) if text else {"status": "no answer in time"}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkout", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--only", default="")
    parser.add_argument("--steps", action="store_true")
    parser.add_argument("--limit", type=int, default=150, help="seconds for a model")
    options = parser.parse_args()
    sys.path.insert(0, str(options.checkout))
    found = {}
    for label, cls, name in cases(options.checkout):
        if re.search(options.only, label):
            begin = time.perf_counter()
            found[label] = in_a_process(step if options.steps else whole, cls, name, options.limit)
            print(label, found[label]["status"], f"{time.perf_counter() - begin:.0f} s", flush=True)
            options.out.write_text(json.dumps(found, indent=1))
    print(Counter((each.get("kind"), each["status"]) for each in found.values()))


if __name__ == "__main__":
    main()
