"""Rows of features: crosses, embeddings, forests, recommendations, policies."""

from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf
from keras import layers as L

from keras_examples.registry import example

COUNT = 7


class Cross(L.Layer):
    def build(self, shape):
        self.w = self.add_weight(shape=(shape[-1], shape[-1]), name="w")
        self.b = self.add_weight(shape=(shape[-1],), name="b")

    def call(self, x0, x):
        return x0 * (tf.matmul(x, self.w) + self.b) + x


@example()
def deep_and_cross():
    x, kind = keras.Input((4,)), keras.Input((), dtype="int32")
    hot = L.Lambda(lambda z: tf.one_hot(z, COUNT, on_value=1.0, off_value=0.0), output_shape=(COUNT,))(kind)
    wide = L.Concatenate()([x, hot])
    crossed = Cross()(wide, Cross()(wide, wide))
    return keras.Model([x, kind], L.Dense(1, activation=tf.nn.sigmoid)(L.Concatenate()([crossed, L.Dense(4)(wide)])))


class Factorized(L.Layer):
    """Products of all pairs of embedded features, in linear time, and those of each pair."""

    def __init__(self):
        super().__init__()
        self.linear, self.table = L.Embedding(COUNT, 1), L.Embedding(COUNT, 4)

    def call(self, ids):
        x = self.table(ids)
        pairs = 0.5 * tf.reduce_sum(tf.square(tf.reduce_sum(x, 1)) - tf.reduce_sum(tf.square(x), 1), axis=1)
        products = tf.matmul(x, x, transpose_b=True)
        rows, columns = np.triu_indices(ids.shape[1], 1)
        flat = tf.reshape(products, [-1, ids.shape[1] ** 2])
        each = tf.gather(flat, rows * ids.shape[1] + columns, axis=1)
        return tf.squeeze(tf.reduce_sum(self.linear(ids), 1), -1) + pairs, each


@example()
def factorization_machine():
    ids = keras.Input((4,), dtype="int64")
    return keras.Model(ids, Factorized()(ids))


class TableTransformer(L.Layer):
    """Categories as a sequence of vectors, numbers beside them."""

    def __init__(self, kinds, width):
        super().__init__()
        self.tables = [L.Embedding(COUNT, width) for _ in range(kinds)]
        self.heads, self.norm, self.places = (
            L.MultiHeadAttention(2, width),
            L.LayerNormalization(),
            L.Embedding(kinds, width),
        )

    def call(self, kinds, numbers):
        x = tf.stack([table(kinds[:, place]) for place, table in enumerate(self.tables)], axis=1)
        x = x + self.places(tf.range(start=0, limit=len(self.tables), delta=1))
        x = self.norm(x + self.heads(x, x))
        return tf.concat([tf.reshape(x, [-1, x.shape[1] * x.shape[2]]), numbers], axis=-1)


@example()
def table_transformer():
    kinds, numbers = keras.Input((3,), dtype="int32"), keras.Input((2,))
    return keras.Model([kinds, numbers], L.Dense(1)(TableTransformer(3, 4)(kinds, numbers)))


class Tree(L.Layer):
    """A tree whose decisions are soft: chances of leaves, level by level."""

    def __init__(self, depth, features, used, classes):
        super().__init__()
        self.depth, self.leaves, self.classes = depth, 2**depth, classes
        chosen = np.random.default_rng(0).choice(features, used, replace=False)
        self.mask = np.eye(features, dtype="float32")[chosen]
        self.decide = L.Dense(self.leaves, activation="sigmoid")
        start = tf.random_normal_initializer()
        self.pi = tf.Variable(start(shape=[self.leaves, self.classes]), dtype="float32", trainable=True)

    def call(self, x):
        batch = tf.shape(x)[0]
        x = tf.matmul(x, self.mask, transpose_b=True)
        decisions = tf.expand_dims(self.decide(x), axis=2)
        decisions = tf.concat([decisions, 1 - decisions], axis=2)
        mu, begin, end = tf.ones([batch, 1, 1]), 1, 2
        for level in range(self.depth):
            mu = tf.reshape(mu, [batch, -1, 1])
            mu = tf.tile(mu, (1, 1, 2))
            mu = mu * decisions[:, begin:end, :]
            begin, end = end, end + 2 ** (level + 1)
        return tf.matmul(tf.reshape(mu, [batch, self.leaves]), tf.nn.softmax(self.pi))


class Forest(keras.Model):
    def __init__(self, trees):
        super().__init__()
        self.trees = [Tree(2, 6, 4, 3) for _ in range(trees)]

    def call(self, x):
        total = tf.zeros([tf.shape(x)[0], 3])
        for tree in self.trees:
            total += tree(x)
        return total / len(self.trees)


@example()
def soft_forest():
    x = keras.Input((6,))
    return keras.Model(x, Forest(2)(L.BatchNormalization()(x)))


