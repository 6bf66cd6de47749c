"""Raw operations of Keras are found by name, and called as Keras calls them: held to every class that keras.ops has."""

from __future__ import annotations

import inspect

import pytest
from keras.src.ops import core, image, linalg, math, nn, numpy
from keras.src.ops.operation import Operation

from dagir_keras.reading import operations

CLASSES = {
    name: value
    for module in (core, image, linalg, math, nn, numpy)
    for name, value in vars(module).items()
    if inspect.isclass(value) and issubclass(value, Operation) and value is not Operation
}
KNOWN = [name for name in CLASSES if operations._function(name) is not None]
OTHERWISE = {  # what Keras's operation holds or takes that the function has in another form
    "Einsum": "the subscripts are a field of the operation, and first in the function",
    "StopGradient": "is the identity, of an argument that Keras calls variable",
}


@pytest.mark.parametrize("name", KNOWN)
def test_fields_and_arguments_are_those_of_the_function(name):
    if name in OTHERWISE:
        pytest.skip(OTHERWISE[name])
    cls, function = CLASSES[name], operations._function(name)
    mine = list(inspect.signature(function).parameters)
    fields = [each for each in inspect.signature(cls.__init__).parameters if each not in ("self", "name")]
    called = [each for each in inspect.signature(cls.call).parameters if each != "self"]
    by_name = operations._CALLED_BY_NAME.get(function.__name__)
    missing = [field for field in fields if field not in mine]
    assert set(missing) <= operations._IGNORED.get(function.__name__, set()), missing
    if by_name is None:
        assert mine[: len(called)] == called
    else:
        assert list(by_name) == called
        assert set(by_name) <= set(mine)


def test_most_operations_are_known():
    assert len(KNOWN) > 150
