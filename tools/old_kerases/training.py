"""Trained and frozen models, policies of dtypes, and what is configured for training alone."""

from __future__ import annotations

import numpy as np

from old_kerases.cases import case, stack


def _fitted(K, model, loss="mse", optimizer="adam", **options):
    rng = np.random.default_rng(5)
    model.compile(optimizer=optimizer, loss=loss, **options)
    x = rng.normal(size=(16, *model.input_shape[1:])).astype("float32")
    y = rng.normal(size=(16, *model.output_shape[1:])).astype("float32")
    if "crossentropy" in str(loss):
        y = (y > 0).astype("float32")
    model.fit(x, y, epochs=1, batch_size=8, verbose=0)
    return model


def _small(K):
    L = K.layers
    return K.Sequential([K.Input((6,)), L.Dense(5, activation="relu"), L.BatchNormalization(), L.Dense(2)])


for each in ("adam", "sgd", "rmsprop", "adagrad", "nadam", "adamax", "adadelta", "ftrl"):
    case(scrambled=False, name=f"fitted_{each}")(
        lambda K, kind=each: _fitted(K, _small(K), optimizer=kind, metrics=["mae"])
    )


@case(scrambled=False)
def fitted_momentum(K):
    return _fitted(K, _small(K), optimizer=K.optimizers.SGD(0.01, momentum=0.9, nesterov=True, clipnorm=1.0))


@case(scrambled=False)
def fitted_crossentropy(K):
    L = K.layers
    model = K.Sequential(
        [K.Input((6,)), L.Dense(5, activation="relu"), L.Dropout(0.3), L.Dense(1, activation="sigmoid")]
    )
    return _fitted(K, model, loss="binary_crossentropy", metrics=["accuracy"])


@case
def compiled_only(K):
    model = _small(K)
    model.compile(
        optimizer=K.optimizers.Adam(1e-4), loss=K.losses.MeanSquaredError(), metrics=[K.metrics.MeanSquaredError()]
    )
    return model


@case
def compiled_two_losses(K):
    x = K.Input((4,))
    model = K.Model(x, [K.layers.Dense(2, name="a")(x), K.layers.Dense(1, activation="sigmoid", name="b")(x)])
    model.compile(optimizer="sgd", loss={"a": "mse", "b": "binary_crossentropy"}, loss_weights={"a": 1.0, "b": 0.2})
    return model


@case
def frozen_all(K):
    model = _small(K)
    model.trainable = False
    return model


@case
def frozen_layers(K):
    model = _small(K)
    for layer in model.layers[:2]:
        layer.trainable = False
    return model


@case
def frozen_inner(K):
    base = _small(K)
    base.trainable = False
    x = K.Input((6,))
    return K.Model(x, K.layers.Dense(2)(base(x, training=False)))


@case
def frozen_inner_partly(K):
    base = _small(K)
    base.trainable = True
    base.layers[0].trainable = False
    x = K.Input((6,))
    return K.Model(x, K.layers.BatchNormalization()(base(x)))


@case
def frozen_batchnorm_inner_functional(K):
    L = K.layers
    x = K.Input((6,))
    y = L.BatchNormalization(name="one")(x)
    y = L.Dense(4)(y)
    y = L.BatchNormalization(name="two")(y)
    base = K.Model(x, y, name="base")
    base.get_layer("one").trainable = False
    z = K.Input((6,))
    return K.Model(z, L.Dense(2)(base(z)))


@case
def frozen_bidirectional(K):
    L = K.layers
    x = K.Input((4, 3))
    layer = L.Bidirectional(L.LSTM(3))
    layer.trainable = False
    return K.Model(x, L.Dense(2)(layer(x)))


@case
def frozen_timedistributed(K):
    L = K.layers
    x = K.Input((3, 6))
    base = _small(K)
    base.trainable = False
    return K.Model(x, L.LSTM(2)(L.TimeDistributed(base)(x)))


REGULARIZERS = ("l1", "l2", "l1_l2", "orthogonal_regularizer")
INITIALIZERS = (
    *("zeros", "ones", "glorot_normal", "glorot_uniform", "he_normal", "he_uniform", "lecun_normal", "lecun_uniform"),
    *("random_normal", "random_uniform", "truncated_normal", "orthogonal", "identity", "variance_scaling"),
)
CONSTRAINTS = ("max_norm", "min_max_norm", "non_neg", "unit_norm")


@case
def by_name_of_regularizers(K):
    L = K.layers
    x = y = K.Input((4,))
    for name in REGULARIZERS:
        y = L.Dense(4, kernel_regularizer=name, activity_regularizer="l2")(y)
    return K.Model(x, y)


