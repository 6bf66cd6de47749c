"""The calls in a functional model: older files have nested lists, and count calls of models from 1."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from typing import Any

from dagir_keras.reading.files.keras2.writer import Writer

_FROM_ZERO = "calls are counted from 0"  # a key of a model's configuration: its value is the object below
_SAID = object()
_OWN = ("Functional", "Model", "Sequential")
_CONSTANT = "_CONSTANT_VALUE"
FUNCTION_LAYERS = (  # layers that are a function of TensorFlow
    *("TFOpLambda", "SlicingOpLambda", "TensorFlowOpLayer"),
    *("ClassMethod", "InstanceProperty", "InstanceMethod"),
)
_TAKES_STATES = {
    *("LSTM", "GRU", "SimpleRNN", "RNN", "Bidirectional", "ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D"),
    *("CuDNNLSTM", "CuDNNGRU"),
}


def counts_from_zero(config: Mapping[str, Any]) -> bool:
    """Whether the outputs of this model count calls from 0: a mark that no file can contain."""
    return config.get(_FROM_ZERO) is _SAID


def is_network(record: Any) -> bool:
    """Whether a record is a model of layers: Keras's own, or of a class derived from it."""
    config = record.get("config") if isinstance(record, dict) else None
    if not isinstance(config, dict) or not isinstance(config.get("layers"), list):
        return False
    return record.get("class_name") in _OWN or "input_layers" in config


def adapt_calls(config: dict[str, Any], writer: Writer) -> dict[str, Any]:
    """The configuration of a model with its calls as the current Keras writes them."""
    if "input_layers" not in config:
        return config
    found = dict(config)
    if not writer.is_unknown:  # which is not known to write one tensor as a list of one
        for key in ("input_layers", "output_layers"):
            found[key] = _alone(found.get(key))
    if writer.is_keras_2:
        return _Adapter(found, writer).adapted()
    return _ranked(found) if writer.before(3, 2) else found


def _ranked(config: dict[str, Any]) -> dict[str, Any]:
    """Calls counted within this model: Keras 3.0 and 3.1 counted those in other models too, but for the outputs.

    Every call is read by another or is an output, and the order is kept: so the numbers tell which calls they are.
    """
    nodes = copy.deepcopy([record.get("inbound_nodes") for record in config["layers"] if isinstance(record, dict)])
    if len(nodes) != len(config["layers"]):
        return config
    counts = _counts(config["layers"])
    models = {
        str(_name_of(each)) for each in config["layers"] if is_network(each) and each.get("class_name") != "Sequential"
    }
    outputs: dict[str, set[int]] = {}
    for name, number, *_ in _entries(config.get("output_layers")):  # where the calls of functional models count from 1
        outputs.setdefault(name, set()).add(number - (1 if name in models and number else 0))
    read: dict[str, list[list[Any]]] = {}
    for history in _histories(nodes):
        read.setdefault(history[0], []).append(history)
    for name, found in read.items():
        numbers = sorted({history[1] for history in found})
        for ranks in (range(counts.get(name, 0)), sorted({*range(counts.get(name, 0))} - outputs.get(name, set()))):
            if len(numbers) == len(ranks):
                place = dict(zip(numbers, ranks, strict=True))
                for history in found:
                    history[1] = place[history[1]]
                break
    layers = [{**record, "inbound_nodes": each} for record, each in zip(config["layers"], nodes, strict=True)]
    return {**config, "layers": layers}


def _counts(records: list[Any]) -> dict[str, int]:
    nodes = {str(_name_of(record)): record.get("inbound_nodes") for record in records}
    return {name: len(found) for name, found in nodes.items() if isinstance(found, list)}


def _histories(nodes: Any) -> Iterator[list[Any]]:
    """The lists [layer, call, output] of the tensors that calls read, to be changed in place."""
    waiting = [nodes]
    while waiting:
        part = waiting.pop()
        if isinstance(part, dict):
            history = part.get("keras_history")
            if isinstance(history, list) and len(history) == 3 and _is_entry(history):
                yield history
            else:
                waiting.extend(part.values())
        elif isinstance(part, list):
            waiting.extend(part)


def _alone(data: Any) -> Any:
    return data[0] if isinstance(data, list) and len(data) == 1 and isinstance(data[0], list) else data


