"""Convolutions, pooling and resizing of one, two and three dimensions."""

from __future__ import annotations

from old_kerases.cases import branches, stack

branches(
    "conv1d",
    (9, 4),
    lambda L: [
        L.Conv1D(3, 3),
        L.Conv1D(3, 4, strides=2, padding="same", activation="relu"),
        L.Conv1D(3, 2, dilation_rate=2, padding="causal"),
        L.Conv1D(4, 3, groups=2, use_bias=False),
        L.Conv1D(2, 1, padding="same", activation="tanh", bias_initializer="ones"),
    ],
)
branches(
    "conv2d",
    (8, 9, 4),
    lambda L: [
        L.Conv2D(3, 3),
        L.Conv2D(3, (3, 2), strides=(2, 1), padding="same", activation="relu"),
        L.Conv2D(3, 3, dilation_rate=(2, 1), use_bias=False),
        L.Conv2D(4, 3, groups=2, padding="same"),
        L.Conv2D(3, 4, strides=3, padding="same"),
    ],
)
stack("conv2d_first", (4, 8, 9), lambda L: [L.Conv2D(3, 3, data_format="channels_first", strides=2)])
stack("conv1d_first", (4, 9), lambda L: [L.Conv1D(3, 3, data_format="channels_first")])
stack("conv2d_open", (None, None, 3), lambda L: [L.Conv2D(4, 3, padding="same", strides=2), L.GlobalMaxPooling2D()])
branches(
    "conv3d",
    (5, 6, 6, 2),
    lambda L: [L.Conv3D(3, 2), L.Conv3D(3, (1, 3, 2), strides=(1, 2, 1), padding="same", activation="elu")],
)
branches(
    "conv1d_transpose",
    (5, 3),
    lambda L: [
        L.Conv1DTranspose(2, 3),
        L.Conv1DTranspose(2, 3, strides=2, padding="same"),
        L.Conv1DTranspose(2, 4, strides=3, output_padding=1, activation="relu"),
        L.Conv1DTranspose(2, 3, dilation_rate=2),
    ],
)
branches(
    "conv2d_transpose",
    (4, 5, 3),
    lambda L: [
        L.Conv2DTranspose(2, 3),
        L.Conv2DTranspose(2, 3, strides=2, padding="same", activation="relu"),
        L.Conv2DTranspose(2, (2, 3), strides=(2, 1), use_bias=False),
        L.Conv2DTranspose(2, 3, strides=2, output_padding=1),
        L.Conv2DTranspose(2, 3, dilation_rate=2),
        L.Conv2DTranspose(2, 4, strides=3, padding="same"),
        L.Conv2DTranspose(2, 1, strides=2),
    ],
)
branches(
    "conv3d_transpose",
    (3, 3, 4, 2),
    lambda L: [L.Conv3DTranspose(2, 2), L.Conv3DTranspose(2, 3, strides=2, padding="same", activation="tanh")],
)
branches(
    "depthwise2d",
    (8, 8, 3),
    lambda L: [
        L.DepthwiseConv2D(3),
        L.DepthwiseConv2D((3, 2), strides=2, padding="same", depth_multiplier=2, activation="relu"),
        L.DepthwiseConv2D(3, use_bias=False, dilation_rate=2),
    ],
)
branches(
    "depthwise1d",
    (8, 3),
    lambda L: [L.DepthwiseConv1D(3), L.DepthwiseConv1D(3, strides=2, padding="same", depth_multiplier=2)],
)
branches(
    "separable1d",
    (8, 3),
    lambda L: [
        L.SeparableConv1D(4, 3),
        L.SeparableConv1D(4, 3, strides=2, padding="same", depth_multiplier=2, activation="relu"),
        L.SeparableConv1D(4, 2, dilation_rate=2, use_bias=False),
        L.SeparableConv1D(4, 3, padding="causal"),
    ],
)
branches(
    "separable2d",
    (8, 8, 3),
    lambda L: [
        L.SeparableConv2D(4, 3),
        L.SeparableConv2D(4, (3, 2), strides=2, padding="same", depth_multiplier=2, activation="relu"),
        L.SeparableConv2D(
            4, 2, dilation_rate=2, use_bias=False, depthwise_regularizer="l2", pointwise_constraint="non_neg"
        ),
    ],
)
stack(
    "separable1d_valid", (8, 3), lambda L: [L.SeparableConv1D(4, 3, depthwise_initializer="he_normal")], sequential=True
)
stack(
    "conv2d_initialized", (8, 8, 3), lambda L: [L.Convolution2D(4, 3, kernel_initializer="he_uniform")], sequential=True
)
stack("locally_connected1d", (8, 3), lambda L: [L.LocallyConnected1D(2, 3, strides=2)])
stack("locally_connected2d", (6, 6, 2), lambda L: [L.LocallyConnected2D(2, 3, implementation=2)])

