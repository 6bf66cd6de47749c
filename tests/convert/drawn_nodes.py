"""One ONNX node as a model: read by from_onnx, and judged by onnxruntime, or by onnx's evaluator."""

from __future__ import annotations

import warnings

import numpy as np
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

import dagir

_TYPES = {
    "float32": TensorProto.FLOAT,
    "float64": TensorProto.DOUBLE,
    "float16": TensorProto.FLOAT16,
    "int32": TensorProto.INT32,
    "int64": TensorProto.INT64,
    "int8": TensorProto.INT8,
    "uint8": TensorProto.UINT8,
    "bool": TensorProto.BOOL,
}


def model_of(op, inputs, outputs, opset, *, domain="", stored=(), free=(), **attributes):
    """A model of one node.

    inputs: arrays, None for one that is left out; outputs: dtypes, None for one that is not wanted. stored: the places
    of inputs that are initializers. free: (place, axis) pairs of sizes that are named, not fixed.
    """
    names = ["" if array is None else f"in{place}" for place, array in enumerate(inputs)]
    results = ["" if dtype is None else f"out{place}" for place, dtype in enumerate(outputs)]
    while names and not names[-1]:
        names.pop()
    node = helper.make_node(op, names, results, domain=domain, name="node", **attributes)
    given = []
    for place, array in enumerate(inputs):
        if array is not None and place not in stored:
            shape = [f"d{place}_{axis}" if (place, axis) in free else size for axis, size in enumerate(array.shape)]
            given.append(helper.make_tensor_value_info(f"in{place}", _TYPES[str(array.dtype)], shape))
    made = [helper.make_tensor_value_info(n, _TYPES[d], None) for n, d in zip(results, outputs, strict=True) if d]
    initializers = [
        numpy_helper.from_array(inputs[place], f"in{place}") for place in stored if inputs[place] is not None
    ]
    graph = helper.make_graph([node], "one", given, made, initializers)
    imports = [helper.make_opsetid("", opset)]
    if domain:
        imports.append(helper.make_opsetid(domain, 1))
    return helper.make_model(graph, opset_imports=imports, ir_version=10)


def feeds_of(inputs, stored=()):
    """The arrays for the inputs of the model."""
    return {f"in{i}": array for i, array in enumerate(inputs) if array is not None and i not in stored}


def runtime_answers(model, feeds):
    """What onnxruntime gives, without its optimizations."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level, options.intra_op_num_threads = 4, 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return dict(zip([each.name for each in session.get_outputs()], session.run(None, feeds), strict=True))


def evaluator_answers(model, feeds):
    """What onnx's evaluator gives."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        session = ReferenceEvaluator(model)
        return dict(zip(session.output_names, session.run(None, feeds), strict=True))


def assert_read_right(model, feeds, wanted, backends=("numpy", "onnx"), rtol=1e-4, atol=1e-5):
    """dagir's answers for the model, on each of these backends, are the wanted ones."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dagir.errors.DeclarationWarning)
        read = dagir.from_onnx(model)
    for backend in backends:
        found = dagir.lower(read, backend, **({"threads": 1} if backend == "onnx" else {}))(feeds)  # as the judge
        for name, array in wanted.items():
            assert found[name].shape == array.shape, (backend, name, found[name].shape, array.shape)
            assert found[name].dtype == array.dtype, (backend, name, found[name].dtype, array.dtype)
            np.testing.assert_allclose(found[name], array, rtol, atol, err_msg=f"{backend} {name}")