@case
def by_name_of_initializers(K):
    x = y = K.Input((4,))
    for name in INITIALIZERS:
        y = K.layers.Dense(4, kernel_initializer=name, activation="tanh")(y)
    return K.Model(x, y)


@case
def by_name_of_constraints(K):
    x = y = K.Input((4,))
    for name in CONSTRAINTS:
        y = K.layers.Dense(4, kernel_constraint=name, bias_constraint=name, activation="tanh")(y)
    return K.Model(x, y)


@case
def objects_of_training(K):
    L = K.layers
    x = K.Input((6, 6, 2))
    y = L.Conv2D(
        3,
        3,
        kernel_initializer=K.initializers.VarianceScaling(2.0, "fan_out", "truncated_normal", seed=1),
        kernel_regularizer=K.regularizers.L1L2(0.1, 0.2),
        kernel_constraint=K.constraints.MaxNorm(2.0, axis=[0, 1, 2]),
        bias_initializer=K.initializers.Constant(0.2),
        bias_regularizer=K.regularizers.L2(0.01),
        activity_regularizer=K.regularizers.L1(0.01),
    )(x)
    y = L.BatchNormalization(
        beta_regularizer="l2",
        gamma_constraint=K.constraints.UnitNorm(),
        gamma_initializer=K.initializers.RandomNormal(1.0, 0.1),
        moving_mean_initializer=K.initializers.RandomUniform(-1, 1),
    )(y)
    return K.Model(x, L.PReLU(alpha_initializer=K.initializers.Constant(0.25), alpha_regularizer="l1")(y))


@case
def objects_of_recurrent_training(K):
    L = K.layers
    x = K.Input((4, 3))
    y = L.LSTM(
        3,
        kernel_regularizer="l2",
        recurrent_regularizer=K.regularizers.L1(0.1),
        recurrent_initializer=K.initializers.Orthogonal(gain=0.5, seed=2),
        recurrent_constraint=K.constraints.NonNeg(),
        bias_constraint=K.constraints.MinMaxNorm(0.1, 1.0, 0.5, axis=0),
        return_sequences=True,
    )(x)
    return K.Model(x, L.GRU(2, kernel_initializer=K.initializers.TruncatedNormal(0.0, 0.3))(y))


@case
def policy_mixed_layer(K):
    L = K.layers
    x = K.Input((6,))
    y = L.Dense(5, activation="relu", dtype="mixed_float16")(x)
    return K.Model(x, L.Activation("softmax", dtype="float32")(L.Dense(4, dtype="mixed_float16")(y)))


@case
def policy_mixed_everywhere(K):
    L = K.layers
    set_policy = getattr(K, "mixed_precision", K).set_global_policy
    set_policy("mixed_float16")
    try:
        x = K.Input((8, 8, 2))
        y = L.BatchNormalization()(L.Conv2D(4, 3, activation="relu")(x))
        y = L.GlobalAveragePooling2D()(L.MaxPooling2D()(y))
        return K.Model(x, L.Dense(3, activation="softmax", dtype="float32")(y))
    finally:
        set_policy("float32")


@case
def policy_bfloat16(K):
    L = K.layers
    x = K.Input((6,))
    return K.Model(x, L.Dense(3, dtype="float32")(L.Dense(5, activation="relu", dtype="mixed_bfloat16")(x)))


@case
def policy_object(K):
    policy = (getattr(K, "mixed_precision", None) and getattr(K.mixed_precision, "Policy", None)) or K.DTypePolicy
    x = K.Input((6,))
    return K.Model(x, K.layers.Dense(3, dtype="float32")(K.layers.Dense(5, dtype=policy("mixed_float16"))(x)))


@case
def policy_float64(K):
    L = K.layers
    x = K.Input((6,), dtype="float64")
    y = L.Dense(5, activation="tanh", dtype="float64")(x)
    return K.Model(x, L.Dense(3, dtype="float64")(L.LayerNormalization(dtype="float64")(y)))


@case
def policy_float64_everywhere(K):
    K.backend.set_floatx("float64")
    try:
        L = K.layers
        x = K.Input((5, 3))
        return K.Model(x, L.Dense(2)(L.BatchNormalization()(L.GRU(4)(x))))
    finally:
        K.backend.set_floatx("float32")


@case
def policy_float16_input(K):
    x = K.Input((6,), dtype="float16")
    return K.Model(x, K.layers.Dense(3)(x))


stack("policy_float64_layer", (6,), lambda L: [L.Dense(3, dtype="float64"), L.Dense(2)])
stack("policy_float64_lstm", (5, 3), lambda L: [L.LSTM(4, dtype="float64"), L.Dense(2, dtype="float64")])
stack("policy_float16_layers", (6,), lambda L: [L.Dense(3, dtype="float16"), L.Dense(2, dtype="float32")])
