"""onnxruntime on CUDA: every compute node on the GPU, answers as the oracle's; one clear error where CUDA is absent."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

import dagir
from dagir.ir.nest import flatten
from dagir.testing import assert_close
from dagir_onnx.session_setup import HOST_OPS
from guide import autoencoder, mnist, tickets, toy_resnet

HAS_CUDA = "CUDAExecutionProvider" in onnxruntime.get_available_providers()
needs_cuda = pytest.mark.skipif(not HAS_CUDA, reason="needs a CUDA GPU and dagir[onnx-gpu]")


def feeds(model, sizes):
    rng = np.random.default_rng(0)
    arrays = []
    for value in model.inputs:
        shape = [size if isinstance(size, int) else sizes.get(str(size), 5) for size in value.type.shape]
        ids = value.dtype.is_integer
        arrays.append(rng.integers(0, 100, shape).astype("int32") if ids else rng.normal(size=shape).astype("float32"))
    return arrays


@pytest.mark.cuda
@needs_cuda
@pytest.mark.parametrize("network", [mnist, autoencoder, tickets, toy_resnet], ids=lambda module: module.__name__)
def test_every_compute_node_runs_on_the_gpu(network, tmp_path):
    model = network.model()
    options = onnxruntime.SessionOptions()
    options.enable_profiling = True
    options.profile_file_prefix = str(tmp_path / "profile")
    executable = dagir.lower(model, "onnx", device="cuda", session_options=options)
    arrays = feeds(model, {"batch": 3})
    found = flatten(executable(arrays))
    expected = flatten(dagir.lower(model, "numpy", precision="float64")(arrays))
    for got, want in zip(found, expected, strict=True):
        assert_close(got, want, network.__name__)
    events = json.loads(Path(executable.session.end_profiling()).read_text())
    ran = [e["args"] for e in events if e.get("cat") == "Node" and "provider" in e.get("args", {})]
    assert ran, "the profile names no node"
    elsewhere = {e["op_name"] for e in ran if e["provider"] != "CUDAExecutionProvider"} - HOST_OPS
    assert not elsewhere, f"these ran on the CPU: {elsewhere}"


@pytest.mark.skipif(HAS_CUDA, reason="CUDA is here")
def test_cuda_that_is_absent_is_one_clear_error():
    with pytest.raises(dagir.BackendError) as caught:
        dagir.lower(mnist.model(), "onnx", device="cuda")
    message = str(caught.value)
    assert message.startswith("device 'cuda' was asked for, and this onnxruntime cannot use it\n")
    assert "CPUExecutionProvider" in message
    assert message.endswith("remedy: pip install 'dagir[onnx-gpu]' on a machine with a CUDA GPU, or use device='cpu'")


def test_an_unknown_device_is_refused():
    with pytest.raises(dagir.ArgumentError, match="unknown device 'tpu'"):
        dagir.lower(mnist.model(), "onnx", device="tpu")
