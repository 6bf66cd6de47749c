"""The least time that the transformer of networks.py can take in onnxruntime, over a peer's file of it.

    python tools/bench/floor.py FOLDER/transformer.tf2onnx.onnx FOLDER/transformer.dagir.onnx

Two graphs are made of what no rewriting takes away, and answer nothing of use: its matrix products alone, with neither
biases nor heads moved into place; and those with the biases, activations, norms and softmaxes, still without moving
heads and without the residual additions. A file of the whole network can't be faster than the second.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper

from convert import paired

TOKENS, WIDTH, HEADS, SIZE, HIDDEN, BLOCKS = 128, 256, 4, 64, 1024, 2


class Builder:
    """Nodes and weights of a graph on one value of shape (TOKENS, WIDTH)."""

    def __init__(self, products_alone: bool) -> None:
        self.products_alone = products_alone
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []
        self.rng = np.random.default_rng(0)

    def op(self, kind: str, *inputs: str, **attributes: object) -> str:
        name = f"{kind}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [name], **attributes))
        return name

    def constant(self, array: np.ndarray) -> str:
        name = f"constant_{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(array, name))
        return name

    def drawn(self, *shape: int) -> str:
        return self.constant(self.rng.normal(size=shape, scale=shape[0] ** -0.5).astype(np.float32))

    def dense(self, x: str, rows: int, columns: int) -> str:
        if self.products_alone:
            return self.op("MatMul", x, self.drawn(rows, columns))
        return self.op("Gemm", x, self.drawn(rows, columns), self.drawn(columns))

    def unless_alone(self, kind: str, x: str, *weights: int) -> str:
        return x if self.products_alone else self.op(kind, x, *(self.drawn(size) for size in weights))

    def block(self, x: str) -> str:
        heads = self.constant(np.array([HEADS, TOKENS, SIZE]))
        y = self.unless_alone("LayerNormalization", x, WIDTH, WIDTH)
        q, k, v = (self.op("Reshape", self.dense(y, WIDTH, HEADS * SIZE), heads) for _ in range(3))
        scores = self.op("MatMul", q, self.op("Transpose", k, perm=[0, 2, 1]))  # onnxruntime makes one FusedMatMul
        y = self.op("MatMul", self.unless_alone("Softmax", scores), v)
        y = self.op("Reshape", y, self.constant(np.array([TOKENS, HEADS * SIZE])))
        y = self.unless_alone("LayerNormalization", self.dense(y, HEADS * SIZE, WIDTH), WIDTH, WIDTH)
        return self.dense(self.unless_alone("Relu", self.dense(y, WIDTH, HIDDEN)), HIDDEN, WIDTH)


def write(path: Path, products_alone: bool) -> None:
    build = Builder(products_alone)
    x = "x"
    for _ in range(BLOCKS):
        x = build.block(x)
    x = build.unless_alone("LayerNormalization", x, WIDTH, WIDTH)
    value = (helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [TOKENS, WIDTH]) for name in ("x", x))
    graph = helper.make_graph(build.nodes, "floor", *([one] for one in value), build.weights)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("peer", type=Path)
    parser.add_argument("ours", type=Path)
    parser.add_argument("--seconds", type=float, default=8.0, help="of each comparison")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        alone, least = Path(folder, "alone.onnx"), Path(folder, "least.onnx")
        write(alone, True)
        write(least, False)
        print("median ratio to the peer, products alone / least / dagir's file / the peer's own file")
        for threads in (1, 2):
            files = (alone, least, options.ours, options.peer)
            rows = [paired(file, options.peer, threads, options.seconds)["median_ratio"] for file in files]
            print(f"  {threads} thread(s): " + " / ".join(f"{row:.3f}" for row in rows))


if __name__ == "__main__":
    main()
