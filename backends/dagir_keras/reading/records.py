"""The records in a configuration."""

from __future__ import annotations

from typing import Any


def is_object(data: Any) -> bool:
    """Whether data is an object of Keras, not a plain dict."""
    return isinstance(data, dict) and "class_name" in data and "config" in data


def is_code(data: Any) -> bool:
    """Whether data is the byte code of a lambda: an object in Keras 3, else a list, alone or in a dict."""
    if is_object(data):
        return bool(data["class_name"] == "__lambda__")
    if isinstance(data, dict) and len(data) == 1:
        data = data.get("value")
    return isinstance(data, list) and len(data) == 3 and isinstance(data[0], str)
