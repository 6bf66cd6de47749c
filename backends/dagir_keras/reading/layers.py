"""From the configuration of a Keras layer to a layer of dagir, by a fixed table: the class of the same name.

Classes are looked up in two places only: among the layers of dagir, and in the custom objects of the user.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, TypeAlias

from dagir import layers
from dagir.layers import Layer
from dagir.layers.arguments import takes
from dagir.layers.refused import REFUSED
from dagir.modeling.model import Model
from dagir_keras.reading import applications, config_values
from dagir_keras.reading.custom_objects import CustomObjects, is_of_keras
from dagir_keras.reading.dtypes import policy
from dagir_keras.reading.files import saved_model_layers
from dagir_keras.reading.files.keras2 import layers as keras2_layers
from dagir_keras.reading.files.keras2.refusals import refuse_if_marked
from dagir_keras.reading.files.vocabulary_files import with_vocabulary
from dagir_keras.reading.problems import REGISTER, RULE, Refused
from dagir_keras.reading.quantized import own_arguments, quantized_class, without_quantization

Maker: TypeAlias = Callable[[dict[str, Any]], Layer]

_rules: dict[str, Any] = {}
_FORGOTTEN = {  # of older files, or without effect on what the layer computes
    *("activity_regularizer", "batch_input_shape", "input_shape", "input_dtype", "implementation", "input_length"),
    *("lora_rank", "lora_alpha", "experimental_autocast", "synchronized", "sparse", "ragged"),
}
_CODE = {
    "TorchModuleWrapper": "it holds a pickled PyTorch module, which is code",
    "JaxLayer": "it holds a pickled JAX function, which is code",
    "FlaxLayer": "it holds a pickled Flax module, which is code",
}
_OF_TENSORFLOW = {
    "TextVectorization",
    "Hashing",
    "HashedCrossing",
}  # in memory it runs TensorFlow, and cannot be traced either
_OF_TRAINING = ("initializer", "regularizer", "constraint")
_OF_KERAS = ("keras.layers.", "keras.src.", "keras._legacy.layers.")
_PARTS = ("layer", "backward_layer", "forward_layer", "cell", "cells", "layers")


def rule(name: str) -> Callable[[Any], Any]:
    """Decorate the rule for a Keras layer of your own: a dagir Layer class, or f(config) -> Layer.

    name: the class, or "package>Name" as it was registered with Keras.
    """

    def register(maker: Any) -> Any:
        _rules[name] = maker
        return maker

    return register


@cache
def known_layers() -> dict[str, type[Layer]]:
    """Every layer class of dagir by its name, which is the name in Keras."""
    found = {name: getattr(layers, name) for name in layers.__all__} | applications.LAYERS | keras2_layers.LAYERS
    found["GroupedQueryAttention"] = found.get("GroupQueryAttention")  # its class, which older files name
    return {
        name: cls
        for name, cls in found.items()
        if isinstance(cls, type) and issubclass(cls, Layer) and cls not in (Layer, layers.InputLayer)
    }


def is_keras(module: Any) -> bool:
    """Whether a module is that of Keras's layers; files of the older format have no module names."""
    return module is None or (isinstance(module, str) and (f"{module}.").startswith(_OF_KERAS))


def is_unregistered(record: Mapping[str, Any]) -> bool:
    """Whether a record is of a class of the user, whatever its name: Keras writes module null for such a class.

    The older format, .h5, has no modules at all: there a class with the name of a Keras layer is read as that layer.
    """
    return "module" in record and record["module"] is None


def make_layer(record: Mapping[str, Any], custom: CustomObjects, inner: Callable[[Any, str], Any]) -> Layer:
    """The layer of a record: class_name, module, config. inner: makes the layers inside. Raises Refused, DagirError."""
    name, config = record.get("class_name"), record.get("config")
    if not isinstance(name, str) or not isinstance(config, dict):
        raise Refused("its configuration has no class_name, or no config")
    own = own_rule(record, custom)
    if own is not None:
        return _of_user(own, record, custom, inner)
    refuse_if_marked(record)
    if name == "Lambda" and is_keras(record.get("module")) and not is_unregistered(record):
        return custom.lambda_layer(config)
    config = custom.with_functions(config)
    config = with_vocabulary(name, config, custom.folder)
    _check_module(name, record)
    quantized = quantized_class(name, config)
    if quantized is not None:
        rest = _arguments(without_quantization(config), inner)
        return quantized.from_config({**rest, **own_arguments(name, config)})
    cls = keras2_layers.class_of(record) or known_layers()[name]
    axis = config.get("axis")
    if record.get("module") is None and isinstance(axis, list) and len(axis) == 1:  # as Keras reads its older files
        config = {**config, "axis": axis[0]}
    arguments = _arguments(config, inner)
    if "trainable" in arguments and not takes(cls, "trainable"):
        del arguments["trainable"]  # of a layer that has no weights
    return cls.from_config(arguments)


def own_rule(record: Mapping[str, Any], custom: Mapping[str, Any]) -> Any:
    """The rule that the user gave for the layer of a record, or None.

    By the name of the layer, then by its class with and without the package. A function under the name of a layer that
    dagir has is none: the name is that of something else.
    """
    registered, kind = record.get("registered_name"), record.get("class_name")
    for name in (_layer_name(record), registered, kind, _bare(registered), _bare(kind)):
        for table in (custom, _rules):
            if isinstance(name, str) and name in table:
                found = table[name]
                if name in (registered, kind, _bare(registered), _bare(kind)) or _stands_for_a_layer(found, record):
                    return found
    return None


