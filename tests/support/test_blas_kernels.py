"""The hint to OpenBLAS, by what Linux says of the processor."""

from __future__ import annotations

import pytest

from dagir_convert.blas_kernels import prefer_wide_kernels

FLAGS = "fpu avx avx2 avx512f avx512dq avx512cd avx512bw avx512vl"
PROCESSOR = "processor\t: 0\nvendor_id\t: {vendor}\ncpu family\t: 26\nflags\t\t: {flags}\n\nprocessor\t: 1\n"


@pytest.mark.parametrize(
    ("vendor", "flags", "given", "expected"),
    [
        ("AuthenticAMD", FLAGS, None, "SkylakeX"),
        ("AuthenticAMD", FLAGS, "Haswell", "Haswell"),  # the user's word
        ("AuthenticAMD", FLAGS.replace("avx512bw", ""), None, None),
        ("GenuineIntel", FLAGS, None, None),  # OpenBLAS asks these for AVX-512 itself
    ],
)
def test_kernels_with_avx512(vendor, flags, given, expected, tmp_path):
    description = tmp_path / "cpuinfo"
    description.write_text(PROCESSOR.format(vendor=vendor, flags=flags))
    variables = {} if given is None else {"OPENBLAS_CORETYPE": given}
    prefer_wide_kernels(variables, description)
    assert variables.get("OPENBLAS_CORETYPE") == expected


def test_where_nothing_describes_the_processor(tmp_path):
    variables = {}
    prefer_wide_kernels(variables, tmp_path / "absent")
    assert not variables
