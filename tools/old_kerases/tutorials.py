"""Small versions of well-known tutorials and of the blocks of keras.applications."""

from __future__ import annotations

import numpy as np

from old_kerases.cases import case


@case
def mnist_mlp(K):
    L = K.layers
    return K.Sequential([L.Flatten(input_shape=(6, 6)), L.Dense(16, activation="relu"), L.Dropout(0.2), L.Dense(10)])


@case
def mnist_probabilities(K):
    x = K.Input((6, 6))
    y = K.layers.Dense(10)(K.layers.Dense(8, activation="relu")(K.layers.Flatten()(x)))
    return K.Sequential([K.Model(x, y), K.layers.Softmax()])


@case
def mnist_convolutional(K):
    L = K.layers
    return K.Sequential(
        [
            K.Input((10, 10, 1)),
            L.Conv2D(4, kernel_size=(3, 3), activation="relu"),
            L.MaxPooling2D(pool_size=(2, 2)),
            L.Conv2D(6, 3, activation="relu", padding="same"),
            L.MaxPooling2D((2, 2)),
            L.Flatten(),
            L.Dropout(0.5),
            L.Dense(10, activation="softmax"),
        ]
    )


@case
def text_classification(K):
    L = K.layers
    return K.Sequential(
        [K.Input((None,), dtype="int32"), L.Embedding(20, 8), L.Dropout(0.2), L.GlobalAveragePooling1D(), L.Dense(1)]
    )


@case
def text_bidirectional(K):
    L = K.layers
    x = K.Input((None,), dtype="int32")
    y = L.Embedding(20, 6, mask_zero=True)(x)
    y = L.Bidirectional(L.LSTM(4, return_sequences=True))(y)
    y = L.Bidirectional(L.LSTM(3))(y)
    return K.Model(x, L.Dense(1, activation="sigmoid")(L.Dropout(0.5)(L.Dense(4, activation="relu")(y))))


@case
def text_convolutional(K):
    L = K.layers
    x = K.Input((12,), dtype="int32")
    y = L.SpatialDropout1D(0.2)(L.Embedding(20, 6)(x))
    parts = [L.GlobalMaxPooling1D()(L.Conv1D(4, size, activation="relu")(y)) for size in (2, 3, 4)]
    return K.Model(x, L.Dense(3, activation="softmax")(L.Concatenate()(parts)))


@case
def seq2seq(K):
    L = K.layers
    source, target = K.Input((None, 5), name="source"), K.Input((None, 4), name="target")
    _, h, c = L.LSTM(6, return_state=True)(source)
    y, _, _ = L.LSTM(6, return_sequences=True, return_state=True)(target, initial_state=[h, c])
    return K.Model([source, target], L.Dense(4, activation="softmax")(y))


@case
def seq2seq_attention(K):
    L = K.layers
    source, target = K.Input((7,), dtype="int32"), K.Input((6,), dtype="int32")
    encoded, h = L.GRU(6, return_sequences=True, return_state=True)(L.Embedding(15, 6, mask_zero=True)(source))
    decoded = L.GRU(6, return_sequences=True)(L.Embedding(12, 6, mask_zero=True)(target), initial_state=h)
    seen = L.AdditiveAttention()([decoded, encoded])
    return K.Model(
        [source, target], L.TimeDistributed(L.Dense(12, activation="softmax"))(L.Concatenate()([decoded, seen]))
    )


@case
def seq2seq_repeat(K):
    L = K.layers
    return K.Sequential(
        [
            L.LSTM(6, input_shape=(5, 2)),
            L.RepeatVector(4),
            L.LSTM(6, return_sequences=True),
            L.TimeDistributed(L.Dense(2)),
        ]
    )


@case
def autoencoder(K):
    L = K.layers
    encoder = K.Sequential([K.Input((8,)), L.Dense(4, activation="relu"), L.Dense(2)], name="encoder")
    decoder = K.Sequential(
        [K.Input((2,)), L.Dense(4, activation="relu"), L.Dense(8, activation="sigmoid")], name="decoder"
    )
    x = K.Input((8,))
    return K.Model(x, decoder(encoder(x)), name="autoencoder")


@case
def autoencoder_convolutional(K):
    L = K.layers
    x = K.Input((8, 8, 1))
    y = L.MaxPooling2D(2, padding="same")(L.Conv2D(4, 3, activation="relu", padding="same")(x))
    y = L.Conv2DTranspose(4, 3, strides=2, activation="relu", padding="same")(y)
    return K.Model(x, L.Conv2D(1, 3, activation="sigmoid", padding="same")(y))


