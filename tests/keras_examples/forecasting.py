"""Series: recurrences by hand, dilated convolutions, gates that choose, equations that are solved."""

from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf
from keras import layers as L

from keras_examples.registry import example


class SeriesBlock(L.Layer):
    def __init__(self, heads, filters):
        super().__init__()
        self.attention, self.norm = L.MultiHeadAttention(heads, 4), L.LayerNormalization(epsilon=1e-6)
        self.wide, self.filters = L.Conv1D(filters, 1, activation="relu"), filters

    def build(self, shape):
        self.narrow = L.Conv1D(shape[-1], 1)

    def call(self, x):
        x = x + self.norm(self.attention(x, x))
        return x + self.norm(self.narrow(self.wide(x)))


@example()
def series_transformer():
    x = keras.Input((None, 2))
    y = SeriesBlock(2, 4)(x)
    mean = L.Lambda(lambda z: tf.reduce_mean(z, axis=-1))(y)
    return keras.Model(x, [mean, L.GlobalAveragePooling1D(data_format="channels_first")(y)])


class Gated(L.Layer):
    """A dilated causal convolution with a gate, its residual and what it adds to the output."""

    def __init__(self, filters, dilation):
        super().__init__()
        self.dilation, self.filters, self.skip = dilation, filters, L.Conv1D(filters, 1)

    def build(self, shape):
        self.kernel = self.add_weight(shape=(2, shape[-1], 2 * self.filters), name="kernel")

    def call(self, x):
        padded = tf.pad(x, [[0, 0], [self.dilation, 0], [0, 0]])
        both = tf.nn.convolution(padded, self.kernel, padding="VALID", dilations=self.dilation)
        y = tf.tanh(both[..., : self.filters]) * tf.sigmoid(both[..., self.filters :])
        return x + self.skip(y), y


@example()
def dilated_gates():
    x = keras.Input((None, 3))
    total, y = 0, x
    skips = []
    for dilation in (1, 2, 4):
        y, skip = Gated(3, dilation)(y)
        skips.append(skip)
    total = L.Lambda(lambda z: tf.nn.relu(tf.add_n(z)))(skips)
    return keras.Model(x, L.Conv1D(1, 1)(total))


class Residual(L.Layer):
    """A gated residual network."""

    def __init__(self, units):
        super().__init__()
        self.units, self.elu, self.linear = units, L.Dense(units, activation="elu"), L.Dense(units)
        self.glu, self.gate, self.norm = L.Dense(units), L.Dense(units), L.LayerNormalization()

    def build(self, shape):
        if shape[-1] != self.units:
            self.project = L.Dense(self.units)

    def call(self, x):
        y = self.linear(self.elu(x))
        if x.shape[-1] != self.units:
            x = self.project(x)
        return self.norm(x + tf.multiply(self.glu(y), tf.nn.sigmoid(self.gate(y))))


class Chosen(L.Layer):
    """Each feature through a network of its own, and shares of them by another one."""

    def __init__(self, count, units):
        super().__init__()
        self.each, self.all, self.shares = [Residual(units) for _ in range(count)], Residual(units), L.Dense(count)

    def call(self, inputs):
        shares = tf.expand_dims(tf.nn.softmax(self.shares(self.all(tf.concat(inputs, axis=-1)))), axis=-1)
        stacked = tf.stack([net(x) for net, x in zip(self.each, inputs, strict=True)], axis=1)
        return tf.squeeze(tf.matmul(shares, stacked, transpose_a=True), axis=1)


@example()
def chosen_features():
    inputs = [keras.Input((width,)) for width in (2, 3, 4)]
    return keras.Model(inputs, L.Dense(1)(Chosen(3, 4)(inputs)))


class Basis(L.Layer):
    """A trend and seasons as sums of functions that are no weights: back in time and forwards."""

    def __init__(self, back, ahead, degree=2):
        super().__init__()
        grid = np.arange(back + ahead) / ahead
        rows = [grid**power for power in range(degree + 1)]
        rows += [function(2 * np.pi * grid * turn) for turn in (1, 2) for function in (np.cos, np.sin)]
        self.basis, self.back = tf.cast(tf.stack(rows), tf.float32), back
        self.theta = L.Dense(len(rows), use_bias=False)
        self.hidden = [L.Dense(8, activation="relu") for _ in range(2)]

    def call(self, x):
        y = x
        for dense in self.hidden:
            y = dense(y)
        found = tf.matmul(self.theta(y), self.basis)
        return tf.subtract(x, found[:, : self.back]), found[:, self.back :]


@example()
def basis_expansion():
    x = keras.Input((6,))
    rest, first = Basis(6, 3)(x)
    _, second = Basis(6, 3)(rest)
    return keras.Model(x, L.Add()([first, second]))


class Recurrence(L.Layer):
    """An LSTM by hand, in a loop over steps whose number is not known, into a TensorArray."""

    def __init__(self, units):
        super().__init__()
        self.units = units

    def build(self, shape):
        self.w = self.add_weight(shape=(shape[-1] + self.units, 4 * self.units), name="w")
        self.b = self.add_weight(shape=(4 * self.units,), name="b")

    def call(self, x):
        batch, steps = tf.shape(x)[0], tf.shape(x)[1]
        zeros = tf.zeros((batch, self.units), dtype=x.dtype)
        out = tf.TensorArray(x.dtype, size=steps)

        def body(step, h, c, out):
            gates = tf.matmul(tf.concat([x[:, step], h], axis=1), self.w) + self.b
            i, f, g, o = tf.split(gates, 4, axis=1)
            c = tf.sigmoid(f + 1.0) * c + tf.sigmoid(i) * tf.tanh(g)
            h = tf.sigmoid(o) * tf.tanh(c)
            return step + 1, h, c, out.write(step, h)

        _, h, c, out = tf.while_loop(lambda step, *_: tf.less(step, steps), body, [tf.constant(0), zeros, zeros, out])
        return tf.transpose(out.stack(), [1, 0, 2]), h, c


