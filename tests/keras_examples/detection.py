"""Detection: anchors, boxes, peaks of heat maps, and what is done with them."""

from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf
from keras import layers as L

from keras_examples.registry import example, image


class Anchors:
    """Boxes around the cells of the maps of an image, whatever its size."""

    strides, scales = (4, 8), (1.0, 1.5)

    def at(self, height, width, stride):
        across = (tf.range(width, dtype=tf.float32) + 0.5) * stride
        down = (tf.range(height, dtype=tf.float32) + 0.5) * stride
        centers = tf.stack(tf.meshgrid(across, down), axis=-1)
        centers = tf.tile(tf.expand_dims(centers, axis=-2), [1, 1, len(self.scales), 1])
        sizes = tf.constant([[stride * scale, stride * scale] for scale in self.scales])
        sizes = tf.tile(sizes[None, None], [height, width, 1, 1])
        return tf.reshape(tf.concat([centers, sizes], axis=-1), [-1, 4])

    def of(self, height, width):
        return tf.concat(
            [self.at(tf.math.ceil(height / stride), tf.math.ceil(width / stride), stride) for stride in self.strides], 0
        )


class Heads(keras.Model):
    def __init__(self, classes=3):
        super().__init__(name="heads")
        self.classes, self.convs = classes, [L.Conv2D(6, 3, 4, padding="same"), L.Conv2D(6, 3, 2, padding="same")]
        prior = tf.constant_initializer(-np.log((1 - 0.01) / 0.01))
        self.labels = L.Conv2D(2 * classes, 3, padding="same", bias_initializer=prior)
        self.boxes, self.lateral = L.Conv2D(2 * 4, 3, padding="same"), L.Conv2D(6, 1)
        self.up = L.UpSampling2D(2)

    def call(self, x, training=False):
        fine = tf.nn.relu(self.convs[0](x))
        coarse = tf.nn.relu(self.convs[1](fine))
        fine = self.lateral(fine) + self.up(coarse)
        count = tf.shape(x)[0]
        labels, boxes = [], []
        for level in (fine, coarse):
            boxes.append(tf.reshape(self.boxes(level), [count, -1, 4]))
            labels.append(tf.reshape(self.labels(level), [count, -1, self.classes]))
        return tf.concat([tf.concat(boxes, axis=1), tf.concat(labels, axis=1)], axis=-1)


class Decoded(L.Layer):
    """Boxes by corners, in the image, with the scores of their classes."""

    def __init__(self):
        super().__init__()
        self.anchors, self.variance = Anchors(), tf.constant([0.1, 0.1, 0.2, 0.2])

    def call(self, images, found):
        size = tf.cast(tf.shape(images), dtype=tf.float32)
        anchors = self.anchors.of(size[1], size[2])
        boxes = found[:, :, :4] * self.variance
        boxes = tf.concat(
            [
                boxes[:, :, :2] * anchors[None, :, 2:] + anchors[None, :, :2],
                tf.math.exp(boxes[:, :, 2:]) * anchors[None, :, 2:],
            ],
            axis=-1,
        )
        corners = tf.concat([boxes[..., :2] - boxes[..., 2:] / 2.0, boxes[..., :2] + boxes[..., 2:] / 2.0], axis=-1)
        return corners, tf.nn.sigmoid(found[:, :, 4:])


@example(sizes=((16, 24), (32, 8)))
def anchored_boxes():
    x = image()
    return keras.Model(x, Decoded()(x, Heads()(x)))


class Suppressed(L.Layer):
    def call(self, boxes, scores):
        return tf.image.combined_non_max_suppression(
            tf.expand_dims(boxes, axis=2), scores, 4, 6, 0.5, 0.3, clip_boxes=False
        )


@example()
def suppressed_boxes():
    boxes, scores = keras.Input((9, 4)), keras.Input((9, 2))
    found = Suppressed()(
        L.Lambda(lambda b: tf.concat([b[..., :2], b[..., :2] + tf.abs(b[..., 2:])], -1))(boxes), scores
    )
    return keras.Model([boxes, scores], [found.nmsed_boxes, found.nmsed_scores, found.valid_detections])


