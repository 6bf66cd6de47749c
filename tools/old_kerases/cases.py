"""The table of models that the old Kerases write, and the arrays that they are asked about.

It runs inside environments of older Kerases: everything here is plain Python and numpy.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np

BATCH, OPEN_SIZE, HIGHEST_ID = 3, 6, 5
CASES = {}


@dataclass(frozen=True)
class Case:
    """A model by name. build: K, the module of Keras -> a model, or a model and its feeds by the order of inputs."""

    name: str
    build: object
    padded: bool = False  # whether the last steps of some rows are zero, as behind a Masking
    whole: bool = False  # whether floats are whole numbers, as ids in an Input without a dtype
    scrambled: bool = True  # whether the weights are drawn anew, those that are zero or one at first too


def case(build=None, name=None, **options):
    """Decorate f(K) -> model as the case of its name."""

    def register(function):
        return _add(Case(name or function.__name__, function, **options))

    return register if build is None else register(build)


def stack(name, shape, layers, dtype=None, sequential=False, batch=None, **options):
    """The case of layers in a row. layers: K.layers -> list of layers."""

    def build(K):
        begin = {"dtype": dtype} if dtype else {}
        if batch is not None:
            begin["batch_size"] = batch
        x = K.Input(shape=shape, **begin)
        made = layers(K.layers)
        if sequential:
            return K.Sequential([x, *made])
        y = x
        for layer in made:
            y = layer(y)
        return K.Model(x, y)

    _add(Case(name, build, **options))


def branches(name, shape, layers, dtype=None, **options):
    """The case of one input into several layers, each of which is an output."""

    def build(K):
        x = K.Input(shape=shape, **({"dtype": dtype} if dtype else {}))
        return K.Model(x, [layer(x) for layer in layers(K.layers)])

    _add(Case(name, build, **options))


def merged(name, shapes, merge, **options):
    """The case of several inputs into one layer that takes a list."""

    def build(K):
        xs = [K.Input(shape=shape) for shape in shapes]
        return K.Model(xs, merge(K.layers)(xs))

    _add(Case(name, build, **options))


def _add(made):
    if made.name in CASES:
        raise ValueError(f"two cases of the name {made.name}")
    CASES[made.name] = made
    return made.build


def generator(name):
    """The random generator of a case, the same in every environment."""
    return np.random.default_rng(zlib.crc32(name.encode()))


def name_of(tensor):
    """The name of an input, without the number that Keras 2 puts behind it."""
    return str(tensor.name).split(":", maxsplit=1)[0]


def dtype_of(tensor):
    """The name of the dtype of a tensor of Keras."""
    found = tensor.dtype
    return found if isinstance(found, str) else found.name


def draw(tensor, rng, case):
    """An array for an input of a model."""
    first, *sizes = tuple(tensor.shape)
    shape = (BATCH if first is None else first, *(OPEN_SIZE if size is None else size for size in sizes))
    dtype = dtype_of(tensor)
    if dtype.startswith(("int", "uint")) or case.whole:
        return rng.integers(0, HIGHEST_ID, shape).astype(dtype)
    if dtype == "bool":
        return rng.random(shape) < 0.6
    if dtype == "string":
        return rng.choice(np.array(["red", "green", "blue", "grey"], dtype=object), shape)
    found = rng.normal(size=shape).astype(dtype)
    if case.padded:
        for row in range(1, len(found)):
            found[row, -row:] = 0
    return found


_KEPT = ("count", "seed", "iteration", "state")  # of counters and generators, which are no weights


def scramble(model, rng):
    """Give every weight numbers of its own: what Keras begins with is often zero or one, where faults do not show."""
    for weight in model.weights:
        path = str(getattr(weight, "path", weight.name))
        if not dtype_of(weight).startswith(("float", "bfloat")) or any(word in path.lower() for word in _KEPT):
            continue
        shape = tuple(weight.shape)
        if "variance" in path or "stddev" in path:
            found = rng.uniform(0.5, 1.5, shape)
        elif "gamma" in path or "/scale" in path:
            found = rng.uniform(0.6, 1.4, shape)
        else:
            found = rng.normal(size=shape) * (0.3 if len(shape) < 2 else 1.0 / max(1.0, np.prod(shape[:-1]) ** 0.5))
        weight.assign(found.astype("float32"))
