"""dagir.verify: what is right uses part of the budget, what is wrong exceeds it."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys

import numpy as np
import pytest

import dagir
from dagir import layers, ops
from dagir.equivalence.comparison import compare
from dagir.equivalence.inputs import draw, index_limits, size_plans
from dagir.equivalence.noise import Noise, accumulation_length
from dagir.equivalence.oracle import Expected
from dagir.errors import ArgumentError, BackendError, DagirError, FeedError, VerificationError
from dagir.ir.graph import Op, apply_node
from dagir.ir.types import DType, TensorType

NO_KERAS = ("numpy", "onnx")
DOMAINS = {
    **dict.fromkeys(("Arcsin", "Arccos", "Arctanh"), (-0.999, 0.999)),
    **dict.fromkeys(("Log", "Sqrt", "Rsqrt"), (1e-9, np.inf)),
    "Arccosh": (1, np.inf),
    "Log1p": (-0.9, np.inf),
}


def perceptron(width=48, depth=3, activation="tanh"):
    x = inputs = dagir.Input(shape=(width,), name="x")
    for _ in range(depth):
        x = layers.Dense(width, activation=activation)(x)
    model = dagir.Model(inputs, layers.Dense(5, activation="softmax", name="y")(x))
    rng = np.random.default_rng(width)
    for parameter in model.graph.parameters:
        scale = 1 if len(parameter.shape) == 1 else parameter.shape[0] ** -0.5
        parameter.assign(scale * rng.normal(size=parameter.shape))
    return model


def with_fault(model, parameter, array):
    """An onnxruntime session of the model with one weight replaced; the model keeps its own."""
    kept = parameter.array
    parameter.assign(array)
    try:
        exe = dagir.lower(model, "onnx")
        exe.session  # noqa: B018  # reads the weights
    finally:
        parameter.assign(kept)
    return exe


@pytest.mark.parametrize("activation", ["relu", "tanh", "sigmoid", "gelu", "softplus", "elu", "softmax"])
def test_rounding_uses_a_part_of_the_budget(activation):
    report = dagir.verify(perceptron(activation=activation), NO_KERAS)
    assert report.ok
    for row in report.rows:
        assert 0.01 < row.used < 0.6, f"{row.backend} uses {100 * row.used:.1f} % of the budget"


@pytest.mark.parametrize("width", [16, 512])
def test_every_weight_that_is_off_by_one_part_in_ten_thousand_is_found(width):
    model = perceptron(width)
    for parameter in model.graph.parameters:
        exe = with_fault(model, parameter, parameter.array * np.float32(1.0001))
        report = dagir.verify(model, {"faulty": exe})
        assert not report.ok, f"{parameter.name} scaled by 1.0001 passes"


def test_a_bias_that_is_lost_is_found():
    model = perceptron()
    parameter = next(p for p in model.graph.parameters if p.name.endswith("bias"))
    report = dagir.verify(model, {"faulty": with_fault(model, parameter, np.zeros_like(parameter.array))})
    assert not report.ok
    with pytest.raises(VerificationError, match="1 of 1 outputs differ") as caught:
        report.require()
    assert caught.value.exit_code == 3
    assert "faulty y" in str(caught.value)


def test_cancellation_widens_the_budget():
    """Subtracting what was added loses the digits; a single tolerance for all graphs would fail this."""
    x = dagir.Input(shape=(40,), name="x")
    model = dagir.Model(x, (x * 1.1 + 1e4) - 1e4)
    report = dagir.verify(model, NO_KERAS)
    assert report.ok
    assert max(row.max_error for row in report.rows) > 1e-4


def test_cancellation_within_one_sum_widens_the_budget_too():
    """The result is small beside its terms, so noise on the result alone would not do."""
    x = dagir.Input(shape=(64,), name="x")
    w = np.where(np.arange(64) % 2, -1e4, 1e4)[:, None] * np.ones((1, 5)) + np.random.default_rng(0).normal(
        size=(64, 5)
    )
    kernel = dagir.Parameter("w", TensorType(DType.FLOAT32, (64, 5)), array=w.astype("float32"))
    model = dagir.Model(x, ops.linear(x, kernel))
    feed = (1.1 + 1e-5 * np.random.default_rng(1).normal(size=(4, 64))).astype("float32")
    report = dagir.verify(model, NO_KERAS, feed)
    assert report.ok
    assert max(row.max_error for row in report.rows) > 1e-4


def functions_of_one():
    """Ops of one float32 that need no argument, and yield one."""
    for kind in vars(ops).values():
        if isinstance(kind, type) and issubclass(kind, Op):
            with contextlib.suppress(DagirError, TypeError):
                node = apply_node(kind(), (dagir.Input((100,), name="x"),))
                if [value.dtype for value in node.outputs] == ["float32"]:
                    yield kind


@pytest.mark.parametrize("kind", [*functions_of_one()], ids=lambda kind: kind.__name__)
def test_functions_of_small_and_large_numbers_are_within_their_budget(kind):
    """Where a small result is what is left of larger numbers, as of e^x - 1, rounding is a share of those."""
    x = dagir.Input((100,), name="x")
    model = dagir.Model(x, apply_node(kind(), (x,)).outputs[0])
    exes = {name: dagir.lower(model, name) for name in NO_KERAS}
    low, high = DOMAINS.get(kind.__name__, (-np.inf, np.inf))
    rng = np.random.default_rng(0)
    for size in 10.0 ** np.arange(-6, 2):
        for sign in (1, -1):
            array = np.clip(sign * rng.uniform(0.5, 1, (4, 100)) * size, low, high).astype("float32")
            assert dagir.verify(model, exes, inputs={"x": array}).ok, f"{kind.__name__} near {sign * size:g}"


def test_an_answer_of_rank_0_has_a_budget():
    x = dagir.Input(batch_shape=(7,), name="x")
    report = dagir.verify(dagir.Model(x, ops.mean(ops.exp(x))), NO_KERAS)
    assert report.ok
    assert all(row.used > 0 for row in report.rows)


@pytest.mark.parametrize(
    "build", [lambda x: ops.image.resize(x, (5, 3)), layers.UpSampling2D(3, interpolation="bilinear")]
)
def test_where_a_point_lies_between_pixels_rounds_too(build):
    """TensorFlow reckons positions in float32: on 5 pixels weights are off by 1.6e-7, times the pixels' difference."""
    x = dagir.Input((7, 5, 1), name="x")
    model = dagir.Model(x, build(x))
    image = np.zeros((1, 7, 5, 1), "float32")
    image[:, ::2, 1::2] = 100
    assert dagir.verify(model, inputs={"x": image}).ok