@case
def autoencoder_upsampling(K):
    L = K.layers
    x = K.Input((8, 8, 1))
    y = L.Conv2D(3, 3, strides=2, padding="same")(x)
    y = L.Conv2D(1, 3, padding="same")(L.UpSampling2D((2, 2))(L.LeakyReLU()(y)))
    return K.Model(x, y)


@case
def gan_generator(K):
    L = K.layers
    return K.Sequential(
        [
            K.Input((5,)),
            L.Dense(3 * 3 * 4, use_bias=False),
            L.BatchNormalization(),
            L.LeakyReLU(),
            L.Reshape((3, 3, 4)),
            L.Conv2DTranspose(3, (5, 5), strides=(1, 1), padding="same", use_bias=False),
            L.BatchNormalization(),
            L.LeakyReLU(),
            L.Conv2DTranspose(1, (5, 5), strides=(2, 2), padding="same", use_bias=False, activation="tanh"),
        ]
    )


@case
def gan_discriminator(K):
    L = K.layers
    model = K.Sequential(name="discriminator")
    model.add(L.Conv2D(4, (5, 5), strides=(2, 2), padding="same", input_shape=[8, 8, 1]))
    model.add(L.LeakyReLU(0.2))
    model.add(L.Dropout(0.3))
    model.add(L.Flatten())
    model.add(L.Dense(1))
    return model


@case
def gan_conditional(K):
    L = K.layers
    noise, label = K.Input((5,)), K.Input((1,), dtype="int32")
    y = L.Flatten()(L.Embedding(10, 5)(label))
    y = L.Dense(8)(L.multiply([noise, y]))
    return K.Model([noise, label], L.Activation("tanh")(L.LeakyReLU(0.2)(y)))


@case
def siamese(K):
    L = K.layers
    base = K.Sequential([K.Input((6, 6, 1)), L.Conv2D(3, 3, activation="relu"), L.Flatten(), L.Dense(4)])
    x, y = K.Input((6, 6, 1)), K.Input((6, 6, 1))
    apart = L.Subtract()([base(x), base(y)])
    return K.Model([x, y], L.Dense(1, activation="sigmoid")(L.Multiply()([apart, apart])))


@case
def wide_and_deep(K):
    L = K.layers
    wide, deep = K.Input((5,), name="wide_input"), K.Input((6,), name="deep_input")
    y = L.Dense(6, activation="relu")(L.Dense(6, activation="relu")(deep))
    y = L.concatenate([wide, y])
    return K.Model([wide, deep], [L.Dense(1, name="main")(y), L.Dense(1, name="aux")(deep)])


@case(whole=True)
def recommender(K):
    L = K.layers
    user, item = K.Input((1,), name="user"), K.Input((1,), name="item")
    a = L.Flatten()(L.Embedding(10, 4, name="users")(user))
    b = L.Flatten()(L.Embedding(12, 4, name="items")(item))
    bias = L.Flatten()(L.Embedding(10, 1)(user))
    return K.Model([user, item], L.Add()([L.Dot(axes=1)([a, b]), bias]))


@case
def unet(K):
    L = K.layers
    x = K.Input((8, 8, 2))
    down = L.Activation("relu")(L.BatchNormalization()(L.Conv2D(3, 3, padding="same")(x)))
    low = L.Conv2D(4, 3, padding="same", activation="relu")(L.MaxPooling2D()(down))
    up = L.Concatenate()([L.UpSampling2D()(low), down])
    up = L.Concatenate()([L.Conv2DTranspose(3, 2, strides=2, padding="same")(low), up])
    return K.Model(x, L.Conv2D(2, 1, activation="softmax")(L.Conv2D(3, 3, padding="same")(up)))


@case
def unet_xception(K):
    L = K.layers
    x = y = K.Input((8, 8, 2))
    y = previous = L.BatchNormalization()(L.Conv2D(4, 3, strides=2, padding="same")(y))
    y = L.SeparableConv2D(4, 3, padding="same")(L.Activation("relu")(y))
    y = L.MaxPooling2D(3, strides=2, padding="same")(L.BatchNormalization()(y))
    y = L.add([y, L.Conv2D(4, 1, strides=2, padding="same")(previous)])
    y = L.Conv2DTranspose(3, 3, padding="same")(L.Activation("relu")(y))
    y = L.UpSampling2D(2)(L.UpSampling2D(2)(y))
    return K.Model(x, L.Conv2D(2, 3, activation="softmax", padding="same")(y))


