"""Changes of bytes, of JSON and of protobuf messages. All that is drawn comes from the random.Random that is given."""

from __future__ import annotations

import copy
from random import Random
from typing import Any

NUMBERS = (
    -1,
    0,
    1,
    2,
    3,
    7,
    64,
    255,
    256,
    65535,
    2**31 - 1,
    2**31,
    2**32,
    2**40,
    2**62,
    2**63 - 1,
    2**63,
    2**64,
    -(2**31),
)
TEXTS = (
    "",
    "x",
    "\ud800",
    "\x1b[2J\x1b]0;title\x07",
    "[bold]x[/y]",
    "\u202eabc",
    "a\nb",
    "\0",
    "../../etc/passwd",
    "/dev/zero",
    "x" * 300,
    "batch*batch",
    "n//0",
    "(n//3 + 7)//5",
    "²",
    "nan",
    "relu",
    "float16",
    "string",
    "__class__",
    "é" * 5,
)


def mutate_bytes(data: bytes, rng: Random) -> bytes:
    """A few bytes changed, put in, cut out, or copied from elsewhere."""
    out = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 4, 16))):
        size = len(out)
        if size < 2:
            break
        at = rng.randrange(size)
        kind = rng.randrange(8)
        if kind <= 1:
            out[at] ^= 1 << rng.randrange(8)
        elif kind == 2:
            out[at] = rng.choice((0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256)))
        elif kind == 3:
            width = rng.choice((1, 2, 4, 8))
            out[at : at + width] = (rng.choice(NUMBERS) % (1 << 8 * width)).to_bytes(width, "little")
        elif kind == 4:
            out[at:at] = rng.randbytes(rng.choice((1, 1, 2, 8, 64)))
        elif kind == 5:
            del out[at : at + rng.choice((1, 1, 2, 8, 64))]
        elif kind == 6:
            other, width = rng.randrange(size), rng.choice((2, 4, 8, 16, 64))
            out[at : at + width] = out[other : other + width]
        else:
            del out[at:]
    return bytes(out)


def mutate_json(data: Any, rng: Random) -> Any:
    """The same tree with some places changed."""
    root = [copy.deepcopy(data)]
    for _ in range(rng.choice((1, 1, 1, 2, 3, 6))):
        places = _places(root)
        if not places:
            return None
        holder, key = rng.choice(places)
        _change(holder, key, places, rng)
    return root[0] if root else None


def _places(root: Any) -> list[tuple[Any, Any]]:
    found: list[tuple[Any, Any]] = []
    pending = [root]
    while pending:
        part = pending.pop()
        keys = list(part) if isinstance(part, dict) else range(len(part))
        for key in keys:
            found.append((part, key))
            if isinstance(part[key], (dict, list)):
                pending.append(part[key])
    return found


def _change(holder: Any, key: Any, places: list[tuple[Any, Any]], rng: Random) -> None:
    kind = rng.randrange(9)
    old = holder[key]
    if kind <= 2:
        holder[key] = junk(old, rng)
    elif kind == 3:
        del holder[key]
    elif kind == 4 and isinstance(holder, dict):
        holder[text(rng)] = holder.pop(key)
    elif kind == 4:
        holder.insert(key, copy.deepcopy(old))
    elif kind == 5:
        other, place = rng.choice(places)
        if (isinstance(other, list) and place >= len(other)) or (isinstance(other, dict) and place not in other):
            return
        holder[key] = copy.deepcopy(other[place])
    elif kind == 6:
        holder[key] = rng.choice(([old], {"x": old}, {"config": old}, {"class_name": "Dense", "config": old}))
    elif kind == 7 and isinstance(holder, dict):
        holder[text(rng)] = junk(old, rng)
    else:
        holder[key] = _near(old, rng)


def _near(old: Any, rng: Random) -> Any:
    if isinstance(old, bool):
        return not old
    if isinstance(old, int):
        return old + rng.choice((-1, 1, 1000))
    if isinstance(old, float):
        return rng.choice((-old, 1e308, -1e-300, 0.0))
    if isinstance(old, str):
        at = rng.randrange(len(old) + 1)
        return old[:at] + rng.choice(TEXTS) + old[at + rng.randrange(2) :]
    if isinstance(old, list):
        return old[::-1] if rng.randrange(2) else old * rng.choice((0, 2, 50))
    return {}


