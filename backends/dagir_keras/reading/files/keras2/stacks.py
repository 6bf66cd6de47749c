"""Sequential models of Keras before 2.2.3, whose configuration is the list of their layers itself."""

from __future__ import annotations

from typing import Any


def with_stacks(record: Any) -> Any:
    """The record with a dict as the configuration of each such model, those inside others included."""
    if not isinstance(record, dict):
        return record
    config = record.get("config")
    if isinstance(config, list) and record.get("class_name") == "Sequential":
        name = record.get("name")
        config = {"layers": config} if not isinstance(name, str) else {"name": name, "layers": config}
    if not isinstance(config, dict):
        return record
    inner = {key: _inside(part) for key, part in config.items() if key in ("layers", "layer")}
    return {**record, "config": {**config, **inner}}


def _inside(part: Any) -> Any:
    return [with_stacks(each) for each in part] if isinstance(part, list) else with_stacks(part)
