"""Images to better images: super-resolution, light, style, depth, rendering."""

from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf
from keras import layers as L

from keras_examples.registry import example, image


@example(sizes=((4, 6), (7, 5)))
def super_resolution():
    x = image(1)
    y = L.Conv2D(5, 5, activation="relu", padding="same", kernel_initializer="orthogonal")(x)
    y = L.Conv2D(9, 3, padding="same")(y)
    return keras.Model(x, L.Lambda(lambda z: tf.nn.depth_to_space(z, 3), output_shape=(None, None, 1))(y))


class DenseUp(keras.Model):
    """Residual blocks, then pixels out of channels twice; the input is scaled before and after."""

    def __init__(self):
        super().__init__()
        self.first, self.second, self.last = (L.Conv2D(n, 3, padding="same") for n in (4, 16, 3))
        self.before, self.after = L.Rescaling(1.0 / 255), L.Rescaling(255)

    def call(self, x):
        y = self.first(self.before(x))
        y = y + tf.nn.relu(y) * 0.1
        y = tf.nn.depth_to_space(self.second(y), 2)
        y = tf.clip_by_value(self.after(self.last(y)), 0.0, 255.0)
        return tf.cast(tf.round(y), tf.uint8)


@example(sizes=((4, 6), (7, 5)))
def residual_super_resolution():
    x = image()
    return keras.Model(x, DenseUp()(x))