def junk(old: Any, rng: Random) -> Any:
    """A value of another kind, or an extreme one."""
    kind = rng.randrange(8)
    if kind == 0:
        return rng.choice((None, True, False))
    if kind <= 2:
        return rng.choice(NUMBERS)
    if kind == 3:
        return text(rng)
    if kind == 4:
        return rng.choice((0.5, 1e308, float("nan"), float("inf"), -1e-300))
    if kind == 5:
        return rng.choice(([], {}, [[]], [None], [old, old], [0], {"a": 1}))
    if kind == 6:
        for _ in range(rng.choice((3, 80, 400))):
            old = [old]
        return old
    return [rng.choice(NUMBERS) for _ in range(rng.randrange(5))]


def text(rng: Random) -> str:
    """A name that is hard on those who print, split or look it up."""
    return rng.choice(TEXTS)


# ---- protobuf


def mutate_message(message: Any, rng: Random) -> None:
    """Change some fields anywhere in a message, in place."""
    for _ in range(rng.choice((1, 1, 1, 2, 3, 6))):
        places = _fields(message)
        if places:
            holder, field = rng.choice(places)
            try:
                _change_field(holder, field, rng)
            except (TypeError, ValueError, UnicodeError):  # a number or a text that the field cannot have
                continue


def _fields(message: Any) -> list[tuple[Any, Any]]:
    found: list[tuple[Any, Any]] = []
    pending = [message]
    while pending and len(found) < 4000:
        part = pending.pop()
        for field, value in part.ListFields():
            found.append((part, field))
            if field.type == field.TYPE_MESSAGE:
                pending.extend(value if _repeated(field) else [value])
    return found


def _repeated(field: Any) -> bool:
    return bool(getattr(field, "is_repeated", None) or getattr(field, "label", 0) == 3)


def _change_field(holder: Any, field: Any, rng: Random) -> None:
    name = field.name
    if rng.randrange(12) == 0:
        holder.ClearField(name)
    elif rng.randrange(12) == 0:
        _add_field(holder, rng)
    elif _repeated(field):
        _change_list(getattr(holder, name), field, rng)
    elif field.type == field.TYPE_MESSAGE:
        _add_field(getattr(holder, name), rng)
    else:
        setattr(holder, name, _value(getattr(holder, name), rng))


def _change_list(held: Any, field: Any, rng: Random) -> None:
    at = rng.randrange(len(held))
    kind = rng.randrange(4)
    if kind == 0:
        del held[at]
    elif field.type == field.TYPE_MESSAGE:
        if kind == 1:
            held.add().CopyFrom(held[at])
        elif kind == 2:
            held[at].CopyFrom(held[rng.randrange(len(held))])
        else:
            _add_field(held[at], rng)
    elif kind == 1:
        held.append(held[at])
    else:
        held[at] = _value(held[at], rng)


def _add_field(message: Any, rng: Random) -> None:
    """Give any field of the message's type a value, whether it had one or not."""
    field = rng.choice(message.DESCRIPTOR.fields)
    if field.type == field.TYPE_MESSAGE:
        target = getattr(message, field.name)
        if _repeated(field):
            target.add()
        else:
            target.SetInParent()
        return
    sample: Any = {field.CPPTYPE_STRING: "", field.CPPTYPE_FLOAT: 0.0, field.CPPTYPE_DOUBLE: 0.0}.get(field.cpp_type, 0)
    if field.type == field.TYPE_BYTES:
        sample = b"abcd"
    if _repeated(field):
        getattr(message, field.name).append(_value(sample, rng))
    else:
        setattr(message, field.name, _value(sample, rng))


def _value(old: Any, rng: Random) -> Any:
    if isinstance(old, bytes):
        return mutate_bytes(old, rng) if len(old) > 1 else rng.randbytes(rng.randrange(9))
    if isinstance(old, str):
        return text(rng) if rng.randrange(2) else _near(old, rng)
    if isinstance(old, float):
        return rng.choice((0.0, -1.0, 1e30, float("nan"), float("inf")))
    return rng.choice((old + 1, old - 1, rng.choice(NUMBERS), rng.randrange(30)))