@pytest.mark.parametrize("norm", [layers.LayerNormalization(), layers.GroupNormalization(groups=-1)])
def test_a_mean_that_is_off_is_off_for_all(norm):
    """Of equal numbers nothing is left but what the mean is off by, over sqrt(epsilon)."""
    x = dagir.Input((35, 40), name="x")
    model = dagir.Model(x, norm(x))
    assert dagir.verify(model, inputs={"x": np.full((3, 35, 40), 1.7615942, "float32")}).ok


def test_exact_graphs_have_no_budget():
    x = dagir.Input(shape=("time", 6), name="x")
    y = ops.relu(ops.transpose(x, [0, 2, 1]))
    report = dagir.verify(dagir.Model(x, y), NO_KERAS)
    assert [row.verdict for row in report.rows] == ["exact", "exact"]
    tiny = dagir.verify(dagir.Model(x, y), {"other": dagir.lower(dagir.Model(x, y * 1.0000002), "numpy")})
    assert not tiny.ok


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
def test_other_float_dtypes_have_budgets_of_their_own(dtype):
    x = dagir.Input(shape=(33,), name="x", dtype=dtype)
    w = dagir.Parameter("w", TensorType(DType(dtype), (33, 7)), array=_normal((33, 7), dtype))
    model = dagir.Model(x, ops.tanh(ops.matmul(x, w)))
    report = dagir.verify(model, ("numpy",))
    assert report.ok
    assert report.rows[0].max_error < 40 * DType(dtype).eps
    kept = w.array
    w.assign(kept.astype("float64") * (1 + 600 * DType(dtype).eps))
    off = dagir.lower(dagir.Model(x, ops.tanh(ops.matmul(x, dagir.Parameter("v", w.type, array=w.array)))), "numpy")
    w.assign(kept)
    assert not dagir.verify(model, {"off": off}).ok


