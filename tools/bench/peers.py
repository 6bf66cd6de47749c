"""Convert one network with a peer, in the peers' own environment: `python peers.py NETWORK export|tf2onnx|save TARGET`.

Prints JSON: seconds of the conversion, peak MiB above the process that has imported and built, versions. Or an error.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import resource
import sys
import time
from importlib.metadata import version
from typing import Any

import numpy as np

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")


def peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def build(name: str) -> Any:
    import keras
    from networks import NETWORKS

    if name in NETWORKS:
        model = keras.Model(*NETWORKS[name](keras.layers))
    else:
        sizes = {"input_shape": (224, 224, 3)} if name.startswith("MobileNetV3") else {}  # theirs are not known else
        model = getattr(keras.applications, name)(weights=None, **sizes)
    unsettle(model.weights)
    return model


def unsettle(weights: Any) -> None:
    """Nothing stays 0 or 1: a fresh normalization would fold away."""
    rng = np.random.default_rng(0)
    for weight in weights:
        if len(weight.shape) == 1:
            weight.assign(rng.uniform(0.5, 1.5, size=weight.shape))


def convert(model: Any, peer: str, target: str) -> None:
    import tensorflow as tf
    import tf2onnx

    signature = [tf.TensorSpec([None, *v.shape[1:]], v.dtype, name=v.name) for v in model.inputs]
    if peer == "export":
        model.export(target, format="onnx", verbose=False, input_signature=[signature])
    else:
        tf2onnx.convert.from_keras(model, signature, opset=18, output_path=target)


def main() -> None:
    name, peer, target = sys.argv[1:]
    import tf2onnx  # noqa: F401

    model = build(name)
    if peer == "save":
        model.save(target)
        return
    model(*[np.zeros([1, *v.shape[1:]], v.dtype) for v in model.inputs])  # export refuses a model never called
    before, start = peak(), time.perf_counter()
    facts: dict[str, Any] = {p: version(p) for p in ("tensorflow", "keras", "tf2onnx", "onnx")}
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            convert(model, peer, target)
        facts.update(seconds=time.perf_counter() - start, mib=peak() - before)
    except Exception as error:
        facts["error"] = f"{type(error).__name__}: {str(error).strip().splitlines()[0][:200]}"
    print(json.dumps(facts))


if __name__ == "__main__":
    main()
