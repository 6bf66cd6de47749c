"""The records of layers and models, nested ones included."""

from __future__ import annotations

from typing import Any

from dagir_keras.reading.config_values import is_object
from dagir_keras.reading.files.keras2 import replaced, running
from dagir_keras.reading.files.keras2.arguments import adapt_arguments
from dagir_keras.reading.files.keras2.calls import adapt_calls, is_network, without_slash
from dagir_keras.reading.files.keras2.functions import adapt_activation
from dagir_keras.reading.files.keras2.refusals import marked
from dagir_keras.reading.files.keras2.writer import Writer
from dagir_keras.reading.problems import Refused

CLASS_IN_FILE = "class in the file"  # a key of a record whose class has another name today
_RENAMED = {"SyncBatchNormalization": "BatchNormalization"}  # across machines in training, the same at inference


def as_written_today(record: Any, writer: Writer) -> Any:
    """The record of a model as the current Keras would write it. The given one is not changed."""
    return record if writer.is_current else _record(record, writer)


def _record(record: Any, writer: Writer) -> Any:
    if not isinstance(record, dict) or not isinstance(record.get("config"), dict):
        return record
    found = dict(record)
    if writer.is_keras_2:
        _rename(found)
    config = {key: _part(key, part, writer) for key, part in found["config"].items()}
    if is_network(record):
        found["config"] = adapt_calls(config, writer)
        return found
    try:
        found["config"] = adapt_arguments(str(found.get("class_name")), config, writer)
    except Refused as refused:
        found["config"] = config
        return marked(found, refused)
    found = replaced.with_class(found, record["config"], writer)
    return running.with_call_note(found, record["config"], writer)


def _rename(found: dict[str, Any]) -> None:
    module = found.get("module")
    if isinstance(module, str) and module.startswith("tf_keras."):
        found["module"] = module.removeprefix("tf_")
    kind = found.get("class_name")
    if isinstance(kind, str):
        if kind in _RENAMED:
            found[CLASS_IN_FILE] = kind
        found["class_name"] = _RENAMED.get(kind, kind)
        if found.get("registered_name") == kind:
            found["registered_name"] = found["class_name"]
    if isinstance(found.get("name"), str):
        found["name"] = without_slash(found["name"])
    if isinstance(found["config"].get("name"), str):
        found["config"] = {**found["config"], "name": without_slash(found["config"]["name"])}


def _part(key: str, part: Any, writer: Writer) -> Any:
    if key.endswith("activation") and writer.is_keras_2:
        part = adapt_activation(part, writer)
    if is_object(part) and part["class_name"] not in ("function", "DTypePolicy"):
        return _record(part, writer)
    if isinstance(part, list) and part and all(map(is_object, part)):
        return [_record(inner, writer) for inner in part]
    return part