def _normal(shape, dtype):
    return np.random.default_rng(3).normal(size=shape).astype(DType(dtype).numpy)


def test_ids_stay_within_their_tables_also_through_casts_and_nested_models():
    words = dagir.Input(shape=("time",), name="words", dtype="int32")
    inner = dagir.Model(words, layers.Embedding(4, 3)(words))
    ids = dagir.Input(shape=("time",), name="ids")
    outer = dagir.Model(ids, inner(ops.cast(ids, "int32")))
    assert list(index_limits(outer.graph).values()) == [[4]]
    (array,) = draw(outer.graph, {"batch": 3, "time": 50}, np.random.default_rng(0))
    assert array.dtype == np.float32
    assert set(array.ravel()) == {0, 1, 2, 3}
    assert dagir.verify(outer, NO_KERAS).ok


def test_named_sizes_get_two_values_each_and_larger_ones_where_the_graph_refuses():
    x = dagir.Input(shape=("time", 2), name="x")
    z = dagir.Input(shape=("steps", 2), name="z")
    plans = size_plans(dagir.Model([x, z], [x * 1.5, z * 1.5]).graph)
    assert plans[0].tried[0] == {"batch": 1, "time": 5, "steps": 6}
    assert plans[1].tried[0] == {"batch": 3, "time": 8, "steps": 16}
    assert [plan.kind for plan in plans] == ["normal", "normal", "spread", "edges"]
    twice = dagir.verify(dagir.Model(x, ops.exp(x)), ("numpy",))
    assert [case.input_shapes for case in twice.cases] == [((1, 5, 2),), ((3, 8, 2),), ((17, 5, 2),), ((8, 8, 2),)]
    tail = dagir.Model(x, ops.exp(x[:, 20:]))
    report = dagir.verify(tail, ("numpy",))
    assert all(case.input_shapes[0][1] > 20 for case in report.cases)


def test_images_that_are_halved_get_small_sizes_all_the_same():
    """As in a U-Net: what is halved, and doubled again, is the same only for even sizes."""
    x = dagir.Input(shape=("height", "width", 1), name="x")
    model = dagir.Model(x, layers.Add()([x, layers.UpSampling2D(4)(layers.MaxPooling2D(4)(x))]))
    shapes = [case.input_shapes[0][1:3] for case in dagir.verify(model, ("numpy",)).cases]
    assert shapes[:2] == [(16, 24), (8, 16)]


@pytest.mark.parametrize(
    ("shape", "kinds"),
    [
        ({"shape": (8,)}, ["normal", "normal", "spread", "edges"]),
        ({"shape": (32, 32, 3)}, ["normal", "scales"]),
        ({"batch_shape": (1, 8)}, ["normal", "scales", "edges"]),
        ({"batch_shape": (1, 96, 96, 3)}, ["normal", "scales"]),
        ({"batch_shape": (1, None, 8)}, ["normal", "scales"]),
    ],
)
@pytest.mark.parametrize("limit", [6, 100])
def test_a_limit_that_only_large_numbers_reach_is_found_at_every_size(shape, kinds, limit):
    x = dagir.Input(**shape, name="x")
    model, wider = (dagir.Model(x, ops.clip(x, -top, top)) for top in (limit, 2 * limit))
    report = dagir.verify(model, {"right": dagir.lower(model, "numpy"), "wider": dagir.lower(wider, "numpy")})
    assert [row.ok for row in report.rows] == [True, False]
    assert [case.kind for case in report.cases] == kinds