class Grid(L.Layer):
    """Boxes of cells: centers by sigmoids in their cell, sizes by exponents of sizes that are given."""

    def __init__(self, classes):
        super().__init__()
        self.classes, self.sizes = classes, tf.constant([[10.0, 13.0], [16.0, 30.0]])

    def call(self, x):
        count, height, width = tf.shape(x)[0], tf.shape(x)[1], tf.shape(x)[2]
        x = tf.reshape(x, (count, height, width, 2, 5 + self.classes))
        centers, sizes, sure, labels = tf.split(x, (2, 2, 1, self.classes), axis=-1)
        grid = tf.meshgrid(tf.range(width), tf.range(height))
        grid = tf.cast(tf.expand_dims(tf.stack(grid, axis=-1), axis=2), tf.float32)
        centers = (tf.sigmoid(centers) + grid) / tf.cast([width, height], tf.float32)
        sizes = tf.exp(tf.clip_by_value(sizes, -4.0, 4.0)) * self.sizes / 32.0
        corners = tf.concat([centers - sizes / 2, centers + sizes / 2], axis=-1)
        scores = tf.sigmoid(sure) * tf.nn.softmax(labels, axis=-1)
        return tf.reshape(corners, [count, -1, 4]), tf.reshape(scores, [count, -1, self.classes])


@example(sizes=((4, 6), (7, 3)))
def boxes_of_cells():
    x = image(4)
    return keras.Model(x, Grid(3)(L.Conv2D(16, 1)(x)))


class Peaks(L.Layer):
    """The highest places of heat maps that are highest around them, with what other maps say there."""

    def call(self, heat, offsets):
        heat = tf.sigmoid(heat)
        top = tf.nn.max_pool2d(heat, 3, strides=1, padding="SAME")
        heat = tf.where(tf.equal(heat, top), heat, tf.zeros_like(heat))
        count, width, classes = tf.shape(heat)[0], tf.shape(heat)[2], heat.shape[-1]
        scores, places = tf.math.top_k(tf.reshape(heat, [count, -1]), k=4, sorted=True)
        pixels = places // classes
        moved = tf.gather(tf.reshape(offsets, [count, -1, 2]), pixels, batch_dims=1, axis=1)
        rows, columns = tf.cast(pixels // width, tf.float32), tf.cast(pixels % width, tf.float32)
        return scores, places % classes, tf.stack([rows, columns], -1) + moved


@example(sizes=((4, 6), (7, 3)))
def peaks_of_heat_maps():
    x = image(4)
    return keras.Model(x, Peaks()(L.Conv2D(2, 3, padding="same")(x), L.Conv2D(2, 1)(x)))


class Overlaps(L.Layer):
    """The intersection over the union of each two boxes."""

    def call(self, first, second):
        top = tf.maximum(first[..., None, :2], second[..., None, :, :2])
        bottom = tf.minimum(first[..., None, 2:], second[..., None, :, 2:])
        shared = tf.reduce_prod(tf.maximum(0.0, bottom - top), axis=-1)
        areas = [tf.reduce_prod(boxes[..., 2:] - boxes[..., :2], axis=-1) for boxes in (first, second)]
        union = tf.maximum(areas[0][..., None] + areas[1][:, None] - shared, 1e-8)
        overlaps = tf.clip_by_value(shared / union, 0.0, 1.0)
        best = tf.argmax(overlaps, axis=-1)
        near = tf.gather(second, best, batch_dims=1)
        kept = tf.cast(tf.greater_equal(tf.reduce_max(overlaps, axis=-1), 0.3), dtype=tf.float32)
        return overlaps, near * kept[..., None]


@example(sizes=((5, 5), (8, 8)))
def overlaps_of_boxes():
    first, second = keras.Input((None, 4)), keras.Input((None, 4))
    proper = L.Lambda(lambda b: tf.concat([b[..., :2], b[..., :2] + tf.math.exp(b[..., 2:])], -1))
    return keras.Model([first, second], Overlaps()(proper(first), proper(second)))


class Crops(L.Layer):
    """Parts of images that boxes cut out, of one size each."""

    def call(self, images, boxes):
        count, each = tf.shape(boxes)[0], tf.shape(boxes)[1]
        rows = tf.reshape(tf.tile(tf.range(count)[:, None], [1, each]), [-1])
        cut = tf.image.crop_and_resize(images, tf.reshape(boxes, [-1, 4]), rows, (3, 3))
        return tf.reshape(cut, [count, each, 3, 3, 2])


@example(sizes=((5, 8), (8, 6)))
def crops_of_boxes():
    x, boxes = image(2), keras.Input((4, 4))
    return keras.Model([x, boxes], Crops()(x, L.Lambda(lambda b: tf.sort(tf.sigmoid(b), axis=-1))(boxes)))


class KeptBoxes(L.Layer):
    """As many boxes as the data say, which no shape can tell beforehand."""

    def call(self, boxes, scores):
        return tf.image.non_max_suppression(boxes[0], scores[0], 3, iou_threshold=0.4)


@example()
def chosen_boxes():
    boxes, scores = keras.Input((6, 4), batch_size=1), keras.Input((6,), batch_size=1)
    return keras.Model([boxes, scores], KeptBoxes()(boxes, scores))
