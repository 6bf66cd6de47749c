"""Networks for the benchmarks, written once for `dagir.layers` and `keras.layers`: the argument is that namespace."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def _norm(layers: Any, x: Any, activation: str | None = None) -> Any:
    x = layers.BatchNormalization(epsilon=1e-3)(x)
    return x if activation is None else layers.Activation(activation)(x)


def vgg19(layers: Any) -> tuple[Any, Any]:
    inputs = layers.Input((224, 224, 3), name="image")
    x = inputs
    for filters, count in ((64, 2), (128, 2), (256, 4), (512, 4), (512, 4)):
        for _ in range(count):
            x = layers.Conv2D(filters, 3, padding="same", activation="relu")(x)
        x = layers.MaxPooling2D(2, strides=2)(x)
    x = layers.Flatten()(x)
    x = layers.Dense(4096, activation="relu")(x)
    x = layers.Dense(4096, activation="relu")(x)
    return inputs, layers.Dense(1000, activation="softmax", name="label")(x)


def resnet50(layers: Any) -> tuple[Any, Any]:
    inputs = layers.Input((224, 224, 3), name="image")
    x = layers.ZeroPadding2D(3)(inputs)
    x = _norm(layers, layers.Conv2D(64, 7, strides=2)(x), "relu")
    x = layers.MaxPooling2D(3, strides=2)(layers.ZeroPadding2D(1)(x))
    for filters, blocks, strides in ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2)):
        for index in range(blocks):
            stride = strides if index == 0 else 1
            short = x if index else _norm(layers, layers.Conv2D(4 * filters, 1, strides=stride)(x))
            x = _norm(layers, layers.Conv2D(filters, 1, strides=stride)(x), "relu")
            x = _norm(layers, layers.Conv2D(filters, 3, padding="same")(x), "relu")
            x = _norm(layers, layers.Conv2D(4 * filters, 1)(x))
            x = layers.Activation("relu")(layers.Add()([short, x]))
    x = layers.GlobalAveragePooling2D()(x)
    return inputs, layers.Dense(1000, activation="softmax", name="label")(x)


def mobilenet_v2(layers: Any) -> tuple[Any, Any]:
    inputs = layers.Input((224, 224, 3), name="image")
    x = _norm(layers, layers.Conv2D(32, 3, strides=2, padding="same", use_bias=False)(inputs))
    x = layers.ReLU(6.0)(x)
    plan = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))
    for expansion, filters, count, strides in plan:
        for index in range(count):
            x = _inverted(layers, x, expansion, filters, strides if index == 0 else 1)
    x = layers.ReLU(6.0)(_norm(layers, layers.Conv2D(1280, 1, use_bias=False)(x)))
    x = layers.GlobalAveragePooling2D()(x)
    return inputs, layers.Dense(1000, activation="softmax", name="label")(x)


def _inverted(layers: Any, x: Any, expansion: int, filters: int, stride: int) -> Any:
    start, channels = x, x.shape[-1]
    if expansion > 1:
        x = layers.ReLU(6.0)(_norm(layers, layers.Conv2D(expansion * channels, 1, use_bias=False)(x)))
    padding = "same"
    if stride == 2:
        x, padding = layers.ZeroPadding2D(((0, 1), (0, 1)))(x), "valid"
    x = layers.DepthwiseConv2D(3, strides=stride, padding=padding, use_bias=False)(x)
    x = layers.ReLU(6.0)(_norm(layers, x))
    x = _norm(layers, layers.Conv2D(filters, 1, use_bias=False)(x))
    return layers.Add()([start, x]) if stride == 1 and channels == filters else x


def densenet121(layers: Any) -> tuple[Any, Any]:
    inputs = layers.Input((224, 224, 3), name="image")
    x = layers.ZeroPadding2D(3)(inputs)
    x = _norm(layers, layers.Conv2D(64, 7, strides=2, use_bias=False)(x), "relu")
    x = layers.MaxPooling2D(3, strides=2)(layers.ZeroPadding2D(1)(x))
    for count in (6, 12, 24, 16):
        for _ in range(count):
            y = layers.Conv2D(128, 1, use_bias=False)(_norm(layers, x, "relu"))
            y = layers.Conv2D(32, 3, padding="same", use_bias=False)(_norm(layers, y, "relu"))
            x = layers.Concatenate()([x, y])
        x = _norm(layers, x, "relu")
        if count != 16:
            x = layers.AveragePooling2D(2, strides=2)(layers.Conv2D(x.shape[-1] // 2, 1, use_bias=False)(x))
    x = layers.GlobalAveragePooling2D()(x)
    return inputs, layers.Dense(1000, activation="softmax", name="label")(x)


def efficientnet_b0(layers: Any) -> tuple[Any, Any]:
    inputs = layers.Input((224, 224, 3), name="image")
    x = layers.Rescaling(1 / 255)(inputs)
    x = layers.ZeroPadding2D(((0, 1), (0, 1)))(x)
    x = _norm(layers, layers.Conv2D(32, 3, strides=2, use_bias=False)(x), "silu")
    plan = (
        (3, 1, 16, 1, 1),
        (3, 2, 24, 6, 2),
        (5, 2, 40, 6, 2),
        (3, 3, 80, 6, 2),
        (5, 3, 112, 6, 1),
        (5, 4, 192, 6, 2),
        (3, 1, 320, 6, 1),
    )
    for kernel, count, filters, expansion, strides in plan:
        for index in range(count):
            x = _squeezing(layers, x, kernel, filters, expansion, strides if index == 0 else 1)
    x = _norm(layers, layers.Conv2D(1280, 1, use_bias=False)(x), "silu")
    x = layers.Dropout(0.2)(layers.GlobalAveragePooling2D()(x))
    return inputs, layers.Dense(1000, activation="softmax", name="label")(x)


def _squeezing(layers: Any, start: Any, kernel: int, filters: int, expansion: int, stride: int) -> Any:
    channels = start.shape[-1]
    wide, x = channels * expansion, start
    if expansion > 1:
        x = _norm(layers, layers.Conv2D(wide, 1, use_bias=False)(x), "silu")
    x = layers.DepthwiseConv2D(kernel, strides=stride, padding="same", use_bias=False)(x)
    x = _norm(layers, x, "silu")
    gate = layers.Reshape((1, 1, wide))(layers.GlobalAveragePooling2D()(x))
    gate = layers.Conv2D(max(1, channels // 4), 1, activation="silu")(gate)
    gate = layers.Conv2D(wide, 1, activation="sigmoid")(gate)
    x = layers.Multiply()([x, gate])
    x = _norm(layers, layers.Conv2D(filters, 1, use_bias=False)(x))
    return layers.Add()([layers.Dropout(0.1)(x), start]) if stride == 1 and channels == filters else x


def convnext(layers: Any) -> tuple[Any, Any]:
    """ConvNeXt-Tiny without its layer scale."""
    inputs = layers.Input((224, 224, 3), name="image")
    x = layers.LayerNormalization(epsilon=1e-6)(layers.Conv2D(96, 4, strides=4)(inputs))
    for filters, count in ((96, 3), (192, 3), (384, 9), (768, 3)):
        if filters != 96:
            x = layers.Conv2D(filters, 2, strides=2)(layers.LayerNormalization(epsilon=1e-6)(x))
        for _ in range(count):
            y = layers.Conv2D(filters, 7, padding="same", groups=filters)(x)
            y = layers.Dense(4 * filters, activation="gelu")(layers.LayerNormalization(epsilon=1e-6)(y))
            x = layers.Add()([x, layers.Dense(filters)(y)])
    x = layers.LayerNormalization(epsilon=1e-6)(layers.GlobalAveragePooling2D()(x))
    return inputs, layers.Dense(1000, name="label")(x)


def gru(layers: Any) -> tuple[Any, Any]:
    inputs = layers.Input((64, 32), name="series")
    return inputs, layers.Dense(10)(layers.GRU(128)(layers.GRU(128, return_sequences=True)(inputs)))


def lstm(layers: Any) -> tuple[Any, Any]:
    inputs = layers.Input((64, 32), name="series")
    return inputs, layers.Dense(10)(layers.LSTM(128)(layers.LSTM(128, return_sequences=True)(inputs)))


def simple_rnn(layers: Any) -> tuple[Any, Any]:
    inputs = layers.Input((64, 32), name="series")
    return inputs, layers.Dense(10)(layers.SimpleRNN(128)(layers.SimpleRNN(128, return_sequences=True)(inputs)))


def masked_lstm(layers: Any) -> tuple[Any, Any]:
    inputs = layers.Input((64,), dtype="int32", name="tokens")
    x = layers.Embedding(1000, 64, mask_zero=True)(inputs)
    return inputs, layers.Dense(10)(layers.LSTM(128)(layers.LSTM(128, return_sequences=True)(x)))


def bidirectional(layers: Any) -> tuple[Any, Any]:
    inputs = layers.Input((64, 32), name="series")
    return inputs, layers.Dense(10)(layers.Bidirectional(layers.LSTM(128))(inputs))


def conv_lstm(layers: Any) -> tuple[Any, Any]:
    inputs = layers.Input((10, 24, 24, 4), name="frames")
    return inputs, layers.ConvLSTM2D(16, 3, padding="same")(inputs)


def _encoder(layers: Any, x: Any, heads: int, size: int, hidden: int, blocks: int) -> Any:
    """Blocks that normalize first. With relu: onnxruntime refuses what the peers write for an exact gelu."""
    width = x.shape[-1]
    for _ in range(blocks):
        y = layers.LayerNormalization(epsilon=1e-6)(x)
        x = layers.Add()([x, layers.MultiHeadAttention(heads, size)(y, y)])
        y = layers.Dense(hidden, activation="relu")(layers.LayerNormalization(epsilon=1e-6)(x))
        x = layers.Add()([x, layers.Dense(width)(y)])
    return layers.LayerNormalization(epsilon=1e-6)(x)


def transformer(layers: Any) -> tuple[Any, Any]:
    inputs = layers.Input((128, 256), name="tokens")
    return inputs, _encoder(layers, inputs, 4, 64, 1024, blocks=2)


def transformer_block(layers: Any) -> tuple[Any, Any]:
    """The block of Keras's example of text classification: it normalizes last."""
    inputs = layers.Input((200, 32), name="tokens")
    x = layers.Add()([inputs, layers.Dropout(0.1)(layers.MultiHeadAttention(2, 32)(inputs, inputs))])
    x = layers.LayerNormalization(epsilon=1e-6)(x)
    y = layers.Dropout(0.1)(layers.Dense(32)(layers.Dense(32, activation="relu")(x)))
    return inputs, layers.LayerNormalization(epsilon=1e-6)(layers.Add()([x, y]))


