"""Whether onnxruntime's products of codes saturate on this CPU: those of uint8 and int8, where it has no VNNI."""

from __future__ import annotations

import numpy as np
import onnxruntime
from onnx import TensorProto, helper, numpy_helper


def _saturates() -> bool:
    node = helper.make_node("MatMulInteger", ["x", "w"], ["y"])
    ends = [
        helper.make_tensor_value_info(name, kind, [4, 32])
        for name, kind in (("x", TensorProto.UINT8), ("y", TensorProto.INT32))
    ]
    weights = numpy_helper.from_array(np.full((32, 32), 127, "int8"), "w")
    graph = helper.make_graph([node], "product", ends[:1], ends[1:], [weights])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {"x": np.full((4, 32), 255, "uint8")})
    return bool((found != 32 * 255 * 127).any())


SATURATES = _saturates()
