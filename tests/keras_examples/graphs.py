"""Graphs of nodes and edges: messages along edges, attention over neighbours, walks."""

from __future__ import annotations

import keras
import tensorflow as tf
from keras import layers as L

from keras_examples.registry import example


def graph_inputs(width=4):
    nodes = keras.Input((width,), name="nodes", batch_size=7)
    edges = keras.Input((2,), dtype="int32", name="edges", batch_size=9)
    return nodes, edges


class GraphConv(L.Layer):
    """Messages of neighbours, summed by the node that they reach, and joined with what that node has."""

    def __init__(self, units, merge):
        super().__init__()
        self.merge, self.prepare, self.update = merge, L.Dense(units, tf.nn.gelu), L.Dense(units)

    def call(self, nodes, edges, weights):
        count = nodes.shape[0]
        near = self.prepare(tf.gather(nodes, edges[:, 1])) * tf.expand_dims(weights, -1)
        merge = {
            "sum": tf.math.unsorted_segment_sum,
            "mean": tf.math.unsorted_segment_mean,
            "max": tf.math.unsorted_segment_max,
        }
        total = merge[self.merge](near, edges[:, 0], num_segments=count)
        total = tf.where(total < -1e30, 0.0, total)
        return tf.nn.l2_normalize(self.update(tf.concat([nodes, total], axis=1)), axis=-1)


def graph_convolution(merge):
    nodes, edges = graph_inputs()
    weights = L.Lambda(lambda e: tf.ones(tf.shape(e)[0]) / tf.cast(tf.shape(e)[0], tf.float32))(edges)
    y = GraphConv(5, merge)(nodes, edges, weights)
    return keras.Model([nodes, edges], L.Lambda(lambda z: tf.gather(z, [0, 2]))(y))


@example()
def summed_neighbours():
    return graph_convolution("sum")


@example()
def mean_of_neighbours():
    return graph_convolution("mean")


@example()
def largest_of_neighbours():
    return graph_convolution("max")


class GraphAttention(L.Layer):
    """Shares of neighbours by scores of edges, a softmax over the edges of each node."""

    def __init__(self, units):
        super().__init__()
        self.units = units

    def build(self, shapes):
        self.kernel = self.add_weight(shape=(shapes[0][-1], self.units), name="kernel")
        self.scores = self.add_weight(shape=(2 * self.units, 1), name="scores")

    def call(self, inputs):
        nodes, edges = inputs
        y = tf.matmul(nodes, self.kernel)
        pairs = tf.reshape(tf.gather(y, edges), (tf.shape(edges)[0], -1))
        scores = tf.squeeze(tf.nn.leaky_relu(tf.matmul(pairs, self.scores)), -1)
        scores = tf.math.exp(tf.clip_by_value(scores, -2, 2))
        count = tf.shape(nodes)[0]
        total = tf.math.unsorted_segment_sum(scores, edges[:, 0], num_segments=count)
        total = tf.gather(total, edges[:, 0])
        shares = scores / total
        near = tf.gather(y, edges[:, 1])
        return tf.math.unsorted_segment_sum(near * shares[:, tf.newaxis], edges[:, 0], num_segments=count)


class ManyHeads(L.Layer):
    def __init__(self, units, heads):
        super().__init__()
        self.heads = [GraphAttention(units) for _ in range(heads)]

    def call(self, inputs):
        found = [head(inputs) for head in self.heads]
        return tf.nn.relu(tf.concat(found, axis=-1)), tf.reduce_mean(tf.stack(found, axis=-1), axis=-1)


@example()
def graph_attention():
    nodes, edges = graph_inputs()
    return keras.Model([nodes, edges], ManyHeads(3, 2)([nodes, edges]))


class Messages(L.Layer):
    """A matrix for each edge, made of what the edge has; nodes are changed by a recurrence, in rounds."""

    def __init__(self, width, rounds):
        super().__init__()
        self.width, self.rounds, self.cell = width, rounds, L.GRUCell(width)

    def build(self, shapes):
        self.kernel = self.add_weight(shape=(shapes[1][-1], self.width**2), name="kernel")
        self.bias = self.add_weight(shape=(self.width**2,), name="bias")
        self.cell.build((None, self.width))

    def call(self, inputs):
        nodes, bonds, edges = inputs
        state = tf.pad(nodes, [(0, 0), (0, self.width - nodes.shape[-1])])
        matrices = tf.reshape(tf.matmul(bonds, self.kernel) + self.bias, (-1, self.width, self.width))
        for _ in range(self.rounds):
            near = tf.expand_dims(tf.gather(state, edges[:, 1]), axis=-1)
            sent = tf.squeeze(tf.matmul(matrices, near), axis=-1)
            total = tf.math.unsorted_segment_sum(sent, edges[:, 0], tf.shape(nodes)[0])
            state, _ = self.cell(total, [state])
        return state