def test_rows_of_large_numbers_cost_a_large_network_no_evaluation():
    x = dagir.Input((96, 96, 3), name="x")
    told = []
    dagir.verify(dagir.Model(x, ops.exp(x)), "numpy", samples=3, progress=lambda *at: told.append(at))
    assert told[-1][1] == 2 * (2 + 3)  # of each case: undisturbed, disturbed, and what is tested


def test_what_only_float32_cannot_hold_is_not_judged_at_large_numbers():
    """At 256, e^x is infinite in float32, and a quotient NaN or 0 that is a number in float64."""
    x = dagir.Input((96, 96, 3), name="x")
    share = ops.exp(x) / ops.sum(ops.exp(x), axis=-1, keepdims=True)
    model = dagir.Model(x, [share, ops.cast(share > 1e-3, "int32")])
    report = dagir.verify(model, NO_KERAS)
    assert [case.kind for case in report.cases] == ["normal", "scales"]
    assert report.ok
    off = dagir.Model(x, [share * 1.001, ops.cast(share > 1e-3, "int32")])
    assert not dagir.verify(model, {"off": dagir.lower(off, "numpy")}).ok


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_no_drawn_number_is_below_the_smallest_normal_one(dtype):
    """TensorFlow flushes those to zero: log, rsqrt and argmax of them are others there, and right."""
    x = dagir.Input((50,), name="x", dtype=dtype)
    graph = dagir.Model(x, x * 2).graph
    for plan in size_plans(graph):
        for seed in range(3):
            (array,) = draw(graph, plan.tried[0], np.random.default_rng(seed), plan.kind)
            sizes = np.abs(array[array != 0].astype("float64"))
            assert sizes.min() >= DType(dtype).tiny
            assert plan.kind != "edges" or sizes.min() < float(DType(dtype).tiny) ** 0.5


def test_given_inputs_and_sizes():
    model = perceptron()
    assert dagir.verify(model, ("numpy",), np.ones((2, 48), "float32")).cases[0].input_shapes == ((2, 48),)
    assert dagir.verify(model, ("numpy",), {"x": np.ones((2, 48), "float32")}).ok
    report = dagir.verify(model, "numpy", sizes=[{"batch": 7}])
    assert report.cases[0].input_shapes == ((7, 48),)
    with pytest.raises(FeedError):
        dagir.verify(model, ("numpy",), np.ones((2, 47), "float32"))
    with pytest.raises(ArgumentError, match="no size is given for 'batch'"):
        dagir.verify(model, ("numpy",), sizes=[{}])


def test_the_same_seed_gives_the_same_numbers():
    model = perceptron()
    first, second, third = (dagir.verify(model, NO_KERAS, seed=seed) for seed in (1, 1, 2))
    assert first.rows == second.rows != third.rows


def test_nan_and_infinity_must_stand_in_place():
    wanted = Expected(np.array([np.nan, np.inf, 1.0, 1e300]), np.full(4, 0.5))
    kind = TensorType(DType.FLOAT32, (4,))

    def judged(*numbers):
        return compare(np.array(numbers, "float32"), wanted, kind)

    assert judged(np.nan, np.inf, 1.25, np.inf).used == 0.5
    for wrong in ((0, np.inf, 1, np.inf), (np.nan, -np.inf, 1, np.inf), (np.nan, np.inf, np.nan, np.inf)):
        found = judged(*wrong)
        assert not found.ok
        assert "NaN or infinity" in found.note
    assert "dtype float64" in compare(np.ones(4), wanted, kind).note
    assert "shape [3]" in compare(np.ones(3, "float32"), wanted, kind).note


def test_integers_are_exact_but_for_what_rounding_decides():
    kind = TensorType(DType.INT64, (2,))
    wanted = Expected(np.array([4, 7]), None, (np.array([4, 8]), np.array([4, 7])))
    assert compare(np.array([4, 7]), wanted, kind).ok
    assert compare(np.array([4, 8]), wanted, kind).ok
    assert compare(np.array([5, 7]), wanted, kind).note == "1 of 2 differ; at [0] it is 5, not 4"


