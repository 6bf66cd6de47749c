"""Samples of a model's inputs: given ones, or drawn."""

from __future__ import annotations

from os import PathLike
from typing import Any

from dagir.equivalence.cases import first_accepted
from dagir.equivalence.inputs import Plan, size_plans
from dagir.equivalence.oracle import Oracle
from dagir.equivalence.samples import read_samples, refuse_none
from dagir.ir.graph import Graph
from dagir.ir.types import Array
from dagir.modeling.model import Model
from dagir.runtime.backend import backend
from dagir.support.backend_names import NUMPY

_BATCH = 8


def arranged(model: Model | Graph, inputs: object, seed: int = 0) -> list[Array]:
    """The arrays in the order of the inputs; inputs: a feed, a file with one, or None. Raises FeedError, FileError."""
    if inputs is None:
        return _drawn(model, seed)
    exe: Any = backend(NUMPY).lower(model)
    names = [name for name, _ in exe.signature.inputs]
    given = read_samples(inputs, names) if isinstance(inputs, (str, PathLike)) else inputs
    arrays: list[Array] = exe.arrange((given,))
    refuse_none(inputs, arrays)
    exe.bind(arrays)
    return arrays


def _drawn(model: Model | Graph, seed: int) -> list[Array]:
    """Inputs as verify draws them, with a batch of 8 where it is free."""
    oracle = Oracle(model, 2)
    plans = size_plans(oracle.graph)
    ones, threes = plans[0].tried[0], plans[1].tried[0] if len(plans) > 1 else {}
    batches = [name for name in ones if ones[name] == 1 and threes.get(name) == 3]
    tried = tuple({**sizes, **dict.fromkeys(batches, _BATCH)} for sizes in plans[0].tried)
    return first_accepted(oracle, Plan(tried), [seed, 0], overflow=False)[0]