@example()
def messages_along_edges():
    nodes, edges = graph_inputs(3)
    bonds = keras.Input((2,), name="bonds", batch_size=9)
    return keras.Model([nodes, bonds, edges], Messages(5, 2)([nodes, bonds, edges]))


class Partitioned(L.Layer):
    """The nodes of each molecule in a row of its own, as many as the data say."""

    def call(self, nodes, owners):
        parts = tf.dynamic_partition(nodes, owners, 3)
        counts = [tf.shape(part)[0] for part in parts]
        longest = tf.reduce_max(counts)
        grown = [tf.pad(part, [(0, longest - count), (0, 0)]) for part, count in zip(parts, counts, strict=True)]
        return tf.stack(grown, axis=0)


@example(ids=3)
def nodes_by_molecule():
    nodes = keras.Input((4,), batch_size=7)
    owners = keras.Input((), dtype="int32", batch_size=7)
    return keras.Model([nodes, owners], Partitioned()(nodes, owners))


class Relations(L.Layer):
    """A dense layer for each kind of bond, along adjacency matrices."""

    def __init__(self, units):
        super().__init__()
        self.units = units

    def build(self, shapes):
        self.kernel = self.add_weight(shape=(shapes[0][1], shapes[1][2], self.units), name="kernel")
        self.bias = self.add_weight(shape=(shapes[0][1], 1, self.units), name="bias")

    def call(self, inputs):
        adjacency, features = inputs
        y = tf.matmul(adjacency, features[:, None, :, :])
        y = tf.matmul(y, self.kernel) + self.bias
        return tf.nn.relu(tf.reduce_sum(y, axis=1))


class Symmetric(L.Layer):
    def call(self, x):
        x = (x + tf.transpose(x, (0, 1, 3, 2))) / 2
        x = tf.nn.softmax(x, axis=1)
        return tf.one_hot(tf.argmax(x, axis=1), depth=2, axis=1)


@example()
def molecules():
    adjacency, features = keras.Input((2, 5, 5)), keras.Input((5, 3))
    y = Relations(4)([Symmetric()(adjacency), features])
    return keras.Model([adjacency, features], L.Dense(2)(L.Lambda(lambda z: tf.reduce_mean(z, axis=-2))(y)))


class RoadConv(L.Layer):
    """Sums over neighbours, by a matrix that is known, with the graph in front of all other axes."""

    def __init__(self, units, count):
        super().__init__()
        self.units, self.count = units, count
        pairs = [(i, j) for i in range(count) for j in range(count) if abs(i - j) < 3]
        self.edges = tuple(zip(*pairs, strict=True))

    def build(self, shape):
        self.weight = tf.Variable(tf.keras.initializers.glorot_uniform()(shape=(shape[-1], self.units)), trainable=True)

    def call(self, x):
        near = tf.gather(x, self.edges[1])
        total = tf.math.unsorted_segment_mean(near, self.edges[0], num_segments=self.count)
        return tf.nn.relu(tf.concat([tf.matmul(x, self.weight), tf.matmul(total, self.weight)], axis=-1))


class RoadTraffic(L.Layer):
    """A convolution on the graph at each step, then a recurrence for each node."""

    def __init__(self, count, ahead):
        super().__init__()
        self.conv, self.lstm, self.dense, self.ahead = RoadConv(3, count), L.LSTM(4), L.Dense(ahead), ahead

    def build(self, shape):
        self.conv.build((shape[2], None, shape[1], shape[3]))

    def call(self, x):
        x = tf.transpose(x, [2, 0, 1, 3])
        y = self.conv(x)
        shape = tf.shape(y)
        nodes, batch, steps = shape[0], shape[1], shape[2]
        y = self.dense(self.lstm(tf.reshape(y, (batch * nodes, steps, y.shape[-1]))))
        return tf.transpose(tf.reshape(y, (nodes, batch, self.ahead)), [1, 2, 0])


@example()
def traffic_on_roads():
    x = keras.Input((None, 5, 2))
    return keras.Model(x, RoadTraffic(5, 3)(x))


class Walks(L.Layer):
    """How often two nodes come together in walks: products of vectors."""

    def call(self, target, context):
        logits = tf.linalg.matvec(context, target)
        return logits, tf.nn.sigmoid_cross_entropy_with_logits(labels=tf.ones_like(logits), logits=logits)


@example()
def walks_on_graphs():
    target, context = keras.Input((), dtype="int32"), keras.Input((None,), dtype="int32")
    return keras.Model([target, context], Walks()(L.Embedding(7, 4)(target), L.Embedding(7, 4)(context)))
