"""Models that make images and data: autoencoders, adversarial networks, diffusion, flows."""

from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf
from keras import layers as L

from keras_examples.registry import example, image


class Sampling(L.Layer):
    def call(self, inputs):
        mean, log_variance = inputs
        shape = tf.shape(mean)
        return mean + tf.exp(0.5 * log_variance) * tf.random.normal(shape=(shape[0], shape[1]))


def latents(x):
    y = L.Dense(6, activation="relu")(L.Flatten()(x))
    return L.Dense(3, name="mean")(y), L.Dense(3, name="log_variance")(y)


@example(refused="tf.random.normal")
def variational_sampling():
    x = image(1, size=6)
    return keras.Model(x, Sampling()(latents(x)))


class GivenNoise(L.Layer):
    def call(self, inputs):
        mean, log_variance, noise = inputs
        kept = -0.5 * (1 + log_variance - tf.square(mean) - tf.exp(log_variance))
        return mean + tf.exp(0.5 * log_variance) * noise, tf.reduce_mean(tf.reduce_sum(kept, axis=1))


@example()
def variational_with_noise():
    x, noise = image(1, size=6), keras.Input((3,))
    code, divergence = GivenNoise()([*latents(x), noise])
    y = L.Reshape((3, 3, 2))(L.Dense(18, activation="relu")(code))
    return keras.Model([x, noise], [L.Conv2DTranspose(1, 3, 2, activation="sigmoid", padding="same")(y), divergence])


class Codebook(L.Layer):
    """The nearest of some vectors; gradients pass as if nothing were changed."""

    def __init__(self, count, width):
        super().__init__()
        self.count, self.width = count, width
        start = tf.random_uniform_initializer()
        self.table = tf.Variable(start(shape=(width, count), dtype="float32"), trainable=True, name="table")

    def nearest(self, flat):
        similar = tf.matmul(flat, self.table)
        apart = tf.reduce_sum(flat**2, axis=1, keepdims=True) + tf.reduce_sum(self.table**2, axis=0) - 2 * similar
        return tf.argmin(apart, axis=1)

    def call(self, x):
        flat = tf.reshape(x, [-1, self.width])
        places = tf.one_hot(self.nearest(flat), self.count)
        chosen = tf.reshape(tf.matmul(places, self.table, transpose_b=True), tf.shape(x))
        self.add_loss(tf.reduce_mean((tf.stop_gradient(chosen) - x) ** 2))
        return x + tf.stop_gradient(chosen - x)


@example(sizes=((4, 6), (7, 5)))
def quantized_vectors():
    x = image()
    y = Codebook(5, 4)(L.Conv2D(4, 3, padding="same")(x))
    return keras.Model(x, L.Conv2D(1, 3, padding="same")(y))


class Conditioned(keras.Model):
    """A generator and a discriminator that see a class, as channels of ones and zeros."""

    def __init__(self):
        super().__init__()
        self.start, self.up = L.Dense(3 * 3 * 4), L.Conv2DTranspose(1, 4, 2, padding="same", activation="tanh")
        self.judge = keras.Sequential(
            [L.Conv2D(4, 3, 2, padding="same"), L.LeakyReLU(0.2), L.GlobalMaxPool2D(), L.Dense(1)]
        )

    def call(self, inputs):
        noise, labels = inputs
        hot = tf.one_hot(tf.squeeze(labels, -1), 7)
        pictures = tf.nn.leaky_relu(tf.reshape(self.start(tf.concat([noise, hot], axis=1)), (-1, 3, 3, 4)))
        pictures = self.up(pictures)
        planes = tf.repeat(hot[:, :, None, None], repeats=[6 * 6])
        planes = tf.reshape(planes, (-1, 6, 6, 7))
        return pictures, self.judge(tf.concat([pictures, planes], -1))


@example()
def conditional_generator():
    noise, labels = keras.Input((5,)), keras.Input((1,), dtype="int32")
    return keras.Model([noise, labels], Conditioned()([noise, labels]))