def test_accumulation_lengths():
    def length(value, *shapes):
        operands = [np.ones(shape) for shape in shapes]
        results = [np.ones([1 if size is None else size for size in value.shape])]
        return accumulation_length(value.node, operands, results)

    x = dagir.Input(shape=(6, 20), name="x", batch_size=2)
    w = dagir.Parameter("w", TensorType(DType.FLOAT32, (20, 3)), array=np.ones((20, 3), "float32"))
    assert length(ops.linear(x, w), (2, 6, 20), (20, 3)) == 20
    assert length(ops.matmul(x, ops.transpose(x, [0, 2, 1])), (2, 6, 20), (2, 20, 6)) == 20
    assert length(ops.einsum("bij,bkj->bk", x, x), (2, 6, 20), (2, 6, 20)) == 120
    assert length(x * x, (2, 6, 20), (2, 6, 20)) == 1


def test_exactness_is_seen_from_the_numbers():
    x = dagir.Input(shape=(50,), name="x", batch_size=1)
    model = dagir.Model(x, [ops.floor(x), ops.exp(x), ops.relu(x)])
    noise = Noise(np.random.default_rng(0))
    array = np.random.default_rng(1).normal(size=(1, 50)).astype("float32")
    dagir.backend("numpy").lower(model, precision="float64").trace([array], noise.learn)
    exact = {type(node.op).__name__: exact for node, exact in noise._exact.items()}
    assert exact == {"Floor": True, "Exp": False, "Relu": True}


def test_what_is_exact_by_chance_is_not_taken_for_exact():
    """Keras has the softmax of one number, or an attention to one key, off by a unit; resizing by 2 has halves."""
    x = dagir.Input((2, 2, 1), name="x")
    values = [ops.softmax(x), ops.attention(x, x, x), layers.UpSampling2D(2, interpolation="bilinear")(x)]
    noise = Noise(np.random.default_rng(0))
    array = np.ones((1, 2, 2, 1), "float32")
    dagir.backend("numpy").lower(dagir.Model(x, values), precision="float64").trace([array], noise.learn)
    assert not any(noise._exact.values())
    assert {type(node.op).__name__ for node in noise._exact} == {"Softmax", "Attention", "UpSample"}


def test_the_report_is_legible_and_is_json():
    report = dagir.verify(perceptron(), NO_KERAS)
    lines = str(report).splitlines()
    assert all(len(line) <= 100 for line in lines)
    assert lines[0].split() == ["backend", "output", "shape", "dtype", "max", "error", "budget", "used", "verdict"]
    assert lines[2].split()[:5] == ["numpy", "y", "[batch,", "5]", "float32"]
    data = json.loads(report.to_json())
    assert data["ok"] is True
    assert data["first_divergence"] is None
    assert [row["backend"] for row in data["outputs"]] == ["numpy", "onnx"]
    assert set(data["outputs"][0]) >= {"output", "shape", "dtype", "max_error", "budget_used_percent", "verdict"}


def test_a_fault_reads_well_and_is_json_too():
    x = dagir.Input(shape=(3,), name="x")
    model, other = dagir.Model(x, ops.exp(x)), dagir.Model(x, ops.exp(x) * ops.where(x > 0, np.inf, 1.0))
    report = dagir.verify(model, {"other": dagir.lower(other, "numpy")}, np.array([[0.5, -1, 2]], "float32"))
    assert "other, exp: NaN or infinity: at [0, 0] it is inf, not 1.648" in str(report)
    assert json.loads(report.to_json())["outputs"][0]["max_error"] is None


