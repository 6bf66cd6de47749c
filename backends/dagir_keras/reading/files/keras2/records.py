"""The records of layers and models, nested ones included."""

from __future__ import annotations

from typing import Any

from dagir_keras.reading.config_values import is_object
from dagir_keras.reading.files.keras2 import layers, running
from dagir_keras.reading.files.keras2.arguments import adapt_arguments
from dagir_keras.reading.files.keras2.calls import adapt_calls, is_network, without_slash
from dagir_keras.reading.files.keras2.functions import adapt_activation
from dagir_keras.reading.files.keras2.refusals import marked
from dagir_keras.reading.files.keras2.writer import Writer
from dagir_keras.reading.problems import Refused


def as_written_today(record: Any, writer: Writer) -> Any:
    """The record of a model as the current Keras would write it. The given one is not changed."""
    return record if writer.is_current else _record(record, writer)


def _record(record: Any, writer: Writer, inside: str = "") -> Any:
    """inside: the class of the layer that calls this one."""
    record = _with_layers(record) if writer.is_keras_2 else record
    if not isinstance(record, dict) or not isinstance(record.get("config"), dict):
        return record
    found = dict(record)
    if writer.is_keras_2:
        _rename(found)
    within = "" if is_network(record) else str(found.get("class_name"))
    config = {key: _part(key, part, writer, within) for key, part in found["config"].items()}
    if is_network(record):
        found["config"] = adapt_calls(config, writer)
        return found
    try:
        running.check_caller(str(found.get("class_name")), config, inside)
        found["config"] = adapt_arguments(str(found.get("class_name")), config, writer)
    except Refused as refused:
        found["config"] = config
        return marked(found, refused)
    return running.with_call_note(layers.with_class_note(found, writer), record["config"], writer)


def _with_layers(record: Any) -> Any:
    """Until 2.2.2, the configuration of a Sequential was the list of its layers alone, without a name."""
    listed = record.get("config") if isinstance(record, dict) else None
    if not isinstance(listed, list) or record.get("class_name") != "Sequential":
        return record
    layers = [
        {**each, "name": f"sequential_{place}"} if _is_unnamed(each) else each for place, each in enumerate(listed, 1)
    ]
    return {**record, "config": {"name": record.get("name") or "sequential", "layers": layers}}


def _is_unnamed(record: Any) -> bool:
    return isinstance(record, dict) and isinstance(record.get("config"), list) and "name" not in record


def _rename(found: dict[str, Any]) -> None:
    module = found.get("module")
    if isinstance(module, str) and module.startswith("tf_keras."):
        found["module"] = module.removeprefix("tf_")
    if isinstance(found.get("name"), str):
        found["name"] = without_slash(found["name"])
    if isinstance(found["config"].get("name"), str):
        found["config"] = {**found["config"], "name": without_slash(found["config"]["name"])}


def _part(key: str, part: Any, writer: Writer, within: str) -> Any:
    if key.endswith("activation") and writer.is_keras_2:
        part = adapt_activation(part, writer)
    if isinstance(part, dict) and part.keys() == {"type", "value"} and part["type"] == "ndarray":
        return part["value"]  # an array of NumPy, as 2.0 wrote numbers
    if is_object(part) and part["class_name"] not in ("function", "DTypePolicy"):
        return _record(part, writer, within)
    if isinstance(part, list) and part and all(map(is_object, part)):
        return [_record(inner, writer, within) for inner in part]
    return part