def vit(layers: Any) -> tuple[Any, Any]:
    """The sizes of Keras's example of image classification: 144 patches of 64 numbers."""
    inputs = layers.Input((144, 64), name="patches")
    return inputs, _encoder(layers, inputs, 4, 64, 128, blocks=8)


def layer_norm(layers: Any) -> tuple[Any, Any]:
    inputs = layers.Input((128, 256), name="tokens")
    x = inputs
    for _ in range(4):
        x = layers.Add()([x, layers.Dense(256, activation="relu")(layers.LayerNormalization(epsilon=1e-6)(x))])
    return inputs, x


def exact_gelu(layers: Any) -> tuple[Any, Any]:
    inputs = layers.Input((64,), name="features")
    return inputs, layers.Dense(64, activation="gelu", name="result")(inputs)


def grouped_conv(layers: Any) -> tuple[Any, Any]:
    inputs = layers.Input((32, 32, 16), name="image")
    return inputs, layers.Conv2D(32, 3, groups=4, padding="same", name="result")(inputs)


def discretization(layers: Any) -> tuple[Any, Any]:
    inputs = layers.Input((8,), name="features")
    return inputs, layers.Discretization(bin_boundaries=[-1.0, 0.0, 1.0], name="result")(inputs)


def mlp(layers: Any, gigabytes: float = 2.5) -> tuple[Any, Any]:
    """Dense layers of 8192 units with so many bytes of weights."""
    inputs = layers.Input((8192,), name="x")
    x = inputs
    for _ in range(round(gigabytes * 2**30 / (8192 * 8192 * 4))):
        x = layers.Dense(8192, activation="relu")(x)
    return inputs, x


NETWORKS: dict[str, Callable[[Any], tuple[Any, Any]]] = {
    build.__name__: build
    for build in (
        vgg19,
        resnet50,
        mobilenet_v2,
        densenet121,
        efficientnet_b0,
        convnext,
        gru,
        lstm,
        simple_rnn,
        masked_lstm,
        bidirectional,
        conv_lstm,
        transformer,
        transformer_block,
        vit,
        layer_norm,
        exact_gelu,
        grouped_conv,
        discretization,
        mlp,
    )
}
"""Builders by name. Each gives the inputs and outputs of a model."""
