"""Ops whose result has a size that the data decide; TensorFlow alone of Keras's frameworks runs them in a model."""

from __future__ import annotations

from typing import Any

from keras import ops as K

from dagir import ops
from dagir_keras.rules import rules


@rules.rule(ops.NonZero)
def non_zero(op: ops.NonZero, x: Any) -> Any:
    return K.cast(K.stack(K.nonzero(x)), "int64")


@rules.rule(ops.Range)
def range_(op: ops.Range, start: Any, limit: Any, step: Any) -> Any:
    import tensorflow as tf

    dtype = start.dtype
    kernel = dtype if dtype in ("float32", "float64", "int32", "int64") else "float32" if dtype.is_floating else "int64"
    first, last, stride = (tf.cast(bound, kernel) for bound in (start, limit, step))
    last = tf.where((last - first) * tf.sign(stride) > 0, last, first)  # TensorFlow refuses a range of nothing
    return tf.cast(tf.range(first, last, stride), dtype)


@rules.rule(ops.Unique)
def unique(op: ops.Unique, x: Any) -> Any:
    dtype = x.dtype
    given = K.cast(x, "uint8") if dtype == "bool" else x
    values, *rest = K.unique(given, op.sorted, True, True, True, op.axis)
    return (K.cast(values, dtype), *(K.cast(K.reshape(each, (-1,)), "int64") for each in rest))


@rules.rule(ops.NonMaxSuppression)
def non_max_suppression(
    op: ops.NonMaxSuppression, boxes: Any, scores: Any, most: Any, overlap: Any, least: Any = None
) -> Any:
    """For each batch and class the padded form of TensorFlow's, without what pads it."""
    import tensorflow as tf

    if op.center_point_box:
        center, size = boxes[..., :2], boxes[..., 2:]
        boxes = tf.concat([center - size / 2, center + size / 2], -1)
    count, kinds, number = tf.unstack(tf.shape(scores))
    most = tf.minimum(tf.cast(most, "int32"), number)
    wide = [tf.cast(each, "float32") for each in (boxes, scores, overlap)]
    floor = tf.constant(float("-inf")) if least is None else tf.cast(least, "float32")

    def select(place: Any) -> Any:
        batch, kind = place // kinds, place % kinds
        chosen, valid = tf.raw_ops.NonMaxSuppressionV4(
            boxes=wide[0][batch],
            scores=wide[1][batch, kind],
            max_output_size=most,
            iou_threshold=wide[2],
            score_threshold=floor,
            pad_to_max_output_size=True,
        )
        rows = tf.stack([tf.fill([most], batch), tf.fill([most], kind), chosen], -1)
        return rows, tf.range(most) < valid

    places = tf.range(count * kinds)
    signature = (tf.TensorSpec([None, 3], "int32"), tf.TensorSpec([None], "bool"))
    rows, valid = tf.map_fn(select, places, fn_output_signature=signature)
    return tf.cast(tf.boolean_mask(rows, valid), "int64")


@rules.rule(ops.KnowSizes)
def know_sizes(op: ops.KnowSizes, x: Any, *witnesses: Any) -> Any:
    return x


@rules.rule(ops.EqualSizes)
def equal_sizes(op: ops.EqualSizes, x: Any) -> Any:
    """By a reshape of one element to 1 + |left - right|, which fails unless they are equal: it is 1, as a factor."""
    sizes = K.convert_to_tensor(K.shape(x), "int32")
    for left, right in zip(op.left, op.right, strict=True):
        apart = K.abs(K.convert_to_tensor(left, "int32") - K.convert_to_tensor(right, "int32"))
        sizes = sizes * K.reshape(K.ones((1,), "int32"), K.reshape(apart + 1, (1,)))
    return K.reshape(x, sizes)