class _Adapter:
    def __init__(self, config: dict[str, Any], writer: Writer) -> None:
        self.config = config
        self.records = {name: record for record in config["layers"] if (name := _name_of(record)) is not None}
        found = [record for record in self.records.values() if is_network(record)]
        self.first = {str(_name_of(record)): 1 for record in found}
        if writer.is_unknown:
            self._see_where_they_count_from()

    def adapted(self) -> dict[str, Any]:
        made = dict(self.config)
        made["layers"] = [self._record(record) for record in self.config["layers"]]
        for key in ("input_layers", "output_layers"):
            made[key] = self._outer(made.get(key))
        made[_FROM_ZERO] = _SAID
        return made

    def _see_where_they_count_from(self) -> None:
        for record in self.records.values():
            for entry in _entries(record.get("inbound_nodes")):
                if entry[1] == 0 and without_slash(entry[0]) in self.first:
                    self.first[without_slash(entry[0])] = 0

    def _record(self, record: Any) -> Any:
        nodes = record.get("inbound_nodes") if isinstance(record, dict) else None
        if _name_of(record) is None or not isinstance(nodes, list):
            return record
        return {**record, "inbound_nodes": [self._node(node, record) for node in nodes]}

    def _node(self, node: Any, record: Mapping[str, Any]) -> Any:
        entries = list(_entries(node))
        if not isinstance(node, (list, dict)) or not entries:
            return node  # another form, or damaged: the reader raises the error
        first = self._first_argument(node)
        if str(record.get("class_name")) in FUNCTION_LAYERS:
            return {"args": [first, *self._lost_operands(first, record)], "kwargs": self._options(entries)}
        first = first[0] if isinstance(first, list) and len(first) == 1 else first
        kwargs = self._options(entries)
        if str(record.get("class_name")) in _TAKES_STATES and isinstance(first, list):
            first, *states = first
            kwargs["initial_state"] = states
        return {"args": [first], "kwargs": kwargs}

    def _options(self, entries: list[Any]) -> dict[str, Any]:
        options: dict[str, Any] = next((entry[3] for entry in reversed(entries) if len(entry) == 4), {})
        return {key: self._option(part) for key, part in options.items()}

    def _lost_operands(self, equation: Any, record: Mapping[str, Any]) -> list[Any]:
        """The tensors of tf.einsum, which Keras does not write: known where only one tensor is there to be taken.

        A constant is none of them if each operand has the axis of the batch, whose size is free.
        """
        if record["config"].get("function") not in ("einsum", "linalg.einsum") or not isinstance(equation, str):
            return []
        terms = equation.replace(" ", "").partition("->")[0].split(",")
        before = self._not_behind(str(_name_of(record)))
        if len(before) != 1 or before[0].get("class_name") != "InputLayer":
            return []
        shape = before[0]["config"].get("batch_input_shape")
        batched = isinstance(shape, list) and shape and shape[0] is None and len({term[:1] for term in terms}) == 1
        if not batched or any(len(term) != len(shape) or "." in term for term in terms):
            return []
        return [self._tensor([str(_name_of(before[0])), 0, 0]) for _ in terms]

    def _not_behind(self, name: str) -> list[Any]:
        """The layers that do not need this one."""
        readers: dict[str, list[str]] = {}
        for other, record in self.records.items():
            for entry in _named_in(record.get("inbound_nodes")):
                readers.setdefault(entry, []).append(other)
        behind = [name]
        for each in behind:  # which grows
            behind += [other for other in readers.get(each, ()) if other not in behind]
        return [record for other, record in self.records.items() if other not in behind]

    def _first_argument(self, part: Any) -> Any:
        if _is_entry(part):
            return part[2] if part[0] == _CONSTANT else self._tensor(part)
        if isinstance(part, dict):
            return {key: self._first_argument(inner) for key, inner in part.items()}
        return [self._first_argument(inner) for inner in part] if isinstance(part, list) else part

    def _option(self, part: Any) -> Any:
        if isinstance(part, list) and len(part) == 3 and _is_entry(part) and without_slash(part[0]) in self.records:
            return self._tensor(part)
        if isinstance(part, dict):
            return {key: self._option(inner) for key, inner in part.items()}
        return [self._option(inner) for inner in part] if isinstance(part, list) else part

    def _tensor(self, entry: list[Any]) -> dict[str, Any]:
        return {"class_name": "__keras_tensor__", "config": {"keras_history": self._history(entry)}}

    def _history(self, entry: list[Any]) -> list[Any]:
        name = without_slash(entry[0])
        return [name, entry[1] - self.first.get(name, 0), entry[2]]

    def _outer(self, data: Any) -> Any:
        if _is_entry(data) and len(data) == 3:
            return self._history(data)
        if isinstance(data, dict):
            return {key: self._outer(part) for key, part in data.items()}
        return [self._outer(part) for part in data] if isinstance(data, list) else data


def _is_entry(part: Any) -> bool:
    """Whether part is [layer, call, output], with or without the options of the call."""
    return (
        isinstance(part, list)
        and len(part) in (3, 4)
        and isinstance(part[0], str)
        and type(part[1]) is int
        and (part[0] == _CONSTANT or type(part[2]) is int)
        and (len(part) == 3 or isinstance(part[3], dict))
    )


def _entries(node: Any) -> Iterator[list[Any]]:
    waiting = [node]
    while waiting:
        part = waiting.pop()
        if _is_entry(part):
            yield part
        elif isinstance(part, dict):
            waiting.extend(reversed(part.values()))
        elif isinstance(part, list):
            waiting.extend(reversed(part))


def _named_in(nodes: Any) -> Iterator[str]:
    """Every text in the calls of a layer, which the names of the layers that it reads are among."""
    waiting = [nodes]
    while waiting:
        part = waiting.pop()
        if isinstance(part, str):
            yield without_slash(part)
        elif isinstance(part, (list, dict)):
            waiting.extend(part.values() if isinstance(part, dict) else part)


def _name_of(record: Any) -> str | None:
    if not isinstance(record, dict) or not isinstance(record.get("config"), dict):
        return None
    name = record.get("name") or record["config"].get("name")
    return name if isinstance(name, str) else None


def without_slash(name: str) -> str:
    """A name as Keras 3 allows it."""
    return name.replace("/", "_")
