"""Strategies for sampling."""

from __future__ import annotations

from hypothesis import strategies as st

from dagir import ops
from dagir.ops.sampling import COORDINATES, NEAREST
from dagir.testing.cases import OpCase, arrays, strategy_for


@strategy_for(ops.Interpolate)
@st.composite
def interpolate(draw: st.DrawFn) -> OpCase:
    """Every mode and rule of places, larger and smaller, by sizes and by scales that give these."""
    mode = draw(st.sampled_from(["nearest", "linear", "cubic"]))
    rank = draw(st.integers(1, 4))
    shape = tuple(draw(st.integers(1, 6)) for _ in range(rank))
    axes = tuple(sorted(draw(st.sets(st.integers(0, rank - 1), min_size=1))))
    coordinates = draw(st.sampled_from(COORDINATES))
    by_scales = draw(st.booleans())
    scales = tuple(draw(st.sampled_from([0.5, 0.75, 1.0, 1.5, 2.0, 2.75])) for _ in axes) if by_scales else None
    if scales is None:
        sizes = tuple(draw(st.integers(1, 9)) for _ in axes)
    else:
        sizes = tuple(int(shape[axis] * scale) for axis, scale in zip(axes, scales, strict=True))
    starts = st.sampled_from([-0.25, 0.0, 0.25])
    roi = tuple((draw(starts), draw(starts) + 0.75) for _ in axes) if coordinates == "tf_crop_and_resize" else None
    smooth = mode != "nearest"
    op = ops.Interpolate(
        axes,
        sizes,
        mode,
        coordinates,
        scales,
        roi,
        draw(st.sampled_from(NEAREST)),
        draw(st.sampled_from([-0.75, -0.5])),
        mode == "cubic" and draw(st.booleans()),
        smooth and coordinates != "tf_crop_and_resize" and draw(st.booleans()),
        draw(st.sampled_from([0.0, 10.0])),
    )
    dtype = "float32" if smooth else draw(st.sampled_from(["float32", "int32", "uint8", "int64", "float64"]))
    return OpCase(op, (draw(arrays(shape, dtype, 0 if dtype == "uint8" else -3)),))
