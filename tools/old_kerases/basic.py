"""Dense layers, activations, normalization, shapes, merges, and what is of training alone."""

from __future__ import annotations

from old_kerases.cases import branches, case, merged, stack

ACTIVATIONS = (
    *("relu", "elu", "selu", "softplus", "softsign", "tanh", "sigmoid", "hard_sigmoid", "exponential", "linear"),
    *("softmax", "swish", "gelu", "mish"),
)
NEWER = ("relu6", "silu", "leaky_relu", "hard_silu", "hard_swish", "log_softmax", "celu", "glu", "hard_tanh")
NEWEST = ("log_sigmoid", "hard_shrink", "soft_shrink", "squareplus", "sparse_plus", "tanh_shrink", "threshold")

for each in ACTIVATIONS:
    branches(f"act_{each}", (6,), lambda L, a=each: [L.Dense(4, activation=a), L.Activation(a)])
for each in (*NEWER, *NEWEST):
    stack(f"act_{each}", (6,), lambda L, a=each: [L.Dense(4, activation=a)])

stack("dense_plain", (5,), lambda L: [L.Dense(7), L.Dense(3, use_bias=False)], sequential=True)
stack("dense_steps", (None, 5), lambda L: [L.Dense(4, "tanh")])
stack("dense_images", (2, 3, 5), lambda L: [L.Dense(4, activation="relu", name="channels")])
stack("dense_batch_size", (5,), lambda L: [L.Dense(4)], batch=2)
stack("dense_of_integers", (5,), lambda L: [L.Dense(4)], dtype="int32")
stack("einsum_dense", (4, 5), lambda L: [L.EinsumDense("abc,cd->abd", (None, 6), bias_axes="d", activation="relu")])
stack("einsum_dense_heads", (4, 6), lambda L: [L.EinsumDense("abc,cde->abde", (None, 2, 3), bias_axes="de")])
stack("einsum_dense_dots", (4, 6), lambda L: [L.EinsumDense("...c,cd->...d", (None, 3))])

branches("adv_leaky", (6,), lambda L: [L.LeakyReLU(), L.LeakyReLU(0.1)])
branches("adv_elu", (6,), lambda L: [L.ELU(), L.ELU(alpha=0.4)])
branches("adv_prelu", (4, 5, 3), lambda L: [L.PReLU(), L.PReLU(shared_axes=[1, 2]), L.PReLU(shared_axes=[1])])
branches("adv_relu", (6,), lambda L: [L.ReLU(), L.ReLU(max_value=1.0), L.ReLU(0.9, 0.2, 0.1)])
branches("adv_softmax", (4, 5), lambda L: [L.Softmax(), L.Softmax(axis=1), L.Softmax(axis=[1, 2])])
stack("adv_thresholded", (6,), lambda L: [L.ThresholdedReLU(theta=0.3)])


@case
def adv_as_activation(K):
    L = K.layers
    x = K.Input((6,))
    y = L.Dense(5, activation=L.LeakyReLU())(x)
    y = L.Dense(5, activation=L.ELU(alpha=0.5))(y)
    y = L.Dense(5, activation=K.layers.ReLU(max_value=6.0))(y)
    return K.Model(x, y)


@case
def adv_functions_as_activation(K):
    x = K.Input((6,))
    y = K.layers.Dense(5, activation=K.activations.relu)(x)
    y = K.layers.Activation(K.activations.tanh)(y)
    return K.Model(x, K.layers.Dense(2, activation=K.activations.softmax)(y))


branches(
    "batchnorm",
    (4, 5, 3),
    lambda L: [
        L.BatchNormalization(),
        L.BatchNormalization(axis=1, momentum=0.9),
        L.BatchNormalization(center=False),
        L.BatchNormalization(scale=False, epsilon=0.01),
        L.BatchNormalization(trainable=False),
    ],
)
stack("batchnorm_flat", (6,), lambda L: [L.Dense(5), L.BatchNormalization(), L.Activation("relu")], sequential=True)
stack("batchnorm_multi_axis", (4, 5, 3), lambda L: [L.BatchNormalization(axis=[1, 3])])
stack("batchnorm_renorm", (6,), lambda L: [L.BatchNormalization(renorm=True)])
stack("batchnorm_synchronized", (6,), lambda L: [L.BatchNormalization(synchronized=True)])
stack("batchnorm_fused_off", (4, 5, 3), lambda L: [L.BatchNormalization(fused=False)])
branches(
    "layernorm",
    (4, 5, 3),
    lambda L: [
        L.LayerNormalization(),
        L.LayerNormalization(axis=[1, 2]),
        L.LayerNormalization(axis=-2, epsilon=1e-5),
        L.LayerNormalization(center=False, scale=False),
        L.LayerNormalization(axis=[2, 3]),
    ],
)
branches("groupnorm", (4, 5, 6), lambda L: [L.GroupNormalization(2), L.GroupNormalization(-1), L.GroupNormalization(1)])
branches("unitnorm", (4, 5), lambda L: [L.UnitNormalization(), L.UnitNormalization(axis=1)])
stack("spectral", (6,), lambda L: [L.SpectralNormalization(L.Dense(4))])
stack("spectral_conv", (6, 6, 2), lambda L: [L.SpectralNormalization(L.Conv2D(4, 3))])
branches("rmsnorm", (4, 5), lambda L: [L.RMSNormalization(), L.RMSNormalization(epsilon=1e-3)])
branches("rms_scaling", (4, 5), lambda L: [L.LayerNormalization(rms_scaling=True)])

