"""Scenarios 12, 13, 15 and 16: layers and models as classes, written once for Keras and for dagir.

F: the functions that the layers call: those of K.ops, or TensorFlow's of the same names.
"""

from __future__ import annotations


def dense_class(K, F=None):
    F = F or K.ops

    class CustomDense(K.Layer):
        def __init__(self, units=32, **kwargs):
            super().__init__(**kwargs)
            self.units = units

        def build(self, input_shape):
            self.w = self.add_weight(
                shape=(input_shape[-1], self.units), initializer="random_normal", trainable=True, name="w"
            )
            self.b = self.add_weight(shape=(self.units,), initializer="random_normal", trainable=True, name="b")

        def call(self, inputs):
            return F.matmul(inputs, self.w) + self.b

        def get_config(self):
            return {"units": self.units}

    return CustomDense


def custom_dense(K, L, F=None):
    inputs = K.Input((4,))
    return K.Model(inputs, dense_class(K, F)(10)(inputs))


def rnn_class(K, L, F=None):
    F = F or K.ops

    class CustomRNN(K.Layer):
        def __init__(self, units=32, functional=True, **kwargs):
            super().__init__(**kwargs)
            self.units = units
            self.projection_1 = L.Dense(units, activation="tanh")
            self.projection_2 = L.Dense(units, activation="tanh")
            self.functional = functional
            if functional:  # a model inside the layer
                inputs = K.Input((10, units))
                features = L.GlobalAveragePooling1D()(inputs)
                self.classifier = K.Model(inputs, L.Dense(1, activation="sigmoid")(features))
            else:
                self.classifier = L.Dense(1, activation="sigmoid")

        def call(self, inputs):
            outputs = []
            state = F.zeros(shape=(inputs.shape[0], self.units))
            for t in range(inputs.shape[1]):
                h = self.projection_1(inputs[:, t, :])
                state = h + self.projection_2(state)
                outputs.append(state)
            return self.classifier(F.stack(outputs, axis=1))

    return CustomRNN


def rnn_around_a_model(K, L, F=None):
    """Scenario 15."""
    inputs = K.Input(batch_shape=(1, 10, 5))
    return K.Model(inputs, rnn_class(K, L, F)()(inputs))


def rnn_inside_a_model(K, L, F=None):
    """Scenario 16."""
    inputs = K.Input(batch_shape=(16, 10, 5))
    x = L.Conv1D(32, 3)(inputs)
    return K.Model(inputs, rnn_class(K, L, F)(functional=False)(x))


def functional_perceptron(K, L):
    inputs = K.Input((32,))
    x = L.Dense(64, activation="relu")(inputs)
    return K.Model(inputs, L.Dense(10)(x))


def perceptron_class(K, L):
    class MLP(K.Model):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.dense_1 = L.Dense(64, activation="relu")
            self.dense_2 = L.Dense(10)

        def call(self, inputs):
            return self.dense_2(self.dense_1(inputs))

    return MLP


def subclassed_perceptron(K, L):
    """Scenario 13, the subclassed model called on an input."""
    inputs = K.Input((32,))
    return K.Model(inputs, perceptron_class(K, L)()(inputs))