def test_wrong_calls():
    model = perceptron()
    with pytest.raises(ArgumentError, match="verify takes a Model"):
        dagir.verify(3)
    with pytest.raises(ArgumentError, match="samples must be 2 or more"):
        dagir.verify(model, ("numpy",), samples=1)
    with pytest.raises(ArgumentError, match="verify has no argument 'device'"):
        dagir.verify(model, ("numpy",), device="cuda")
    with pytest.raises(BackendError, match="there is no backend 'tvm'"):
        dagir.verify(model, ("tvm",))
    assert dagir.verify(model, ("onnx",), onnx={"opset": 18}).ok


def test_importing_dagir_loads_neither_rich_nor_a_framework():
    code = "import sys, dagir; print({'rich', 'onnx', 'keras', 'networkx', 'dagir_numpy'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"


def test_all_three_backends():
    report = dagir.verify(perceptron())
    assert report.ok
    assert [row.backend for row in report.rows] == ["numpy", "onnx", "keras"]


def test_progress_is_told_and_ends_where_it_said():
    x = dagir.Input(("time", 3), name="x")
    model = dagir.Model(x, layers.Dense(2)(x))
    told = []
    report = dagir.verify(model, "numpy", progress=lambda *state: told.append(state))
    stages, done, totals = zip(*told, strict=True)
    assert list(dict.fromkeys(stages)) == [f"case {n} of {len(report.cases)}" for n in range(1, len(report.cases) + 1)]
    assert list(done) == sorted(done)
    assert done[-1] == totals[-1] == len(report.cases) * (2 + report.samples)


def test_sizes_that_no_memory_holds():
    x = dagir.Input((4,), name="x")
    model = dagir.Model(x, layers.Dense(2)(x))
    for batch in (10**9, 10**12, 10**30):
        with pytest.raises(ArgumentError, match=f"not enough memory to verify at batch={batch}"):
            dagir.verify(model, ["numpy"], sizes={"batch": batch})
    times = dagir.Model(x, ops.exp(ops.broadcast_to(ops.expand_dims(x, -1), (*ops.shape(x), 1 << 40))))
    with pytest.raises(ArgumentError, match="not enough memory to verify at batch=1"):
        dagir.verify(times, ["numpy"])
    with pytest.raises(ArgumentError, match="not enough memory to verify at the given inputs"):
        dagir.verify(times, ["numpy"], inputs=np.ones((1, 4), "float32"))


@pytest.mark.parametrize("progress", [3, "print", [print], object()])
def test_progress_that_cannot_be_called(progress):
    x = dagir.Input((4,), name="x")
    with pytest.raises(ArgumentError, match=r"progress takes a function, got a \w+"):
        dagir.verify(dagir.Model(x, x * 2), ["numpy"], progress=progress)


@pytest.mark.parametrize("floor", [0.0, 1e-42])
def test_what_vanishes_in_the_dtypes_of_the_model_is_no_difference(floor):
    """A softmax of large numbers has zeros in float32 alone, and a comparison with 0 sees them."""
    x = dagir.Input((64,), name="x")
    p = ops.softmax(x)
    model = dagir.Model(x, ops.where(p <= floor, -1e4, p))
    assert dagir.verify(model, ["numpy", "onnx"]).ok
    other = dagir.Model(x, ops.where(p <= 0.3, -1e4, p))
    assert not dagir.verify(model, {"other": other}).ok


def test_a_model_of_one_row_alone_is_verified_at_that():
    """As many exporters write it: a named batch, and within the model a reshape with the batch of the example."""
    x = dagir.Input((4, 3), name="x")
    model = dagir.Model(x, ops.tanh(ops.reshape(x, (1, 12))))
    report = dagir.verify(model, ["numpy"])
    assert report.ok and {case.sizes["batch"] for case in report.cases} == {1}
    assert len({case.kind for case in report.cases}) > 1
    line = "not run at batch=3 nor at batch=17 nor at batch=8: the model does not take these sizes"
    assert report.not_run == line and line in str(report) and report.to_dict()["not_run"] == line
    assert not dagir.verify(dagir.Model(x, ops.tanh(x)), ["numpy"]).not_run
