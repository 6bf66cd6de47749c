"""tf.image."""

from __future__ import annotations

import numpy as np

from tensorflow_cases.table import Arguments, Draw, function


def _image(draw: Draw, low: float = -1.0, high: float = 1.0) -> object:
    sizes = (draw.int(3, 6), draw.int(3, 6), 3)
    return draw.floats(sizes if draw.flag() and draw.flag() else (2, *sizes), low, high)


@function("image.resize")
def _resize(draw: Draw) -> Arguments:
    method = draw.one("bilinear", "nearest", "bicubic", "area", "lanczos3")
    options = {"method": method, "antialias": draw.flag(), "preserve_aspect_ratio": draw.one(False, False, True)}
    return (_image(draw), [draw.int(2, 9), draw.int(2, 9)]), options


@function("compat.v1.image.resize_bilinear", "compat.v1.image.resize_nearest_neighbor")
def _resize_of_1(draw: Draw) -> Arguments:
    grid = draw.one({}, {"align_corners": True}, {"half_pixel_centers": True})
    return (draw.floats((2, draw.int(2, 6), draw.int(2, 6), 3)), [draw.int(2, 9), draw.int(2, 9)]), grid


@function("compat.v1.image.resize_area")
def _area(draw: Draw) -> Arguments:
    grid = draw.one({}, {"align_corners": True})
    return (draw.floats((2, draw.int(2, 6), draw.int(2, 6), 3)), [draw.int(1, 9), draw.int(1, 9)]), grid


@function("image.combined_non_max_suppression")
def _combined(draw: Draw) -> Arguments:
    count, classes = draw.int(1, 6), draw.int(1, 3)
    boxes = draw.floats((2, count, draw.one(1, classes), 4), -0.5, 1.5)
    options = {
        "iou_threshold": draw.one(0.1, 0.5),
        "score_threshold": draw.one(float("-inf"), 0.0),
        "pad_per_class": draw.flag(),
        "clip_boxes": draw.flag(),
    }
    return (boxes, draw.floats((2, count, classes)), draw.int(1, 4), draw.int(1, 9)), options


@function("compat.v1.image.resize_images")
def _resize_images(draw: Draw) -> Arguments:
    return (_image(draw), [draw.int(2, 9), draw.int(2, 9)]), {"align_corners": draw.flag()}


@function("image.resize_with_crop_or_pad", "image.resize_with_pad")
def _with_pad(draw: Draw) -> Arguments:
    return (_image(draw), draw.int(2, 9), draw.int(2, 9)), {}


@function("image.pad_to_bounding_box")
def _pad(draw: Draw) -> Arguments:
    return (_image(draw), draw.int(0, 2), draw.int(0, 2), draw.int(8, 9), draw.int(8, 9)), {}


@function("image.crop_to_bounding_box")
def _crop(draw: Draw) -> Arguments:
    return (_image(draw), draw.int(0, 1), draw.int(0, 1), draw.int(1, 2), draw.int(1, 2)), {}


@function("image.central_crop")
def _central(draw: Draw) -> Arguments:
    return (_image(draw), draw.one(0.3, 0.5, 0.8, 1.0)), {}


@function(
    *("image.flip_left_right", "image.flip_up_down", "image.transpose", "image.rgb_to_grayscale", "image.rgb_to_yuv"),
    *("image.yuv_to_rgb", "image.rgb_to_yiq", "image.yiq_to_rgb", "image.per_image_standardization"),
    *("image.total_variation",),
)
def _one(draw: Draw) -> Arguments:
    return (_image(draw),), {}


@function("image.image_gradients", "image.sobel_edges")
def _gradients(draw: Draw) -> Arguments:
    return (draw.floats((2, 4, 5, 3)),), {}


@function("image.rgb_to_hsv", "image.hsv_to_rgb")
def _hsv(draw: Draw) -> Arguments:
    return (_image(draw, 0.0, 1.0),), {}


@function("image.adjust_saturation")
def _saturation(draw: Draw) -> Arguments:
    return (_image(draw, 0.0, 1.0), draw.one(0.5, 1.5)), {}


@function("image.adjust_hue")
def _hue(draw: Draw) -> Arguments:
    return (_image(draw, 0.0, 1.0), draw.one(-0.4, 0.1, 0.7)), {}


@function("image.rot90")
def _rot90(draw: Draw) -> Arguments:
    return (_image(draw),), {"k": draw.int(0, 5)}


@function("image.grayscale_to_rgb")
def _rgb(draw: Draw) -> Arguments:
    return (draw.floats((2, 3, 4, 1)),), {}


@function("image.adjust_brightness", "image.adjust_contrast")
def _brightness(draw: Draw) -> Arguments:
    return (_image(draw), draw.one(0.5, 1.5)), {}


@function("image.adjust_gamma")
def _gamma(draw: Draw) -> Arguments:
    return (_image(draw, 0.1, 1.0),), {"gamma": draw.one(0.5, 2.0), "gain": draw.one(1, 0.5)}


@function("image.convert_image_dtype")
def _convert(draw: Draw) -> Arguments:
    return (draw.ints((2, 3, 3), 0, 200, draw.one("uint8", "int16")), "float32"), {}


@function("image.psnr")
def _psnr(draw: Draw) -> Arguments:
    x = draw.floats((2, 4, 4, 3), 0, 1)
    return (x, draw.floats((2, 4, 4, 3), 0, 1), 1.0), {}


@function("image.crop_and_resize")
def _boxes(draw: Draw) -> Arguments:
    corners = draw.floats((3, 4), 0.05, 0.95)
    owners = np.asarray([draw.int(0, 1) for _ in range(3)], np.int32)
    given = (draw.floats((2, 5, 6, 3)), corners, owners, [draw.int(1, 5), draw.int(1, 5)])
    return given, {"method": draw.one("bilinear", "nearest"), "extrapolation_value": draw.one(0.0, 0.5)}
