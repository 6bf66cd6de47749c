"""Microseconds a node for chains and ladders of 1,000, 10,000 and 100,000 nodes, beside onnx_ir, spox and Keras.

    python tools/bench/graph_scale.py [--sizes 1000 10000 100000] [--peers onnx_ir spox keras]

A chain is y = tanh(y); a ladder is y = y + x, so that every node reads the input too. `build` makes the nodes and
closes the graph; dagir's other columns are check, the deployment passes, printing, and lowering to a ModelProto.
Every cell is the best of three in one process; a peer that is not installed says so.
"""

from __future__ import annotations

import argparse
import gc
import time
from collections.abc import Callable
from typing import Any

import dagir
from dagir import ops
from dagir.passes import DEPLOY, run
from dagir.runtime.backend import signature
from dagir_onnx.lowering import model_proto

Build = Callable[[int], Any]


def best(function: Callable[[], Any], nodes: int, repeats: int = 3) -> float:
    """Microseconds a node, the best of some runs."""
    times = []
    for _ in range(repeats):
        gc.collect()
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return min(times) / nodes * 1e6


def dagir_rows(kind: str, n: int) -> dict[str, float]:
    def build() -> dagir.Model:
        x = dagir.Input(shape=(8,), name="x")
        y = x
        for _ in range(n):
            y = ops.tanh(y) if kind == "chain" else y + x
        return dagir.Model(x, y)

    model = build()
    optimized = run(model.graph, DEPLOY)
    return {
        "build": best(build, n),
        "check": best(lambda: dagir.check(model.graph), n),
        "optimize": best(lambda: run(model.graph, DEPLOY), n),
        "print": best(lambda: str(model.graph), n),
        "to ONNX": best(lambda: model_proto(optimized, signature(model), 21), n),
    }


def onnx_ir_build(kind: str, n: int) -> None:
    import onnx_ir as ir

    kind_of = ir.TensorType(ir.DataType.FLOAT)
    x = ir.Value(name="x", type=kind_of, shape=ir.Shape(["batch", 8]))
    y, nodes = x, []
    for _ in range(n):
        node = ir.Node("", "Relu", [y]) if kind == "chain" else ir.Node("", "Add", [y, x])
        nodes.append(node)
        y = node.outputs[0]
        y.type, y.shape = kind_of, x.shape
    ir.Graph([x], [y], nodes=nodes, opset_imports={"": 21})


def onnx_ir_tape_build(kind: str, n: int) -> None:
    import onnx_ir as ir
    from onnx_ir.tape import Tape

    x = ir.Value(name="x", type=ir.TensorType(ir.DataType.FLOAT), shape=ir.Shape(["batch", 8]))
    tape, y = Tape(), x
    for _ in range(n):
        y = tape.op("Relu", [y]) if kind == "chain" else tape.op("Add", [y, x])
    ir.Graph([x], [y], nodes=tape.nodes, opset_imports={"": 21})


def spox_build(kind: str, n: int) -> None:
    import numpy as np
    import spox.opset.ai.onnx.v17 as op
    from spox import Tensor, argument

    x = argument(Tensor(np.float32, ("batch", 8)))
    y = x
    for _ in range(n):
        y = op.tanh(y) if kind == "chain" else op.add(y, x)


def keras_build(kind: str, n: int) -> None:
    import keras

    x = keras.Input((8,))
    y = x
    for _ in range(n):
        y = keras.ops.tanh(y) if kind == "chain" else y + x
    keras.Model(x, y)


PEERS: dict[str, Callable[[str, int], None]] = {
    "onnx_ir": onnx_ir_build,
    "onnx_ir tape": onnx_ir_tape_build,
    "spox": spox_build,
    "keras": keras_build,
}
LIMITS = {"spox": 10_000, "keras": 10_000}  # beyond, minutes


def peer_cell(name: str, kind: str, n: int) -> str:
    if n > LIMITS.get(name, n):
        return "not run"
    try:
        PEERS[name](kind, 10)  # imports and caches
        return f"{best(lambda: PEERS[name](kind, n), n, 3 if n < 50_000 else 1):.1f}"
    except RecursionError:
        return "RecursionError"
    except ImportError:
        return "absent"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1_000, 10_000, 100_000])
    parser.add_argument("--peers", nargs="*", default=list(PEERS), choices=list(PEERS))
    arguments = parser.parse_args()
    columns = ["build", "check", "optimize", "print", "to ONNX"]
    print("microseconds a node")
    heads = [f"{c:>10}" for c in columns] + [f"{peer + ' build':>20}" for peer in arguments.peers]
    print(f"{'graph':<8}{'nodes':>8}{''.join(heads)}")
    for kind in ("chain", "ladder"):
        for n in arguments.sizes:
            own = dagir_rows(kind, n)
            cells = [f"{own[c]:>10.1f}" for c in columns] + [f"{peer_cell(p, kind, n):>20}" for p in arguments.peers]
            print(f"{kind:<8}{n:>8}{''.join(cells)}", flush=True)


if __name__ == "__main__":
    main()