@case(scrambled=False)
def time_series_dense(K):
    L = K.layers
    return K.Sequential([K.Input((6, 3)), L.Flatten(), L.Dense(8, activation="relu"), L.Dense(4), L.Reshape([4, 1])])


@case
def time_series_wavenet(K):
    L = K.layers
    x = y = K.Input((16, 2))
    for rate in (1, 2, 4):
        gate = L.Conv1D(3, 2, padding="causal", dilation_rate=rate, activation="sigmoid")(y)
        wave = L.Conv1D(3, 2, padding="causal", dilation_rate=rate, activation="tanh")(y)
        y = L.Conv1D(3, 1)(L.multiply([gate, wave]))
    return K.Model(x, L.Dense(1)(L.GlobalAveragePooling1D()(y)))


@case
def time_series_convlstm(K):
    L = K.layers
    x = K.Input((None, 6, 6, 1))
    y = L.BatchNormalization()(L.ConvLSTM2D(2, 3, padding="same", return_sequences=True, activation="relu")(x))
    return K.Model(x, L.Conv3D(1, (3, 3, 3), activation="sigmoid", padding="same")(y))


@case
def time_series_transformer(K):
    L = K.layers
    x = y = K.Input((8, 3))
    z = L.MultiHeadAttention(key_dim=4, num_heads=2, dropout=0.25)(y, y)
    y = L.LayerNormalization(epsilon=1e-6)(L.Add()([L.Dropout(0.25)(z), y]))
    z = L.Conv1D(3, kernel_size=1)(L.Conv1D(5, kernel_size=1, activation="relu")(y))
    y = L.GlobalAveragePooling1D(data_format="channels_first")(L.Add()([z, y]))
    return K.Model(x, L.Dense(2, activation="softmax")(y))


def _base(K):
    L = K.layers
    x = K.Input((8, 8, 3))
    y = L.Conv2D(4, 3, strides=2, padding="same", use_bias=False, name="Conv1")(x)
    y = L.ReLU(6.0, name="Conv1_relu")(L.BatchNormalization(epsilon=1e-3, momentum=0.999, name="bn_Conv1")(y))
    return K.Model(x, y, name="mobilenet_small")


@case
def transfer_learning(K):
    L = K.layers
    base = _base(K)
    base.trainable = False
    augment = K.Sequential([L.RandomFlip("horizontal"), L.RandomRotation(0.2)])
    x = K.Input((8, 8, 3))
    y = L.Rescaling(1 / 127.5, offset=-1)(augment(x))
    y = L.GlobalAveragePooling2D()(base(y, training=False))
    return K.Model(x, L.Dense(1)(L.Dropout(0.2)(y)))


@case
def transfer_sequential(K):
    L = K.layers
    return K.Sequential(
        [_base(K), L.GlobalAveragePooling2D(), L.Dense(4, activation="relu"), L.Dense(2, activation="softmax")]
    )


@case
def transfer_on_output(K):
    L = K.layers
    base = _base(K)
    y = L.Dense(2, activation="softmax", name="predictions")(L.Flatten()(base.output))
    return K.Model(inputs=base.input, outputs=y)


@case(scrambled=False)
def transfer_fine_tuned(K):
    L = K.layers
    base = _base(K)
    base.trainable = False
    x = K.Input((8, 8, 3))
    model = K.Model(x, L.Dense(1)(L.Flatten()(base(x, training=False))))
    model.compile("adam", "mse")
    data = np.random.default_rng(0).normal(size=(8, 8, 8, 3)).astype("float32")
    model.fit(data, data[:, 0, 0, :1], verbose=0)
    base.trainable = True
    for layer in base.layers[:2]:
        layer.trainable = False
    model.compile(K.optimizers.RMSprop(1e-3), "mse")
    model.fit(data, data[:, 0, 0, :1], verbose=0)
    return model


@case
def inception_block(K):
    L = K.layers

    def unit(x, filters, size, name):
        x = L.Conv2D(filters, size, padding="same", use_bias=False, name=f"{name}_conv")(x)
        return L.Activation("relu", name=name)(L.BatchNormalization(axis=3, scale=False, name=f"{name}_bn")(x))

    x = K.Input((6, 6, 3))
    parts = [unit(x, 2, 1, "a"), unit(unit(x, 2, 1, "b"), 3, (1, 7), "c")]
    parts.append(unit(L.AveragePooling2D((3, 3), strides=(1, 1), padding="same")(x), 2, 1, "d"))
    return K.Model(x, L.concatenate(parts, axis=3, name="mixed0"))


