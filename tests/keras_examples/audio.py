"""Sound: spectra, mel bands, recognition of speech."""

from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf
from keras import layers as L

from keras_examples.registry import example

LENGTHS = ((64,), (90,))


class MelSpectrum(L.Layer):
    """Decibels of mel bands of a wave."""

    def __init__(self, length=16, step=8, bands=5, rate=800, top=80.0):
        super().__init__()
        self.length, self.step, self.top = length, step, top
        self.bands = tf.signal.linear_to_mel_weight_matrix(
            num_mel_bins=bands,
            num_spectrogram_bins=length // 2 + 1,
            sample_rate=rate,
            lower_edge_hertz=20.0,
            upper_edge_hertz=350.0,
        )

    def call(self, waves):
        spectra = tf.signal.stft(waves, self.length, self.step, fft_length=self.length, pad_end=True)
        power = tf.math.square(tf.abs(spectra))
        mel = tf.matmul(power, self.bands)
        floor = tf.maximum(tf.reduce_max(mel, axis=(1, 2), keepdims=True), 1e-10)
        decibels = 10.0 * tf.math.log(tf.maximum(mel, 1e-10) / floor) / tf.math.log(10.0)
        return tf.expand_dims(tf.maximum(decibels, tf.reduce_max(decibels) - self.top), -1)


@example(sizes=LENGTHS)
def mel_spectrum():
    x = keras.Input((None,), name="wave")
    return keras.Model(x, L.GlobalAveragePooling2D()(L.Conv2D(3, 3, padding="same")(MelSpectrum()(x))))


class Cepstrum(L.Layer):
    def call(self, x):
        mean = tf.math.reduce_mean(x, axis=1, keepdims=True)
        x = (x - mean) / (tf.math.reduce_std(x, axis=1, keepdims=True) + 1e-6)
        return tf.signal.dct(x, type=2, norm="ortho")[..., :4]


@example(sizes=LENGTHS)
def cepstral_coefficients():
    x = keras.Input((None,), name="wave")
    bands = L.Lambda(lambda z: tf.math.log(tf.abs(tf.signal.stft(z, 16, 8))[..., :8] + 1e-3))(x)
    return keras.Model(x, Cepstrum()(bands))