branches("reshape", (4, 6), lambda L: [L.Reshape((3, 8)), L.Reshape((-1,)), L.Reshape((2, -1, 3)), L.Flatten()])
stack("reshape_open", (None, 4), lambda L: [L.Reshape((-1, 2))])
branches("permute", (4, 5, 6), lambda L: [L.Permute((2, 1, 3)), L.Permute((3, 1, 2))])
stack("repeat_vector", (5,), lambda L: [L.RepeatVector(4)])
branches("flatten_formats", (2, 3, 4), lambda L: [L.Flatten(), L.Flatten(data_format="channels_first")])
stack("identity", (4,), lambda L: [L.Identity(), L.Dense(3)])
branches("cropping1d", (7, 2), lambda L: [L.Cropping1D(), L.Cropping1D((1, 3)), L.Cropping1D(2)])
branches("cropping2d", (7, 8, 2), lambda L: [L.Cropping2D(1), L.Cropping2D((1, 2)), L.Cropping2D(((1, 0), (2, 3)))])
branches("cropping2d_first", (2, 7, 8), lambda L: [L.Cropping2D(((1, 0), (2, 3)), data_format="channels_first")])
branches("cropping3d", (5, 5, 5, 2), lambda L: [L.Cropping3D(1), L.Cropping3D(((1, 0), (0, 2), (1, 1)))])
branches("padding1d", (5, 2), lambda L: [L.ZeroPadding1D(), L.ZeroPadding1D((1, 3))])
branches("padding2d", (4, 5, 2), lambda L: [L.ZeroPadding2D(2), L.ZeroPadding2D(((0, 1), (2, 3)))])
branches("padding2d_first", (2, 4, 5), lambda L: [L.ZeroPadding2D((1, 2), data_format="channels_first")])
branches("padding3d", (3, 3, 4, 2), lambda L: [L.ZeroPadding3D(1), L.ZeroPadding3D(((1, 0), (0, 2), (1, 1)))])

for each in ("Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum"):
    merged(f"merge_{each.lower()}", [(4, 5)] * 2, lambda L, kind=each: getattr(L, kind)())
merged("merge_add_three", [(4,)] * 3, lambda L: L.Add(name="sum"))
merged("merge_broadcast", [(4, 5), (1, 5)], lambda L: L.Multiply())
merged("merge_ranks", [(4, 5), (5,)], lambda L: L.Add())
merged("concatenate", [(4, 5), (4, 3)], lambda L: L.Concatenate())
merged("concatenate_steps", [(4, 5), (3, 5)], lambda L: L.Concatenate(axis=1))
merged("concatenate_negative", [(4, 5), (3, 5)], lambda L: L.Concatenate(axis=-2))
merged("dot", [(4, 5), (3, 5)], lambda L: L.Dot(axes=2))
merged("dot_axes", [(4, 5), (5, 3)], lambda L: L.Dot(axes=(2, 1)))
merged("dot_normalized", [(6,), (6,)], lambda L: L.Dot(axes=1, normalize=True))
merged("dot_negative", [(4, 5), (3, 5)], lambda L: L.Dot(axes=-1))


@case
def merge_functions(K):
    L = K.layers
    x, y = K.Input((4,)), K.Input((4,))
    parts = [L.add([x, y]), L.subtract([x, y]), L.multiply([x, y]), L.maximum([x, y]), L.minimum([x, y])]
    return K.Model([x, y], [L.concatenate([*parts, L.average([x, y])], axis=-1), L.dot([x, y], axes=1)])


stack("dropouts", (4, 6), lambda L: [L.Dropout(0.3, seed=3), L.Dropout(0.5, noise_shape=(None, 1, 6)), L.Dense(2)])
stack("noise", (6,), lambda L: [L.GaussianNoise(0.3), L.GaussianDropout(0.2), L.AlphaDropout(0.1), L.Dense(2)])
stack("noise_seeded", (6,), lambda L: [L.GaussianNoise(0.3, seed=2), L.GaussianDropout(0.2, seed=1), L.Dense(2)])
stack("spatial_dropout1d", (4, 6), lambda L: [L.SpatialDropout1D(0.3), L.Dense(2)])
stack("spatial_dropout2d", (4, 4, 6), lambda L: [L.SpatialDropout2D(0.3, data_format="channels_first"), L.Dense(2)])
stack("spatial_dropout3d", (3, 3, 3, 2), lambda L: [L.SpatialDropout3D(0.3), L.Dense(2)])
stack("activity_regularization", (6,), lambda L: [L.ActivityRegularization(l1=0.1, l2=0.2), L.Dense(2)])
stack("embedding", (6,), lambda L: [L.Embedding(9, 4)], dtype="int32")
stack("embedding_floats", (6,), lambda L: [L.Embedding(9, 4), L.Flatten(), L.Dense(2)], whole=True)
stack("embedding_constrained", (6,), lambda L: [L.Embedding(9, 4, embeddings_constraint="unit_norm")], dtype="int64")
stack("embedding_input_length", (6,), lambda L: [L.Embedding(9, 4, input_length=6), L.Flatten()], dtype="int32")
stack("timedistributed_dense", (4, 5), lambda L: [L.TimeDistributed(L.Dense(3, activation="relu"))])
stack(
    "timedistributed_conv", (3, 6, 6, 2), lambda L: [L.TimeDistributed(L.Conv2D(3, 3)), L.TimeDistributed(L.Flatten())]
)
stack(
    "timedistributed_norm", (4, 5), lambda L: [L.TimeDistributed(L.BatchNormalization()), L.TimeDistributed(L.ReLU())]
)
