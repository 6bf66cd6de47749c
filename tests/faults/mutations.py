"""Files with some bytes changed, read one after the other in a child: a crash, a hang or a raw error is a failure.

The child has limits of its own where the platform has them, so that what goes wrong does not take the tests with it.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random

from dagir import from_keras
from dagir.errors import DagirError

_CHILD = """
import faulthandler, json, sys, warnings
from faults.mutations import read_all
faulthandler.enable()
warnings.simplefilter("ignore")
print(json.dumps(read_all(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))))
"""
_MEMORY = 3 << 30


def _byte(data: bytearray, at: int, random: Random) -> None:
    data[at] = random.randrange(256)


def _bit(data: bytearray, at: int, random: Random) -> None:
    data[at] ^= 1 << random.randrange(8)


def _extreme(data: bytearray, at: int, random: Random) -> None:
    data[at] = random.choice([0, 1, 127, 128, 255])


def _insert(data: bytearray, at: int, random: Random) -> None:
    data.insert(at, random.randrange(256))


def _delete(data: bytearray, at: int, random: Random) -> None:
    del data[at : at + random.choice([1, 8, 100])]


def _number(data: bytearray, at: int, random: Random) -> None:
    """Eight bytes that may be an address or a size."""
    value = random.choice([0, 2**32, 2**63, 2**64 - 1, random.randrange(len(data)), random.randrange(len(data)) & ~7])
    data[at & ~7 : (at & ~7) + 8] = value.to_bytes(8, "little")


def _copy(data: bytearray, at: int, random: Random) -> None:
    start, size = random.randrange(len(data)), random.choice([1, 8, 40, 200])
    data[at : at + size] = data[start : start + size]


_WAYS: list[Callable[[bytearray, int, Random], None]] = [_byte, _bit, _extreme, _insert, _delete, _number, _copy]


def mutated(data: bytes, seed: int) -> bytes:
    """The bytes with one to four changes, more often where they say something than among zeros."""
    random = Random(seed)
    found = bytearray(data)
    for _ in range(random.choice([1, 1, 1, 2, 4])):
        places = [random.randrange(len(found)) for _ in range(8)]
        random.choice(_WAYS)(found, next((place for place in places if found[place]), places[0]), random)
    return bytes(found)


def read_all(seeds: str, scratch: str, first: int, count: int) -> dict[str, int]:
    """In the child: read `count` mutations of the files in the folder `seeds`; how often each thing came of it."""
    _limit()
    files = [(path, path.read_bytes()) for path in sorted(Path(seeds).iterdir())]
    outcomes: Counter[str] = Counter()
    for number in range(first, first + count):
        path, data = files[number % len(files)]
        target = Path(scratch) / f"mutated{path.suffix}"
        target.write_bytes(mutated(data, number))
        print(f"{path.name}, mutation {number}", file=sys.stderr, flush=True)  # the last line is where a crash was
        try:
            from_keras(target)
            outcomes["read"] += 1
        except DagirError as error:
            str(error).encode()
            outcomes[type(error).__name__] += 1
    return dict(outcomes)


def _limit() -> None:
    try:
        import resource
    except ImportError:  # Windows
        return
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))


def in_child(seeds: Path, scratch: Path, first: int, count: int, timeout: float) -> dict[str, int]:
    """`read_all` in a process of its own. Raises AssertionError with what it said last where it does not end well."""
    command = [sys.executable, "-c", _CHILD, str(seeds), str(scratch), str(first), str(count)]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=timeout, cwd=Path(__file__).parents[1], check=False
        )
    except subprocess.TimeoutExpired as error:
        said = (error.stderr or b"").decode("utf-8", "replace")
        raise AssertionError(f"no end within {timeout} s: {_last(said)}") from None
    assert done.returncode == 0, f"ended with {done.returncode}: {_last(done.stderr)}"
    found: dict[str, int] = json.loads(done.stdout)
    return found


def _last(text: str) -> str:
    return "\n".join(text.splitlines()[-12:])