@example()
def recurrence_in_a_loop():
    x = keras.Input((None, 3))
    return keras.Model(x, Recurrence(4)(x))


class Unrolled(keras.Model):
    """A warm-up, then as many steps ahead as are asked for, each from the one before it."""

    def __init__(self, ahead):
        super().__init__()
        self.ahead, self.cell = ahead, L.LSTMCell(5)
        self.lstm, self.dense = L.RNN(self.cell, return_state=True), L.Dense(3)

    def call(self, x, training=None):
        y, *state = self.lstm(x)
        found = [self.dense(y)]
        for _ in range(1, self.ahead):
            y, state = self.cell(found[-1], states=state, training=training)
            found.append(self.dense(y))
        return tf.transpose(tf.stack(found), [1, 0, 2])


@example()
def steps_ahead():
    x = keras.Input((None, 3))
    return keras.Model(x, Unrolled(3)(x))


class Solver(L.Layer):
    """An equation for the change of a state, solved by four evaluations a step."""

    def __init__(self, units, steps):
        super().__init__()
        self.steps, self.dense = steps, [L.Dense(units, activation="tanh"), L.Dense(units)]

    def build(self, shape):
        for dense in self.dense:
            dense.build(shape)

    def change(self, y):
        return self.dense[1](self.dense[0](y))

    def call(self, x):
        h = tf.constant(0.1)

        def step(time, y):
            a = self.change(y)
            b = self.change(y + h / 2 * a)
            c = self.change(y + h / 2 * b)
            d = self.change(y + h * c)
            return time + h, y + h / 6 * (a + 2 * b + 2 * c + d)

        end = h * (self.steps - 0.5)
        return tf.while_loop(lambda time, y: time < end, step, (tf.constant(0.0), x))


@example()
def solved_equations():
    x = keras.Input((3,))
    return keras.Model(x, Solver(3, 5)(x)[1])


class Halted(L.Layer):
    """Rounds until all rows are sure, or there were enough."""

    def __init__(self, units):
        super().__init__()
        self.dense, self.stop, self.units = L.Dense(units, activation="tanh"), L.Dense(1), units

    def build(self, shape):
        self.dense.build(shape)
        self.stop.build(shape)

    def call(self, x):
        def more(turn, y, sure):
            return tf.logical_and(turn < 6, tf.reduce_any(sure < 0.9))

        def body(turn, y, sure):
            y = tf.where(sure < 0.9, self.dense(y) + 0.1 * tf.cast(turn, tf.float32), y)
            return turn + 1, y, sure + tf.sigmoid(self.stop(y)) * (1.0 - sure)

        return tf.while_loop(more, body, (tf.constant(0), x, tf.zeros_like(x[:, :1])))


@example()
def rounds_until_sure():
    x = keras.Input((4,))
    return keras.Model(x, Halted(4)(x))


class Periods(L.Layer):
    """A linear and many periodic features of time."""

    def build(self, shape):
        self.w0 = self.add_weight(shape=(shape[1], 1), name="w0")
        self.w = self.add_weight(shape=(shape[-1], 3), name="w")
        self.p = self.add_weight(shape=(1, shape[1], 3), name="p")

    def call(self, x):
        linear = tf.reduce_mean(x, -1, keepdims=True) * self.w0
        return tf.concat([linear, tf.math.sin(tf.tensordot(x, self.w, [[2], [0]]) + self.p)], -1)


@example()
def periods_of_time():
    x = keras.Input((5, 2))
    return keras.Model(x, Periods()(x))


class Moving(L.Layer):
    """Trend and season: a moving mean with its ends repeated, and the rest."""

    def call(self, x):
        padded = tf.concat([tf.repeat(x[:, :1], 2, axis=1), x, tf.repeat(x[:, -1:], 2, axis=1)], axis=1)
        trend = tf.nn.avg_pool1d(padded, ksize=5, strides=1, padding="VALID")
        scale = tf.stop_gradient(tf.reduce_max(tf.abs(x), axis=1, keepdims=True))
        return trend, tf.math.divide_no_nan(x - trend, scale), tf.roll(x, 1, axis=1)


@example()
def trend_and_season():
    x = keras.Input((None, 3))
    return keras.Model(x, Moving()(x))


class Quantiles(L.Layer):
    """Quantiles that do not cross, and the loss of each."""

    def call(self, x, target):
        first, rest = x[..., :1], tf.math.softplus(x[..., 1:])
        found = tf.cumsum(tf.concat([first, rest], -1), axis=-1)
        shares = tf.constant([0.1, 0.5, 0.9])
        error = tf.expand_dims(target, -1) - found
        return found, tf.reduce_mean(tf.maximum(shares * error, (shares - 1.0) * error), axis=[1])


@example(sizes=((5, 5), (8, 8)))
def quantiles():
    x, target = keras.Input((None, 4)), keras.Input((None,))
    return keras.Model([x, target], Quantiles()(L.Dense(3)(x), target))