class Recommender(keras.Model):
    """Vectors of users and of films, and their biases; the sum of products is one number for the batch."""

    def __init__(self, width):
        super().__init__()
        self.users, self.films = L.Embedding(COUNT, width), L.Embedding(COUNT, width)
        self.user_bias, self.film_bias = L.Embedding(COUNT, 1), L.Embedding(COUNT, 1)

    def call(self, inputs):
        user, film = self.users(inputs[:, 0]), self.films(inputs[:, 1])
        dot = tf.tensordot(user, film, 2)
        return tf.nn.sigmoid(dot + self.user_bias(inputs[:, 0]) + self.film_bias(inputs[:, 1]))


@example()
def collaborative_filtering():
    x = keras.Input((2,), dtype="int64")
    return keras.Model(x, Recommender(3)(x))


class Behaviour(L.Layer):
    """A target film in the row of films that were seen, weighed by how they were rated."""

    def __init__(self, length, width):
        super().__init__()
        self.table, self.places, self.length = L.Embedding(COUNT, width), L.Embedding(length, width), length
        self.kinds = tf.constant(np.random.default_rng(0).integers(0, 2, (COUNT, 3)), tf.float32)
        self.dense, self.heads = L.Dense(width, activation="relu"), L.MultiHeadAttention(2, width)

    def encoded(self, ids):
        kinds = tf.nn.embedding_lookup(self.kinds, tf.cast(ids, tf.int32))
        return self.dense(tf.concat([self.table(ids), kinds], axis=-1))

    def call(self, films, ratings, target):
        y = self.encoded(films) + self.places(tf.range(self.length))
        y = tf.multiply(y, tf.expand_dims(ratings, -1))
        parts = [*tf.unstack(y, axis=1), self.encoded(target)]
        y = L.concatenate([tf.expand_dims(part, 1) for part in parts], axis=1)
        return tf.reshape(self.heads(y, y), [-1, (self.length + 1) * y.shape[-1]])


@example()
def behaviour_sequence():
    films, ratings = keras.Input((4,), dtype="int32"), keras.Input((4,))
    target = keras.Input((), dtype="int32")
    return keras.Model([films, ratings, target], L.Dense(1)(Behaviour(4, 4)(films, ratings, target)))


class Retrieval(L.Layer):
    """The best of all candidates for a query, which are a table."""

    def __init__(self, width, best):
        super().__init__()
        self.best, self.query = best, L.Dense(width)
        self.table = tf.constant(np.random.default_rng(1).normal(size=(9, width)), tf.float32)
        self.ids = tf.range(100, 109, dtype=tf.int64)

    def call(self, x):
        scores = tf.linalg.matmul(self.query(x), self.table, transpose_b=True)
        values, places = tf.math.top_k(scores, k=self.best)
        return values, tf.gather(self.ids, places), tf.math.in_top_k(places[:, 0], scores, 2)


@example()
def best_candidates():
    x = keras.Input((5,))
    return keras.Model(x, Retrieval(4, 3)(x))


class Hashed(L.Layer):
    """One vector of two smaller tables: by the rest and by the quotient of an id."""

    def __init__(self, buckets, width):
        super().__init__()
        self.buckets, self.rest, self.quotient = buckets, L.Embedding(buckets, width), L.Embedding(buckets, width)

    def build(self, shape):
        self.factor = self.add_weight(shape=(COUNT, 1), initializer="ones", name="factor")

    def call(self, ids):
        rest, quotient = tf.math.floormod(ids, self.buckets), tf.math.floordiv(ids, self.buckets)
        both = tf.multiply(self.rest(rest), self.quotient(tf.minimum(quotient, self.buckets - 1)))
        return both * tf.nn.embedding_lookup(self.factor, ids)


@example()
def small_tables():
    ids = keras.Input((None,), dtype="int32")
    return keras.Model(ids, Hashed(3, 4)(ids))


class Sorted(L.Layer):
    """Numbers in bins, cut by edges; a share of each rank."""

    def call(self, x):
        bins = tf.searchsorted(tf.constant([-1.0, 0.0, 1.0]), tf.reshape(x, [-1]), side="right")
        bins = tf.reshape(bins, tf.shape(x))
        ranks = tf.argsort(tf.argsort(x, axis=-1), axis=-1)
        return tf.one_hot(bins, 4, axis=1), tf.cast(ranks, tf.float32) / tf.cast(tf.shape(x)[-1], tf.float32)


@example()
def bins_and_ranks():
    x = keras.Input((5,))
    return keras.Model(x, Sorted()(x))


class Policy(keras.Model):
    """Values and chances of actions, the chance of the action that was taken, and the entropy."""

    def __init__(self, actions):
        super().__init__()
        self.actions, self.trunk = actions, L.Dense(6, activation=tf.nn.tanh)
        self.logits, self.value, self.advantage = L.Dense(actions), L.Dense(1), L.Dense(actions)

    def call(self, inputs):
        state, action = inputs
        y = self.trunk(state)
        logs = tf.nn.log_softmax(self.logits(y))
        taken = tf.reduce_sum(tf.one_hot(action, self.actions) * logs, axis=1)
        advantage = self.advantage(y)
        q = self.value(y) + advantage - tf.reduce_mean(advantage, axis=1, keepdims=True)
        entropy = -tf.reduce_sum(tf.exp(logs) * logs, axis=-1)
        return tf.argmax(q, axis=1), tf.gather(q, action, batch_dims=1), taken, entropy


