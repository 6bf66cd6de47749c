"""The cases of a verification: inputs that the graph accepts, and the oracle's answers to them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from os import PathLike

import numpy as np

from dagir.equivalence.inputs import CALM_STEPS, WIDE, Plan, calm, draw, partial_sources, size_plans
from dagir.equivalence.oracle import Expected, Oracle
from dagir.equivalence.report import Case
from dagir.equivalence.samples import read_samples, refuse_none
from dagir.errors import ArgumentError, BackendError, DagirError, UserCodeError
from dagir.ir.types import Array
from dagir.support.missing_size import MissingSize
from dagir.support.threads import in_order


class _TooLarge(ArgumentError):
    """The machine has not enough memory for the verification."""


@contextlib.contextmanager
def enough_memory(sizes: Mapping[str, int]) -> Iterator[None]:
    """Turn a MemoryError into an error of one line."""
    try:
        yield
    except MemoryError as error:
        chosen = ", ".join(f"{name}={size}" for name, size in sizes.items())
        raise _TooLarge(
            f"there is not enough memory to verify at {chosen or 'the given inputs'}",
            remedy="verify at smaller sizes: verify(model, sizes={'batch': 3}), or give fewer samples in inputs=",
        ) from error


def cases(
    oracle: Oracle, inputs: object, sizes: Sequence[Mapping[str, int]] | None, seed: int
) -> Iterator[tuple[list[Array], list[Expected], Case]]:
    """Inputs with the oracle's answers. Each case has its own random stream, so that it can be drawn again alone."""
    if inputs is not None:
        arrays = _given(oracle, inputs)
        oracle.meter.expect(2 + oracle.samples)
        oracle.meter.begin("the given inputs")
        with enough_memory({}):
            expected = oracle(arrays, np.random.default_rng(seed))
        yield arrays, expected, Case(tuple(tuple(array.shape) for array in arrays), "given")
        return
    plans = size_plans(oracle.graph) if sizes is None else [Plan((dict(chosen),)) for chosen in sizes]
    oracle.meter.expect(len(plans) * (2 + oracle.samples))  # without noise, with noise, and what is tested
    most = 1 if oracle.is_heavy else len(plans)
    numbers, meter = range(len(plans)), oracle.meter
    found = in_order(lambda n: first_accepted(oracle, plans[n], [seed, n], False), numbers, meter.tell, most)
    for number, plan in enumerate(plans):
        oracle.meter.begin(f"case {number + 1} of {len(plans)}")
        arrays, expected, chosen = next(found)
        refused = () if chosen in plan.tried else _named(plan.tried)
        yield arrays, expected, Case(tuple(tuple(array.shape) for array in arrays), plan.kind, chosen, refused)


def _named(tried: Sequence[Mapping[str, int]]) -> tuple[str, ...]:
    """The sizes that all choices have in common, such as batch=3; the first choice if they have none."""
    common = [f"{name}={size}" for name, size in tried[0].items() if all(each[name] == size for each in tried)]
    return tuple(common or [f"{name}={size}" for name, size in tried[0].items()])


def _given(oracle: Oracle, inputs: object) -> list[Array]:
    """The user's inputs: a feed, or the path of an .npz or .npy file."""
    if isinstance(inputs, (str, PathLike)):
        arrays = oracle.arrange(read_samples(inputs, oracle.input_names))
    else:
        arrays = oracle.arrange(inputs)
    refuse_none(inputs, arrays)
    return arrays


def first_accepted(
    oracle: Oracle, plan: Plan, seed: Sequence[int], overflow: bool = True
) -> tuple[list[Array], list[Expected], dict[str, int]]:
    """Inputs, answers and sizes for the first sizes that the graph accepts and whose outputs are not empty.

    If integers are divided by drawn numbers, or raised to them, smaller positive numbers are tried too.
    overflow: do not judge elements where large numbers overflow the model's dtypes. Raises ArgumentError.
    """
    refusal: Exception | None = None
    empty: tuple[list[Array], list[Expected], dict[str, int]] | None = None
    places = partial_sources(oracle.points.graph)
    choices = (*plan.tried, *plan.instead)
    for sizes, step in ((sizes, step) for sizes in choices for step in range(CALM_STEPS if places else 1)):
        rng = np.random.default_rng(list(seed))
        try:
            with enough_memory(sizes):
                arrays = calm(draw(oracle.graph, sizes, rng, plan.kind), places, step)
                expected = oracle(arrays, rng, overflow=overflow and plan.kind in WIDE)
        except (_TooLarge, BackendError):  # no other inputs mend a rule that is wrong
            raise
        except MissingSize as error:
            raise ArgumentError(f"no size is given for {error}", remedy="name every size of the inputs") from None
        except (DagirError, ValueError, IndexError) as error:
            refusal = refusal or error
            continue
        if all(output.array.size for output in expected):
            return arrays, expected, sizes
        empty = empty or (arrays, expected, sizes)
    if empty is not None:
        return empty
    assert refusal is not None
    if isinstance(refusal, UserCodeError):
        raise refusal from refusal.__cause__
    raise ArgumentError(
        f"no inputs could be drawn that the graph takes: {str(refusal).splitlines()[0]}",
        remedy="give some: verify(model, inputs=...), or the sizes: sizes=[{'time': 16}]",
    ) from refusal
