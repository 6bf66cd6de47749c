"""Scan: a body for each step along axes of sequences."""

from __future__ import annotations

from collections.abc import Sequence

from dagir import ops
from dagir.ir.graph import Value, apply_node
from dagir.ir.types import DType, normalize_axis
from dagir.ops.bodies import close
from dagir.ops.sizes import counted
from dagir_onnx.importing.node_call import NodeCall
from dagir_onnx.importing.registry import rule
from dagir_onnx.importing.tensors import value


@rule("Scan", since=9)
def _scan(call: NodeCall) -> Sequence[Value]:
    count = call.attribute("num_scan_inputs", 0)
    given = [call.input(place) for place in range(len(call.tensors))]
    states, sequences = given[: len(given) - count], given[len(given) - count :]
    if not count:
        raise call.refused("it scans over nothing")
    axes, backwards = _per(call, "scan_input_axes", count), _per(call, "scan_input_directions", count)
    moved = []
    for x, axis, is_back in zip(sequences, axes, backwards, strict=True):
        first = ops.moveaxis(x, normalize_axis(axis, x.ndim), 0)
        moved.append(ops.flip(first, 0) if is_back else first)
    ys, finals = _steps(call, states, moved)
    axes, backwards = _per(call, "scan_output_axes", len(ys)), _per(call, "scan_output_directions", len(ys))
    turned = [ops.flip(y, 0) if is_back else y for y, is_back in zip(ys, backwards, strict=True)]
    placed = [ops.moveaxis(y, 0, normalize_axis(axis, y.ndim)) for y, axis in zip(turned, axes, strict=True)]
    return [*finals, *placed]


def _per(call: NodeCall, name: str, count: int) -> list[int]:
    found: list[int] = call.attribute(name) or [0] * count
    if len(found) != count:
        raise call.refused(f"its {name} are {len(found)}, for {count} sequences")
    return found


def _steps(
    call: NodeCall, states: Sequence[Value], sequences: Sequence[Value], mask: Value | None = None
) -> tuple[list[Value], list[Value]]:
    """What the body stacks along axis 0, and the final states. mask: bool[t], the steps that count.

    dagir's Scan has an axis of the batch before that of time: here it has size 1.
    """
    call.reader.loops += 1
    try:
        names = f"_in_{call.reader.loops}" if call.reader.loops > 1 else ""
        before = [Value(each.type, name=f"scan_state_{i}{names}") for i, each in enumerate(states)]
        rows = [
            Value(each.type.with_shape((1, *each.type.shape[1:])), name=f"scan_step_{i}{names}")
            for i, each in enumerate(sequences)
        ]
        after = [value(each) for each in call.call_graph(call.graph("body"), [*before, *_squeezed(rows)])]
    finally:
        call.reader.loops -= 1
    new, outs = after[: len(states)], [ops.expand_dims(each, 0) for each in after[len(states) :]]
    body = close([*before, *rows], [*outs, *new], "scan", near=[*states, *sequences])
    captured = body.inputs[len(before) + len(rows) :]
    op = ops.Scan(body, len(before), len(rows), zero_output_for_mask=mask is not None)
    last = None if mask is None else ops.expand_dims(mask, 0)
    results = apply_node(op, (*states, *[ops.expand_dims(x, 0) for x in sequences], *captured, last)).outputs
    return _squeezed(results[: len(outs)]), list(results[len(outs) :])


def _squeezed(values: Sequence[Value]) -> list[Value]:
    return [ops.squeeze(each, 0) for each in values]


@rule("Scan", until=8)
def _batched(call: NodeCall) -> Sequence[Value]:
    """Version 8: all inputs have a batch, each row of which is scanned for itself, as far as its length says."""
    count = call.attribute("num_scan_inputs", 0)
    given = [call.input(place) for place in range(1, len(call.tensors))]
    states, sequences = given[: len(given) - count], given[len(given) - count :]
    if not count:
        raise call.refused("it scans over nothing")
    steps = sequences[0].type.shape[1]
    backwards = [int(each) for each in _per(call, "directions", count)]
    lengths = call.optional(0)
    if lengths is not None and any(backwards):
        raise call.refused("it scans backwards over rows of different lengths", "reverse the rows before it")
    turned = [ops.flip(x, 1) if is_back else x for x, is_back in zip(sequences, backwards, strict=True)]
    places = ops.cast(counted(steps), DType.INT64)
    rows = [*states, *turned, *([] if lengths is None else [ops.cast(lengths, DType.INT64)])]

    def one(parts: list[Value]) -> list[Value]:
        mask = None if lengths is None else ops.less(places, parts[-1])
        ys, finals = _steps(call, parts[: len(states)], parts[len(states) : len(states) + count], mask)
        return [*finals, *ys]

    found = ops.map(one, rows)
    return list(found)
