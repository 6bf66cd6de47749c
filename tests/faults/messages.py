"""The message of an error, with lines of the test as `{here}:+n`, counted from the first line of the case."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from typing import Any

import pytest

import dagir


def message_of(case: Callable[[], Any]) -> str:
    """What a user reads when the case fails: the class of the error, the summary, facts and remedy."""
    with pytest.raises(dagir.DagirError) as caught:
        case()
    first = inspect.getsourcelines(case)[1]
    text = f"{type(caught.value).__name__}: {caught.value}"
    here = re.escape(inspect.getsourcefile(case) or "")
    return re.sub(here + r":(\d+)", lambda match: f"{{here}}:+{int(match[1]) - first}", text)
