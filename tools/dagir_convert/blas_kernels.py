"""Which kernels NumPy's matrix products use: a hint to OpenBLAS, given before NumPy is imported.

OpenBLAS knows processors by their family. One that is younger than it is taken for a Haswell, with half of the speed
where it has AVX-512 (AMD's Zen 5 and OpenBLAS 0.3.31). OPENBLAS_CORETYPE says which kernels to take.
"""

from __future__ import annotations

import os
from collections.abc import MutableMapping
from pathlib import Path

_VARIABLE = "OPENBLAS_CORETYPE"
_WIDE = "SkylakeX"  # OpenBLAS's name for its kernels with AVX-512
_NEEDED = frozenset({"avx512f", "avx512cd", "avx512bw", "avx512dq", "avx512vl"})
_DESCRIPTION = Path("/proc/cpuinfo")  # Linux's


def prefer_wide_kernels(variables: MutableMapping[str, str] = os.environ, description: Path = _DESCRIPTION) -> None:
    """Ask for the kernels with AVX-512 on a processor of AMD that has it, unless the user has asked for some."""
    if _VARIABLE in variables:
        return
    try:
        lines = description.read_text(encoding="utf-8", errors="replace").partition("\n\n")[0].splitlines()
    except OSError:
        return
    facts = {name.strip(): value.split() for name, _, value in (line.partition(":") for line in lines)}
    if facts.get("vendor_id") == ["AuthenticAMD"] and _NEEDED.issubset(facts.get("flags", [])):
        variables[_VARIABLE] = _WIDE