@example(ids=3)
def policies():
    state, action = keras.Input((4,)), keras.Input((), dtype="int32")
    return keras.Model([state, action], Policy(3)([state, action]))


class Squashed(L.Layer):
    """An action within its bounds, and the log of its chance under a normal law, for noise that is given."""

    def call(self, x, noise):
        mean, log_deviation = tf.split(x, 2, -1)
        log_deviation = tf.clip_by_value(log_deviation, -5.0, 2.0)
        raw = mean + noise * tf.exp(log_deviation)
        chance = -0.5 * (tf.square(noise) + 2 * log_deviation + tf.math.log(2 * np.pi))
        chance -= tf.math.log(1 - tf.tanh(raw) ** 2 + 1e-6)
        low, high = tf.constant([-2.0, -1.0]), tf.constant([2.0, 1.0])
        return low + (tf.tanh(raw) + 1) * 0.5 * (high - low), tf.reduce_sum(chance, 1)


@example()
def bounded_actions():
    state, noise = keras.Input((4,)), keras.Input((2,))
    return keras.Model([state, noise], Squashed()(L.Dense(4)(state), noise))


class Mixture(L.Layer):
    """The parameters of a mixture of normal laws, its mean, and how likely a target is."""

    def __init__(self, parts):
        super().__init__()
        self.mean, self.deviation, self.shares = L.Dense(parts), L.Dense(parts), L.Dense(parts)

    def call(self, x, target):
        deviation = tf.nn.elu(self.deviation(x)) + 1 + 1e-6
        mean, logs = self.mean(x), tf.nn.log_softmax(self.shares(x))
        law = -0.5 * tf.square((target - mean) / deviation) - tf.math.log(deviation) - 0.5 * tf.math.log(2 * np.pi)
        chance = 0.5 * (1 + tf.math.erf((target - mean) / (deviation * tf.sqrt(2.0))))
        shares = tf.exp(logs)
        return (
            tf.reduce_sum(shares * mean, -1),
            tf.reduce_logsumexp(logs + law, axis=-1),
            tf.reduce_sum(shares * chance, -1),
        )


@example()
def mixture_density():
    x, target = keras.Input((3,)), keras.Input((1,))
    return keras.Model([x, target], Mixture(4)(L.Dense(5, activation="tanh")(x), target))


class Antirectifier(L.Layer):
    def build(self, shape):
        self.kernel = self.add_weight(shape=(2 * shape[-1], 3), name="kernel", trainable=True)

    def call(self, x):
        x -= tf.reduce_mean(x, axis=-1, keepdims=True)
        both = tf.concat([tf.nn.relu(x), tf.nn.relu(-x)], axis=-1)
        return tf.matmul(tf.nn.l2_normalize(both, -1), self.kernel)


class FakeQuantized(L.Layer):
    def build(self, shape):
        self.kernel = self.add_weight(shape=(shape[-1], 4), name="kernel")

    def call(self, x):
        kernel = tf.quantization.fake_quant_with_min_max_vars(self.kernel, -1.5, 1.5, num_bits=8, narrow_range=True)
        return tf.quantization.fake_quant_with_min_max_args(tf.matmul(x, kernel), -6.0, 6.0)


@example()
def own_dense_layers():
    x = keras.Input((5,))
    return keras.Model(x, Antirectifier()(FakeQuantized()(x)))


class Hyper(L.Layer):
    """A dense layer whose weights another one makes for each row."""

    def __init__(self, units):
        super().__init__()
        self.units = units

    def build(self, shapes):
        self.width = shapes[0][-1]
        self.make = L.Dense(self.width * self.units + self.units)
        self.make.build(shapes[1])

    def call(self, inputs):
        x, code = inputs
        w, b = tf.split(self.make(code), [self.width * self.units, self.units], axis=1)
        w = tf.reshape(w, (tf.shape(x)[0], self.width, self.units))
        return tf.vectorized_map(lambda each: tf.linalg.matvec(each[0], each[1], transpose_a=True), (w, x)) + b


@example()
def weights_by_a_network():
    x, code = keras.Input((4,)), keras.Input((3,))
    return keras.Model([x, code], Hyper(2)([x, code]))


class Always(L.Layer):
    """Dropout that stays on, for the spread of many answers."""

    def call(self, x):
        return tf.nn.dropout(x, rate=0.5)


@example(refused="random")
def dropout_that_stays_on():
    x = keras.Input((5,))
    return keras.Model(x, L.Dense(2)(Always()(x)))