def _bare(name: Any) -> Any:
    return name.rpartition(">")[2] if isinstance(name, str) else None


def _layer_name(record: Mapping[str, Any]) -> Any:
    config = record.get("config")
    return record.get("name") or (config.get("name") if isinstance(config, dict) else None)


def _stands_for_a_layer(given: Any, record: Mapping[str, Any]) -> bool:
    stock = (
        is_keras(record.get("module")) and not is_unregistered(record) and record.get("class_name") in known_layers()
    )
    return isinstance(given, (type, Layer)) or record.get("class_name") == "Lambda" or not stock


def _of_user(given: Any, record: Mapping[str, Any], custom: CustomObjects, inner: Callable[[Any, str], Any]) -> Layer:
    """The layer by the rule, class, layer or function of the user. Raises Refused, DagirError."""
    config = record["config"]
    path = str(_layer_name(record) or record.get("class_name"))
    if is_of_keras(given):
        return custom.keras.layer(given, config, path)
    if record.get("class_name") == "Lambda" and not isinstance(given, (type, Layer)):
        made = _made_of(given, config)
        if made is None:
            return custom.lambda_layer(config, given)
    elif isinstance(given, Model) and record.get("class_name") == saved_model_layers.KIND:
        made = saved_model_layers.as_layer(given)
        custom.hold(made, saved_model_layers.Renumbered(made))
    elif isinstance(given, Layer):
        made = given
    elif isinstance(given, type) and issubclass(given, Layer):
        made = given.from_config(_arguments(custom.with_functions(config), inner))
    else:
        made = given(custom.with_functions(config))
    return _named(made, config)


def _made_of(given: Any, config: dict[str, Any]) -> Layer | None:
    """What a rule makes of the configuration of a Lambda; None for a function that is that of the Lambda itself."""
    try:
        made = given(config)
    except Exception:  # it takes tensors, and raises whatever it likes
        return None
    return made if isinstance(made, Layer) else None


def _named(made: Any, config: Mapping[str, Any]) -> Layer:
    if not isinstance(made, Layer):
        raise Refused(f"its rule made {type(made).__name__}, which is no dagir Layer")
    if isinstance(config.get("name"), str):
        made.name = config["name"]
    return made


def _check_module(name: str, record: Mapping[str, Any]) -> None:
    module, registered = record.get("module"), record.get("registered_name")
    if name == saved_model_layers.KIND and is_keras(module):
        raise saved_model_layers.refuse_path(record)
    if name in _CODE and is_keras(module):
        raise Refused(_CODE[name], config_values._NO_LAMBDA, unsafe=True)
    if is_unregistered(record):
        raise Refused(f"{name} is a class of its own, for which Keras wrote no module", REGISTER.format(name))
    if not is_keras(module):
        root = str(module).partition(".")[0]
        if root in sys.stdlib_module_names or root in ("builtins", "keras", "tensorflow", "numpy"):
            raise Refused(
                f"{module}.{name} is no layer of Keras, and nothing is imported by name",
                "a Keras model has no reason to name it: do not trust this file",
                hostile=True,
            )
        raise Refused(f"{module}.{name} is a class of its own, and nothing is imported by name", REGISTER.format(name))
    if registered not in (None, name):
        raise Refused(f"{registered} is a class of its own", REGISTER.format(registered))
    if name not in known_layers():
        refuse_by_name(name)
        if name in REFUSED:
            raise Refused(f"{name} {REFUSED[name]}", REGISTER.format(name))
        raise Refused(f"dagir has no layer {name}", REGISTER.format(name))


def refuse_by_name(name: str) -> None:
    """Raise Refused for a layer of Keras that can be read neither from a file nor from memory."""
    if name in _OF_TENSORFLOW:
        raise Refused(f"{name} {REFUSED[name]}", f"begin the model behind it, or {RULE.format(name)}")


def _arguments(config: dict[str, Any], inner: Callable[[Any, str], Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, data in config.items():
        if key in _FORGOTTEN:
            continue
        if key == "quantization_config":
            continue  # of the next call of `quantize`: whether it is quantized, its dtype policy says
        found[key] = _argument(key, data, inner)
    return found


def _argument(key: str, data: Any, inner: Callable[[Any, str], Any]) -> Any:
    if key == "dtype":
        return policy(data)
    last = key.rpartition("_")[2]
    if last in _OF_TRAINING and last != key:
        return config_values.training_object(last, data)
    if key in _PARTS and config_values.is_object(data):
        return inner(data, key)
    if key in _PARTS and isinstance(data, list) and data and all(map(config_values.is_object, data)):
        return [inner(part, f"{key}[{place}]") for place, part in enumerate(data)]
    if key.endswith("activation"):
        if callable(data):  # of a layer in this process
            return inner(data, key)
        is_layer = config_values.is_object(data) and data["class_name"] in known_layers()
        return inner(data, key) if is_layer else config_values.activation(data)
    return config_values.plain(data)