class HalfSpectrum(L.Layer):
    """How strong each frequency is in a sound of one channel."""

    def call(self, x):
        x = tf.squeeze(x, axis=-1)
        spectrum = tf.signal.fft(tf.cast(tf.complex(real=x, imag=tf.zeros_like(x)), tf.complex64))
        return tf.expand_dims(tf.math.abs(spectrum[:, : (x.shape[1] // 2)]), axis=-1)


@example()
def strengths_of_frequencies():
    x = keras.Input((32, 1))
    y = HalfSpectrum()(x)
    y = L.Conv1D(4, 3, padding="same", activation="relu")(y) + L.Conv1D(4, 1, padding="same")(y)
    return keras.Model(x, L.Dense(3)(L.Flatten()(L.MaxPool1D(2, 2)(y))))


class Filtered(L.Layer):
    """A sound without its high frequencies, there and back."""

    def call(self, x):
        spectrum = tf.signal.rfft(x)
        kept = tf.cast(tf.range(tf.shape(spectrum)[-1]) < 5, tf.complex64)
        return tf.signal.irfft(spectrum * kept)


@example()
def filtered_sound():
    x = keras.Input((16,))
    return keras.Model(x, Filtered()(x))


class Speech(L.Layer):
    """Spectra as images, in time a quarter as long, as vectors of a sequence."""

    def __init__(self):
        super().__init__()
        self.first = L.Conv2D(4, [5, 3], strides=[2, 2], padding="same", use_bias=False)
        self.second, self.gru = (
            L.Conv2D(4, [5, 3], strides=[2, 1], padding="same"),
            L.Bidirectional(L.GRU(3, return_sequences=True)),
        )

    def call(self, x):
        y = tf.nn.relu(self.second(tf.nn.relu(self.first(tf.expand_dims(x, axis=-1)))))
        y = tf.reshape(y, (-1, tf.shape(y)[1], y.shape[-2] * y.shape[-1]))
        return tf.nn.softmax(self.gru(y))


@example(sizes=((12,), (17,)))
def spectra_to_letters():
    x = keras.Input((None, 6))
    return keras.Model(x, L.Dense(5, activation="softmax")(Speech()(x)))


class Letters(L.Layer):
    """The likeliest letters, blanks and repeats as -1."""

    def call(self, x):
        found = tf.argmax(x, axis=-1, output_type=tf.int32)
        same = tf.concat([tf.zeros_like(found[:, :1], tf.bool), tf.equal(found[:, 1:], found[:, :-1])], axis=1)
        dropped = tf.math.logical_or(same, tf.equal(found, x.shape[-1] - 1))
        return tf.where(dropped, -tf.ones_like(found), found)


@example()
def letters_of_steps():
    x = keras.Input((None, 5))
    return keras.Model(x, Letters()(L.Dense(4, activation="softmax")(x)))


class Decoded(L.Layer):
    """A search of TensorFlow's own, whose result is as long as the data say."""

    def call(self, x):
        steps = tf.fill([tf.shape(x)[0]], tf.shape(x)[1])
        (found,), _ = tf.nn.ctc_greedy_decoder(tf.transpose(x, [1, 0, 2]), steps)
        return tf.sparse.to_dense(found, default_value=-1)


@example(refused="the search of CTC")
def decoded_by_a_search():
    x = keras.Input((None, 5))
    return keras.Model(x, Decoded()(x))


class ConvBlock(L.Layer):
    """The convolution of a conformer: a gated linear unit, each channel on its own, swish."""

    def __init__(self, width):
        super().__init__()
        self.wide, self.narrow, self.norm = L.Dense(2 * width), L.Dense(width), L.BatchNormalization()

    def build(self, shape):
        self.kernel = self.add_weight(shape=(1, 3, shape[-1], 1), name="kernel")

    def call(self, x):
        a, b = tf.split(self.wide(x), 2, axis=-1)
        y = tf.expand_dims(a * tf.nn.sigmoid(b), axis=1)
        y = tf.squeeze(tf.nn.depthwise_conv2d(y, self.kernel, [1, 1, 1, 1], "SAME"), axis=1)
        return x + self.narrow(tf.nn.silu(self.norm(y)))


class RelativeHeads(L.Layer):
    """Scores by content and by distance; those of distances are shifted into place by padding and reshaping."""

    def __init__(self, heads, size):
        super().__init__()
        self.heads, self.size = heads, size
        self.q, self.k, self.v, self.p, self.out = (L.Dense(heads * size, use_bias=False) for _ in range(5))

    def build(self, shape):
        self.u = self.add_weight(shape=(self.heads, self.size), name="u")
        self.w = self.add_weight(shape=(self.heads, self.size), name="w")
        self.width = shape[-1]

    def places(self, length):
        steps = tf.cast(tf.range(length - 1, -length, -1), tf.float32)
        speeds = tf.pow(10000.0, -tf.range(0, self.width, 2, dtype=tf.float32) / self.width)
        angles = steps[:, None] * speeds[None]
        return tf.concat([tf.sin(angles), tf.cos(angles)], axis=-1)

    def split(self, x):
        return tf.reshape(x, tf.concat([tf.shape(x)[:-1], [self.heads, self.size]], axis=0))

    def call(self, x):
        batch, length = tf.shape(x)[0], tf.shape(x)[1]
        q, k, v = self.split(self.q(x)), self.split(self.k(x)), self.split(self.v(x))
        p = self.split(self.p(self.places(length)))
        content = tf.einsum("bqhd,bkhd->bhqk", q + self.u, k)
        apart = tf.einsum("bqhd,phd->bhqp", q + self.w, p)
        shape = tf.shape(apart)
        apart = tf.pad(apart, [[0, 0], [0, 0], [0, 0], [1, 0]])
        apart = tf.reshape(apart, [shape[0], shape[1], shape[3] + 1, shape[2]])[:, :, 1:]
        apart = tf.reshape(apart, shape)[:, :, :, : shape[3] // 2 + 1]
        weights = tf.nn.softmax((content + apart) / np.sqrt(self.size))
        return self.out(tf.reshape(tf.einsum("bhqk,bkhd->bqhd", weights, v), [batch, length, self.heads * self.size]))


@example()
def conformer():
    x = keras.Input((None, 6))
    return keras.Model(x, ConvBlock(6)(x + RelativeHeads(2, 3)(x)))


class WeightNormed(L.Layer):
    """A transposed convolution whose kernel is a direction and a length."""

    def __init__(self, filters, factor):
        super().__init__()
        self.filters, self.factor = filters, factor

    def build(self, shape):
        self.v = self.add_weight(shape=(2 * self.factor, self.filters, shape[-1]), name="v")
        self.g = self.add_weight(shape=(1, self.filters, 1), name="g")
        self.bias = self.add_weight(shape=(self.filters,), name="bias")

    def call(self, x):
        kernel = tf.nn.l2_normalize(self.v, axis=[0, 2]) * self.g
        shape = tf.shape(x)
        size = tf.stack([shape[0], shape[1] * self.factor, self.filters])
        y = tf.nn.conv1d_transpose(x, kernel, output_shape=size, strides=self.factor, padding="SAME")
        return tf.nn.leaky_relu(tf.nn.bias_add(y, self.bias), alpha=0.2)


@example()
def vocoder():
    x = keras.Input((None, 3))
    return keras.Model(x, L.Conv1D(1, 3, padding="same", activation="tanh")(WeightNormed(4, 2)(x)))


class Overlapping(L.Layer):
    """Frames of a wave under a window, each changed, then added where they overlap."""

    def __init__(self):
        super().__init__()
        self.dense, self.window = L.Dense(8), tf.signal.hann_window(8)

    def call(self, x):
        frames = tf.signal.frame(x, 8, 4) * self.window
        return tf.signal.overlap_and_add(self.dense(frames), 4)


@example(sizes=((40,), (52,)))
def overlapping_frames():
    x = keras.Input((None,))
    return keras.Model(x, Overlapping()(x))


class Augmented(L.Layer):
    """Bands of spectra are hidden in training; otherwise the layer does nothing."""

    def call(self, x, training=False):
        if not training:
            return x
        start = tf.random.uniform([], 0, x.shape[-1] - 2, dtype=tf.int32)
        band = tf.range(x.shape[-1])
        return tf.where((band >= start) & (band < start + 2), 0.0, x)


@example()
def bands_hidden_in_training():
    x = keras.Input((None, 6))
    return keras.Model(x, L.LSTM(3)(Augmented()(x)))