class Curves(L.Layer):
    """Light curves of pixels, in as many rounds as there are maps, and how far the colours drift apart."""

    def call(self, x, maps):
        for part in tf.split(maps, num_or_size_splits=maps.shape[-1] // 3, axis=3):
            x = x + part * (tf.square(x) - x)
        mean = tf.reduce_mean(x, axis=(1, 2), keepdims=True)
        red, green, blue = mean[..., 0], mean[..., 1], mean[..., 2]
        drift = tf.sqrt(tf.square(tf.square(red - green)) + tf.square(tf.square(blue - green)))
        return x, drift


@example(sizes=((4, 6), (7, 5)))
def curves_of_light():
    x = image()
    y = L.Conv2D(4, 3, padding="same", activation="relu")(x)
    y = L.Concatenate()([y, L.Conv2D(4, 3, padding="same", activation="relu")(y)])
    return keras.Model(x, Curves()(x, L.Conv2D(9, 3, padding="same", activation="tanh")(y)))


class Exposure(L.Layer):
    """Losses that need no target: the mean light of patches, and how smooth a map is."""

    def call(self, x, maps):
        mean = tf.nn.avg_pool2d(tf.reduce_mean(x, axis=3, keepdims=True), ksize=4, strides=4, padding="VALID")
        light = tf.reduce_mean(tf.square(mean - 0.6), axis=[1, 2, 3])
        height, width = tf.shape(maps)[1], tf.shape(maps)[2]
        count = tf.cast((width - 1) * tf.shape(maps)[3], tf.float32), tf.cast(width * (height - 1), tf.float32)
        down = tf.reduce_sum(tf.square(maps[:, 1:, :, :] - maps[:, : height - 1, :, :]))
        right = tf.reduce_sum(tf.square(maps[:, :, 1:, :] - maps[:, :, : width - 1, :]))
        return light, 2 * (down / count[0] + right / count[1]) / tf.cast(tf.shape(x)[0], tf.float32)


@example(sizes=((4, 6), (9, 5)))
def losses_without_targets():
    x = image()
    return keras.Model(x, Exposure()(x, L.Conv2D(3, 3, padding="same")(x)))


class DualAttention(L.Layer):
    """A map over the pixels from pooled channels, and one over the channels from pooled pixels."""

    def __init__(self, channels):
        super().__init__()
        self.spatial, self.last = L.Conv2D(1, 1, activation="sigmoid"), L.Conv2D(channels, 1)
        self.down, self.up = L.Conv2D(2, 1, activation="relu"), L.Conv2D(channels, 1, activation="sigmoid")

    def call(self, x):
        pooled = tf.concat(
            [tf.expand_dims(tf.reduce_mean(x, -1), -1), tf.expand_dims(tf.reduce_max(x, axis=-1), -1)], -1
        )
        mean = tf.reduce_mean(x, axis=[1, 2])
        weights = self.up(self.down(tf.reshape(mean, shape=(-1, 1, 1, x.shape[-1]))))
        return x + self.last(tf.concat([x * self.spatial(pooled), x * weights], axis=-1))


class Fused(L.Layer):
    """Maps that are mixed by shares which a softmax over them gives."""

    def __init__(self, channels):
        super().__init__()
        self.down = L.Conv2D(2, 1, activation="relu")
        self.each = [L.Conv2D(channels, 1) for _ in range(2)]

    def call(self, maps):
        code = self.down(tf.reduce_mean(tf.add_n(maps), axis=(1, 2), keepdims=True))
        shares = tf.nn.softmax(tf.stack([conv(code) for conv in self.each], axis=-1), axis=-1)
        return sum(one * share for one, share in zip(maps, tf.unstack(shares, axis=-1), strict=True))


@example(sizes=((4, 6), (8, 10)))
def fused_scales():
    x = image(4)
    half = L.Conv2D(4, 3, strides=2, padding="same")(x)
    up = L.Lambda(lambda z: tf.image.resize(z[0], tf.shape(z[1])[1:3]))([DualAttention(4)(half), x])
    return keras.Model(x, Fused(4)([DualAttention(4)(x), up]))


class Styled(L.Layer):
    """The content with the means and deviations of the style."""

    def call(self, content, style):
        def both(x):
            mean, variance = tf.nn.moments(x, axes=[1, 2], keepdims=True)
            return mean, tf.sqrt(variance + 1e-5)

        (mean, deviation), (wanted, spread) = both(content), both(style)
        return spread * (content - mean) / deviation + wanted


@example(sizes=((5, 6), (8, 7)))
def instance_style():
    content, style = image(2), keras.Input((None, None, 2), name="style")
    conv = L.Conv2D(4, 3, activation="relu")
    return keras.Model([content, style], Styled()(conv(content), conv(style)))


class Gram(L.Layer):
    def call(self, x):
        sums = tf.linalg.einsum("bijc,bijd->bcd", x, x)
        shape = tf.shape(x)
        return sums / tf.cast(shape[1] * shape[2], tf.float32)


@example(sizes=((5, 6), (8, 7)))
def gram_matrices():
    x = image(4)
    flipped = L.Lambda(lambda z: z[..., ::-1] - tf.constant([103.9, 116.8, 123.7, 1.0]))(x)
    return keras.Model(x, Gram()(flipped))


class Reflected(L.Layer):
    def __init__(self, padding=(1, 2)):
        super().__init__()
        self.padding = tuple(padding)

    def call(self, x, mask=None):
        width, height = self.padding
        return tf.pad(x, [[0, 0], [height, height], [width, width], [0, 0]], mode="REFLECT")


class InstanceNorm(L.Layer):
    def build(self, shape):
        start = tf.random_normal_initializer(1.0, 0.02)
        self.scale = self.add_weight(name="scale", shape=shape[-1:], initializer=start)
        self.offset = self.add_weight(name="offset", shape=shape[-1:], initializer="zeros")

    def call(self, x):
        mean, variance = tf.nn.moments(x, axes=[1, 2], keepdims=True)
        inverse = tf.math.rsqrt(variance + 1e-5)
        return self.scale * (x - mean) * inverse + self.offset


@example(sizes=((5, 6), (8, 7)))
def reflected_edges():
    x = image()
    y = tf.keras.layers.Activation(tf.nn.leaky_relu)(InstanceNorm()(L.Conv2D(4, 3)(Reflected()(x))))
    return keras.Model(x, L.Conv2DTranspose(2, 3, 2, padding="same")(L.Lambda(tf.math.tanh)(y)))


class Edges(L.Layer):
    """Depth: the gradients of a map, its SSIM to another one, and how smooth it is where the image is."""

    def call(self, x, y):
        down, right = tf.image.image_gradients(x)
        same = tf.reduce_mean(tf.abs(tf.math.exp(-tf.reduce_mean(tf.abs(down))) * right), axis=[1, 2, 3])
        return same, tf.image.ssim(x, y, max_val=2.0, filter_size=5), tf.image.sobel_edges(x)


@example(sizes=((8, 8), (11, 11)))
def edges_of_depth():
    x, y = image(1), keras.Input((None, None, 1), name="target")
    return keras.Model([x, y], Edges()(*(L.Activation("sigmoid")(each) for each in (x, y))))


class Rendered(L.Layer):
    """Colours along rays: places as waves of many frequencies, densities that hide what lies behind."""

    def __init__(self, samples):
        super().__init__()
        self.samples, self.dense, self.last = samples, L.Dense(8), L.Dense(4)

    def waves(self, x):
        parts = [x]
        for power in range(3):
            parts += [function(2.0**power * x) for function in (tf.sin, tf.cos)]
        return tf.concat(parts, axis=-1)

    def call(self, origins, ways):
        depths = tf.linspace(2.0, 6.0, self.samples)
        points = origins[..., None, :] + ways[..., None, :] * depths[..., None]
        found = self.last(tf.nn.relu(self.dense(self.waves(points))))
        colours, density = tf.sigmoid(found[..., :-1]), tf.nn.relu(found[..., -1])
        apart = depths[1:] - depths[:-1]
        apart = tf.concat([apart, tf.broadcast_to([1e10], shape=(1,))], axis=-1)
        opaque = 1.0 - tf.exp(-density * apart)
        through = tf.math.cumprod(1.0 - opaque + 1e-10, axis=-1, exclusive=True)
        weights = opaque * through
        return tf.reduce_sum(weights[..., None] * colours, axis=-2), tf.reduce_sum(weights * depths, axis=-1)


@example()
def rays_through_a_scene():
    origins, ways = keras.Input((None, 3)), keras.Input((None, 3))
    return keras.Model([origins, ways], Rendered(6)(origins, ways))


class Frequencies(L.Layer):
    """A mixing of tokens by the real part of a transform over steps and channels."""

    def call(self, x):
        return tf.math.real(tf.signal.fft2d(tf.cast(x, tf.complex64)))


class FourierBlock(L.Layer):
    def __init__(self, width):
        super().__init__()
        self.mix, self.first, self.second = Frequencies(), L.LayerNormalization(), L.LayerNormalization()
        self.dense = keras.Sequential([L.Dense(2 * width, activation="relu"), L.Dense(width)])

    def call(self, x):
        x = self.first(x + self.mix(x))
        return self.second(x + self.dense(x))


@example()
def fourier_mixing():
    x = keras.Input((6, 4))
    return keras.Model(x, FourierBlock(4)(x))


class Denoised(L.Layer):
    """A filter by a kernel that is no weight: a Gaussian, over each channel."""

    def __init__(self, side, sigma):
        super().__init__()
        places = np.arange(side) - side // 2
        line = np.exp(-(places**2) / (2 * sigma**2))
        kernel = np.outer(line, line) / line.sum() ** 2
        self.kernel = tf.constant(kernel[:, :, None, None], tf.float32)

    def call(self, x):
        kernel = tf.tile(self.kernel, [1, 1, tf.shape(x)[-1], 1])
        blurred = tf.nn.depthwise_conv2d(x, kernel, strides=[1, 1, 1, 1], padding="SAME")
        return tf.clip_by_value(x + (x - blurred) * 1.5, -1.0, 1.0), tf.image.rgb_to_grayscale(blurred)


@example(sizes=((5, 6), (8, 7)))
def sharpened():
    x = image()
    return keras.Model(x, Denoised(3, 1.0)(x))