for kind in ("Max", "Average"):
    branches(
        f"pool1d_{kind.lower()}",
        (9, 3),
        lambda L, k=f"{kind}Pooling1D": [
            getattr(L, k)(2),
            getattr(L, k)(3, strides=1, padding="same"),
            getattr(L, k)(pool_size=2, strides=3),
        ],
    )
    branches(
        f"pool2d_{kind.lower()}",
        (9, 8, 3),
        lambda L, k=f"{kind}Pooling2D": [
            getattr(L, k)(2),
            getattr(L, k)((3, 2), strides=1, padding="same"),
            getattr(L, k)(3, strides=(2, 3)),
        ],
    )
    branches(
        f"pool3d_{kind.lower()}",
        (5, 6, 6, 2),
        lambda L, k=f"{kind}Pooling3D": [getattr(L, k)(2), getattr(L, k)(3, strides=2, padding="same")],
    )
    stack(
        f"pool2d_{kind.lower()}_first",
        (3, 8, 8),
        lambda L, k=f"{kind}Pooling2D": [getattr(L, k)(2, data_format="channels_first")],
    )
    stack(
        f"pool1d_{kind.lower()}_first",
        (3, 8),
        lambda L, k=f"{kind}Pooling1D": [getattr(L, k)(2, data_format="channels_first")],
    )
    for rank, shape in ((1, (7, 3)), (2, (4, 5, 3)), (3, (3, 4, 4, 2))):
        branches(
            f"global_{kind.lower()}{rank}d",
            shape,
            lambda L, k=f"Global{kind}Pooling{rank}D": [
                getattr(L, k)(),
                getattr(L, k)(keepdims=True),
                getattr(L, k)(data_format="channels_first"),
            ],
        )
stack("pool2d_old_names", (8, 8, 2), lambda L: [L.MaxPool2D(), L.AvgPool2D(2), L.GlobalAvgPool2D()], sequential=True)

branches("upsampling1d", (4, 3), lambda L: [L.UpSampling1D(), L.UpSampling1D(3)])
branches(
    "upsampling2d",
    (4, 5, 3),
    lambda L: [L.UpSampling2D(), L.UpSampling2D((2, 3)), L.UpSampling2D(2, interpolation="bilinear")],
)
for each in ("bicubic", "lanczos3", "lanczos5", "area", "gaussian", "mitchellcubic"):
    stack(f"upsampling2d_{each}", (4, 5, 3), lambda L, how=each: [L.UpSampling2D(2, interpolation=how)])
stack("upsampling2d_first", (3, 4, 5), lambda L: [L.UpSampling2D(2, data_format="channels_first")])
branches("upsampling3d", (3, 3, 4, 2), lambda L: [L.UpSampling3D(), L.UpSampling3D((1, 2, 3))])
stack("upsampling_open", (None, None, 3), lambda L: [L.UpSampling2D(2, interpolation="bilinear"), L.Conv2D(2, 3)])