@case
def resnet_block(K):
    L = K.layers
    x = K.Input((8, 8, 3))
    y = L.ZeroPadding2D(padding=((1, 1), (1, 1)), name="conv1_pad")(x)
    y = L.Conv2D(4, 3, strides=2, name="conv1_conv")(y)
    y = short = L.Activation("relu")(L.BatchNormalization(axis=3, epsilon=1.001e-5, name="conv1_bn")(y))
    y = L.Activation("relu")(L.BatchNormalization(axis=3)(L.Conv2D(4, 3, padding="SAME")(y)))
    y = L.Activation("relu", name="block_out")(L.Add(name="block_add")([short, y]))
    return K.Model(x, L.Dense(3, activation="softmax")(L.GlobalAveragePooling2D(name="avg_pool")(y)))


@case
def mobilenet_block(K):
    L = K.layers
    x = K.Input((8, 8, 4))
    y = L.ReLU(6.0)(L.BatchNormalization(momentum=0.999)(L.Conv2D(8, 1, use_bias=False)(x)))
    y = L.ZeroPadding2D(((0, 1), (0, 1)))(y)
    y = L.DepthwiseConv2D(3, strides=2, use_bias=False, padding="valid")(y)
    y = L.Conv2D(4, 1, use_bias=False)(L.ReLU(6.0)(L.BatchNormalization()(y)))
    y = L.GlobalAveragePooling2D(keepdims=True)(L.BatchNormalization()(y))
    return K.Model(x, L.Reshape((3,))(L.Conv2D(3, 1, activation="softmax")(L.Dropout(1e-3)(y))))


@case
def efficientnet_block(K):
    L = K.layers
    x = K.Input((8, 8, 4))
    y = L.Rescaling(1 / 255)(x)
    y = L.Activation("swish")(L.BatchNormalization()(L.DepthwiseConv2D(3, padding="same", use_bias=False)(y)))
    squeeze = L.Reshape((1, 1, 4))(L.GlobalAveragePooling2D()(y))
    squeeze = L.Conv2D(2, 1, activation="swish", padding="same")(squeeze)
    y = L.multiply([y, L.Conv2D(4, 1, activation="sigmoid", padding="same")(squeeze)])
    y = L.Dropout(0.2, noise_shape=(None, 1, 1, 1))(L.Conv2D(4, 1, use_bias=False)(y))
    return K.Model(x, L.add([y, x]))


@case
def densenet_block(K):
    L = K.layers
    x = y = K.Input((6, 6, 3))
    for place in range(2):
        z = L.Activation("relu", name=f"block{place}_0_relu")(
            L.BatchNormalization(axis=3, name=f"block{place}_0_bn")(y)
        )
        y = L.Concatenate(axis=3, name=f"block{place}_concat")([y, L.Conv2D(2, 3, padding="same", use_bias=False)(z)])
    return K.Model(x, L.AveragePooling2D(2, strides=2)(y))


@case
def transformer_block(K):
    L = K.layers
    ids = K.Input((6,), dtype="int32")
    y = L.Embedding(12, 8)(ids)
    y = L.LayerNormalization(epsilon=1e-6)(L.Add()([y, L.Dropout(0.1)(L.MultiHeadAttention(2, 4)(y, y))]))
    inner = K.Sequential([L.Dense(8, activation="relu"), L.Dense(8)])
    y = L.LayerNormalization(epsilon=1e-6)(L.Add()([y, inner(y)]))
    return K.Model(ids, L.Dense(2, activation="softmax")(L.GlobalAveragePooling1D()(y)))


@case
def vision_transformer(K):
    L = K.layers
    x = K.Input((8, 8, 3))
    y = L.Reshape((4, 6))(L.Conv2D(6, 4, strides=4)(x))
    z = L.MultiHeadAttention(num_heads=2, key_dim=3)(L.LayerNormalization(epsilon=1e-6)(y), y)
    y = L.Add()([z, y])
    z = L.Dense(6, activation="gelu")(L.LayerNormalization(epsilon=1e-6)(y))
    return K.Model(x, L.Dense(3)(L.Flatten()(L.Add()([z, y]))))