class Equalized(L.Layer):
    """A convolution whose weights are scaled at each call, and modulated by a style."""

    def __init__(self, channels):
        super().__init__()
        self.channels, self.style = channels, L.Dense(4, bias_initializer="ones")

    def build(self, shapes):
        self.kernel = self.add_weight(shape=[3, 3, 4, self.channels], name="kernel")
        self.scale = tf.sqrt(2.0 / (3 * 3 * 4))

    def call(self, inputs):
        x, w = inputs
        shape = tf.shape(x)
        kernel = self.scale * self.kernel[None] * self.style(w)[:, None, None, :, None]
        kernel = kernel * tf.math.rsqrt(tf.reduce_sum(kernel**2, axis=[1, 2, 3], keepdims=True) + 1e-8)

        def one(pair):
            picture, own = pair
            return tf.nn.conv2d(picture[None], own, strides=1, padding="SAME")[0]

        y = tf.map_fn(one, (x, kernel), fn_output_signature=tf.float32)
        return tf.reshape(y, [shape[0], shape[1], shape[2], self.channels])


def pixel_norm(x):
    return x * tf.math.rsqrt(tf.reduce_mean(x**2, axis=-1, keepdims=True) + 1e-8)


class Deviation(L.Layer):
    """The deviation among the rows of the batch, as one more channel."""

    def call(self, x):
        shape = tf.shape(x)
        mean = tf.reduce_mean(x, axis=0, keepdims=True)
        spread = tf.reduce_mean(tf.sqrt(tf.reduce_mean(tf.square(x - mean), axis=0, keepdims=True) + 1e-8))
        return tf.concat([x, tf.tile(tf.reshape(spread, (1, 1, 1, 1)), [shape[0], shape[1], shape[2], 1])], axis=-1)


@example(sizes=((4, 6), (7, 5)))
def modulated_convolution():
    x, w = image(4), keras.Input((5,), name="w")
    y = Equalized(3)([L.Lambda(pixel_norm)(x), L.Dense(5)(w)])
    return keras.Model([x, w], Deviation()(y))


class NoisyScale(L.Layer):
    """Noise on a picture at each call, which no file of a network can hold."""

    def build(self, shape):
        self.amount = self.add_weight(shape=(1,), name="amount")

    def call(self, x):
        return x + self.amount * tf.random.normal([tf.shape(x)[0], 1, 1, 1])


@example(refused="draws random numbers")
def noise_at_each_call():
    x = image(size=4)
    return keras.Model(x, NoisyScale()(x))


