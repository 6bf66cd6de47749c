"""Every public function and class has an example in its docstring, or in its package's, which prints what it says.

An example may use `dagir`, `layers`, `ops`, `np`, hypothesis's `given` and `settings`, and `show`, which the docstring
of dagir.ops defines. It runs on the NumPy backend alone, in an empty folder.
"""

from __future__ import annotations

import doctest
import inspect
import re

import hypothesis
import numpy as np
import pytest

import dagir
from dagir import layers, ops, testing

SPACES = {
    "dagir": dagir,
    "dagir.layers": layers,
    "dagir.ops": ops,
    "dagir.ops.image": ops.image,
    "dagir.testing": testing,
}
ELSEWHERE = {  # other frameworks or files of theirs are needed: tests/test_readme.py and tests/convert run them
    *("dagir.from_keras", "dagir.to_keras", "dagir.from_onnx", "dagir.from_tensorflow", "dagir.verified", "dagir.plot"),
}
NAMES = {
    "dagir": dagir,
    "layers": layers,
    "ops": ops,
    "np": np,
    "given": hypothesis.given,
    "settings": hypothesis.settings,
}
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def public(space):
    """The names that a module offers; what has no `__all__` offers the functions that it defines."""
    module = SPACES[space]
    own = [name for name, thing in vars(module).items() if getattr(thing, "__module__", None) == module.__name__]
    return getattr(module, "__all__", [name for name in own if not name.startswith("_")])


def documented(thing):
    """Functions and classes, but no ops: the example of an op's class is its function's."""
    return inspect.isfunction(thing) or (inspect.isclass(thing) and not issubclass(thing, dagir.Op))


EXAMPLES = {
    f"{space}.{name}": getattr(SPACES[space], name)
    for space in SPACES
    for name in public(space)
    if documented(getattr(SPACES[space], name)) or name == "Op"
}


OBVIOUS = {"x", "x1", "x2", "y", "xs", "inputs", "images", "model", "args", "kwargs", "unknown", "options", "draw"}


def kind_of(argument):
    """Whether an argument is one of a kind that the docstring of dagir.layers tells of all weights."""
    return argument.endswith(("_initializer", "_regularizer", "_constraint"))


def tells_arguments(name, thing):
    """Functions, and layers by the arguments that they are made with."""
    return inspect.isfunction(thing) or issubclass(thing, layers.Layer)


def run(text, name, names):
    """Run the examples of a docstring; returns how many there are."""
    test = doctest.DocTestParser().get_doctest(text, dict(names), name, None, 0)
    printed = []
    result = doctest.DocTestRunner(optionflags=FLAGS).run(test, out=printed.append, clear_globs=False)
    assert not result.failed, "".join(printed)
    return test


def shown_in_package(name):
    """The docstring of a package whose examples use the name."""
    for alias in (each for each, thing in EXAMPLES.items() if thing is EXAMPLES[name]):
        text = SPACES[alias.rpartition(".")[0]].__doc__
        if any(alias in re.findall(r"[\w.]+", line) for line in re.findall(">>>.*", text)):
            return text
    return ""


@pytest.fixture(scope="module")
def names():
    """What an example may use."""
    return {**NAMES, "show": run(ops.__doc__, "dagir.ops", NAMES).globs["show"]}


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_example_prints_what_it_says(name, names, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = EXAMPLES[name].__doc__
    examples = run(text if ">>>" in text else shown_in_package(name), name, names).examples
    assert examples, f"{name} has no example in its docstring: add one, of two to four lines that begin with >>>"
    skipped = any(doctest.SKIP in example.options for example in examples)
    assert skipped == (name in ELSEWHERE), f"{name}: an example runs, unless it needs another framework"


@pytest.mark.parametrize("name", [name for name, thing in EXAMPLES.items() if tells_arguments(name, thing)])
def test_the_docstring_tells_every_argument(name):
    """By its name, there or in the docstring of the package, which tells those that many have."""
    thing, package = EXAMPLES[name], SPACES[name.rpartition(".")[0]]
    text = f"{thing.__doc__} {package.__doc__} {ops.__doc__ if package is ops.image else ''}"
    told = set(re.findall(r"\w+", text))
    untold = [each for each in inspect.signature(thing).parameters if each not in told | OBVIOUS and not kind_of(each)]
    assert not untold, f"{name}: say in the docstring what these arguments are: {', '.join(untold)}"


def test_nothing_public_is_left_out():
    assert len(EXAMPLES) > 440
    assert {"dagir.ops.abs", "dagir.ops.image.resize", "dagir.layers.Dense", "dagir.Op"} <= EXAMPLES.keys()


@pytest.mark.parametrize("text", [">>> 1 + 1\n3", ">>> ops.no_such_op(1)", ">>> show(ops.sqrt([4.0]))\n[2.1]"])
def test_a_wrong_example_is_noticed(text, names):
    with pytest.raises(AssertionError, match="Failed example"):
        run(text, "wrong", names)