def waves(x):
    least, most, width = 1.0, 1000.0, 8
    frequencies = tf.exp(tf.linspace(tf.math.log(least), tf.math.log(most), width // 2))
    speeds = 2.0 * np.pi * frequencies
    return tf.concat([tf.sin(speeds * x), tf.cos(speeds * x)], axis=3)


class Schedule(L.Layer):
    """One step back in a diffusion: rates of signal and noise by angles, and what was the picture."""

    def __init__(self, network):
        super().__init__()
        self.network = network

    def rates(self, times):
        start, end = tf.acos(0.95), tf.acos(0.02)
        angles = start + times * (end - start)
        return tf.sin(angles), tf.cos(angles)

    def call(self, pictures, times):
        noise, signal = self.rates(times)
        found = self.network([pictures, noise**2])
        clean = (pictures - noise * found) / signal
        noise, signal = self.rates(times - 0.05)
        return signal * clean + noise * found


@example()
def diffusion_step():
    x, variance = image(size=8), keras.Input((1, 1, 1), name="variance")
    y = L.UpSampling2D(8, interpolation="nearest")(L.Lambda(waves, output_shape=(1, 1, 8))(variance))
    y = L.Concatenate()([L.Conv2D(4, 1)(x), y])
    y = L.Conv2D(3, 3, padding="same", activation=keras.activations.swish)(
        L.BatchNormalization(center=False, scale=False)(y)
    )
    network = keras.Model([x, variance], y)
    noisy, times = image(size=8), keras.Input((1, 1, 1), name="times")
    return keras.Model([noisy, times], Schedule(network)(noisy, L.Lambda(tf.sigmoid)(times)))


class Spade(L.Layer):
    """A normalization whose scales and shifts are maps, made of a mask of any other size."""

    def __init__(self, channels):
        super().__init__()
        self.conv, self.gamma, self.beta = (L.Conv2D(n, 3, padding="same") for n in (5, channels, channels))

    def build(self, shape):
        self.size = shape[1:3]

    def call(self, x, mask):
        seen = tf.nn.relu(self.conv(tf.image.resize(mask, self.size, method="nearest")))
        mean, variance = tf.nn.moments(x, axes=(0, 1, 2), keepdims=True)
        x = (x - mean) / tf.sqrt(variance + 1e-5)
        return self.gamma(seen) * x + self.beta(seen)


@example(sizes=((5, 6), (9, 3)))
def maps_that_normalize():
    x, mask = image(4, size=6), keras.Input((None, None, 2), name="mask")
    return keras.Model([x, mask], L.Conv2D(3, 3)(Spade(4)(x, mask)))


class MaskedConv(L.Layer):
    """A convolution that sees only the pixels before its own."""

    def __init__(self, kind, **kwargs):
        super().__init__()
        self.kind, self.conv = kind, L.Conv2D(**kwargs)

    def build(self, shape):
        self.conv.build(shape)
        mask = np.zeros(self.conv.kernel.shape, "float32")
        rows, columns = mask.shape[:2]
        mask[: rows // 2], mask[rows // 2, : columns // 2] = 1.0, 1.0
        if self.kind == "B":
            mask[rows // 2, columns // 2] = 1.0
        self.mask = mask

    def call(self, x):
        self.conv.kernel.assign(self.conv.kernel * self.mask)
        return self.conv(x)


class MaskedKernel(MaskedConv):
    def call(self, x):
        y = tf.nn.convolution(x, self.conv.kernel * self.mask, padding="SAME")
        return tf.nn.relu(y + self.conv.bias)


@example(sizes=((5, 6), (9, 3)))
def pixels_in_order():
    x = image(1)
    y = MaskedKernel("A", filters=4, kernel_size=5)(x)
    y = y + MaskedKernel("B", filters=4, kernel_size=3)(y)
    return keras.Model(x, L.Conv2D(1, 1, activation="sigmoid")(y))


@example(sizes=((5, 6), (9, 3)), refused="assigns the weight")
def weights_changed_by_a_call():
    x = image(1)
    return keras.Model(x, MaskedConv("A", filters=4, kernel_size=3, padding="same")(x))


class Flow(keras.Model):
    """Couplings with masks, run backwards, and the log of the determinant."""

    def __init__(self, count):
        super().__init__()
        self.count, self.masks = count, tf.constant([[0, 1], [1, 0]] * (count // 2), dtype="float32")
        self.scales = [
            keras.Sequential([L.Dense(4, activation="relu"), L.Dense(2, activation="tanh")]) for _ in range(count)
        ]
        self.shifts = [keras.Sequential([L.Dense(4, activation="relu"), L.Dense(2)]) for _ in range(count)]

    def call(self, x, training=False):
        total, way = 0, -1 if not training else 1
        for i in range(self.count)[::way]:
            masked = x * self.masks[i]
            rest = 1 - self.masks[i]
            s, t = self.scales[i](masked) * rest, self.shifts[i](masked) * rest
            gate = (way - 1) / 2
            x = rest * (x * tf.exp(way * s) + way * t * tf.exp(gate * s)) + masked
            total += gate * tf.reduce_sum(s, axis=1)
        return x, total


@example()
def coupled_flow():
    x = keras.Input((2,))
    return keras.Model(x, Flow(4)(x))


class Masked(L.Layer):
    """An autoencoder of patches, some of which are hidden by noise that is given: sorted, gathered, put back."""

    def __init__(self, kept):
        super().__init__()
        self.kept = kept

    def build(self, shapes):
        self.token = self.add_weight(shape=(1, shapes[0][-1]), name="token")

    def call(self, inputs):
        patches, noise = inputs
        count, total = tf.shape(patches)[0], tf.shape(patches)[1]
        order = tf.argsort(noise, axis=-1)
        shown, hidden = order[:, : self.kept], order[:, self.kept :]
        seen = tf.gather(patches, shown, axis=1, batch_dims=1)
        tokens = tf.repeat(tf.repeat(self.token, repeats=total - self.kept, axis=0)[tf.newaxis], repeats=count, axis=0)
        back = tf.argsort(tf.concat([shown, hidden], axis=1))
        return tf.gather(tf.concat([seen, tokens], axis=1), back, axis=1, batch_dims=1), tf.reduce_sum(
            tf.one_hot(hidden, total), axis=1
        )


@example()
def hidden_patches():
    patches, noise = keras.Input((None, 4)), keras.Input((None,))
    return keras.Model([patches, noise], Masked(3)([L.Dense(4)(patches), noise]))


class Critic(L.Layer):
    """The gradient of a score by the picture, which is asked for in the call itself."""

    def __init__(self):
        super().__init__()
        self.dense = L.Dense(1)

    def call(self, x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            score = self.dense(tf.nn.tanh(x))
        return tf.norm(tape.gradient(score, x), axis=-1)


@example(refused="TanhGrad is of a gradient")
def gradients_in_a_call():
    x = keras.Input((4,))
    return keras.Model(x, Critic()(x))
