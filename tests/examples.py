"""One way to make and call each public layer, in dagir and in Keras alike: for the tests that go over all of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from dagir import layers

LAYERS = sorted(
    name
    for name in layers.__all__
    if isinstance(getattr(layers, name), type)
    and issubclass(getattr(layers, name), layers.Layer)
    and name not in ("Layer", "InputLayer", "Wrapper")
)


@dataclass(frozen=True)
class Example:
    """kwargs: of the constructor; functions of the namespace make layers in it. shapes: of the inputs, None unknown.

    listed: the inputs go in as one list. dtype: of the inputs. integers: the ids are below this. fixed: the weights
    are what the layer makes them.
    """

    shapes: tuple[tuple[int | None, ...], ...]
    kwargs: dict[str, Any] = field(default_factory=dict)
    listed: bool = False
    dtype: str = "float32"
    integers: int = 5
    fixed: bool = False

    def make(self, home: Any, name: str) -> Any:
        """The layer, in dagir or in keras."""
        made = {key: value(home) if callable(value) else value for key, value in self.kwargs.items()}
        return getattr(home.layers, name)(**made)

    def call(self, layer: Any, values: list[Any]) -> Any:
        """The layer called on its inputs."""
        if self.listed:
            return layer(values)
        if hasattr(layer, "state_size") and len(values) > 1:  # a cell, and its states
            return layer(values[0], values[1:])
        return layer(*values)


def _one(*shape: int | None, fixed: bool = False, **kwargs: Any) -> Example:
    return Example((shape,), kwargs, fixed=fixed)


_SPACE = {1: (None,), 2: (None, 6), 3: (None, 5, 6)}
EXAMPLES: dict[str, Example] = {
    "Activation": _one(None, 4, activation="tanh"),
    "BatchNormalization": _one(None, 4),
    "LayerNormalization": _one(None, 4),
    "RMSNormalization": _one(None, 4),
    "UnitNormalization": _one(None, 4),
    "GroupNormalization": _one(None, 4, groups=2),
    "Dense": _one(None, 4, units=3),
    "EinsumDense": _one(None, 4, equation="abc,cd->abd", output_shape=(None, 3), bias_axes="d"),
    "Embedding": Example(((None,),), {"input_dim": 5, "output_dim": 3}, dtype="int32"),
    "ReversibleEmbedding": Example(((None,),), {"input_dim": 5, "output_dim": 3}, dtype="int32"),
    "PReLU": _one(None, 4, shared_axes=[1]),
    "SpectralNormalization": _one(None, 4, layer=lambda home: home.layers.Dense(3, name="inner")),
    "Lambda": _one(None, 4, function=lambda home: home.ops.square),
    "Reshape": _one(None, 4, target_shape=(-1, 2)),
    "Permute": _one(None, 4, dims=(2, 1)),
    "RepeatVector": _one(4, n=3),
    "Masking": _one(None, 4),
    **{name: _one(None, 4, rate=0.3) for name in ("Dropout", "AlphaDropout", "GaussianDropout", "SpatialDropout1D")},
    **{f"SpatialDropout{n}D": _one(*_SPACE[n], 4, rate=0.3) for n in (2, 3)},
    "GaussianNoise": _one(None, 4, stddev=0.3),
    "Attention": Example(((None, 4), (None, 4)), listed=True),
    "AdditiveAttention": Example(((None, 4), (None, 4)), listed=True),
    "MultiHeadAttention": Example(((None, 4), (None, 4)), {"num_heads": 2, "key_dim": 3}),
    "GroupQueryAttention": Example(
        ((None, 4), (None, 4)), {"head_dim": 3, "num_query_heads": 4, "num_key_value_heads": 2}
    ),
    **{
        name: Example(((None, 4), (None, 4)), listed=True)
        for name in ("Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum", "Concatenate")
    },
    "Dot": Example(((None, 4), (None, 4)), {"axes": 2}, listed=True),
    **{f"{name}{n}D": _one(*_SPACE[n], 4, filters=3, kernel_size=2) for name in ("Conv",) for n in (1, 2, 3)},
    **{f"Conv{n}DTranspose": _one(*_SPACE[n], 4, filters=3, kernel_size=2) for n in (1, 2, 3)},
    **{f"DepthwiseConv{n}D": _one(*_SPACE[n], 4, kernel_size=2) for n in (1, 2)},
    **{f"SeparableConv{n}D": _one(*_SPACE[n], 4, filters=3, kernel_size=2) for n in (1, 2)},
    **{
        f"{kind}{n}D": _one(*_SPACE[n], 4)
        for kind in (
            *("MaxPooling", "MaxPool", "GlobalMaxPooling", "GlobalMaxPool"),
            *("GlobalAveragePooling", "GlobalAvgPool", "ZeroPadding", "UpSampling"),
        )
        for n in (1, 2, 3)
    },
    **{f"{kind}{n}D": _one(*_SPACE[n], 4, pool_size=2) for kind in ("AveragePooling", "AvgPool") for n in (1, 2, 3)},
    "Cropping1D": _one(None, 4),
    "Cropping2D": _one(*_SPACE[2], 4, cropping=1),
    "Cropping3D": _one(*_SPACE[3], 4, cropping=1),
    **{f"Adaptive{kind}Pooling{n}D": _one(*(5, 6, 7)[:n], 4, output_size=2)
       for kind in ("Max", "Average") for n in (1, 2, 3)},
    **{name: _one(None, 4, units=3) for name in ("LSTM", "GRU", "SimpleRNN")},
    **{name: Example(((4,), *(((3,),) * states)), {"units": 3}) for name, states in
       {"LSTMCell": 2, "GRUCell": 1, "SimpleRNNCell": 1}.items()},
    "RNN": _one(None, 4, cell=lambda home: home.layers.LSTMCell(3, name="cell")),
    "StackedRNNCells": Example(
        ((4,), (3,), (2,)),
        {"cells": lambda home: [home.layers.GRUCell(3, name="a"), home.layers.SimpleRNNCell(2, name="b")]},
    ),
    "Bidirectional": _one(None, 4, layer=lambda home: home.layers.LSTM(3, return_sequences=True, name="inner")),
    "TimeDistributed": _one(None, 4, layer=lambda home: home.layers.Dense(3, name="inner")),
    "Resizing": _one(6, 5, 3, height=4, width=7),
    "CenterCrop": _one(6, 5, 3, height=4, width=3),
    "Rescaling": _one(None, 4, scale=2.0, offset=0.5),
    "Normalization": _one(None, 4, mean=0.3, variance=2.0),
}  # fmt: skip
_AUGMENTING = {  # the identity at inference, whatever the arguments
    "RandomZoom": {"height_factor": 0.2},
    "RandomTranslation": {"height_factor": 0.2, "width_factor": 0.3},
    "RandomCrop": {"height": 6, "width": 5},
    "RandomPosterization": {"factor": 4},
    **{f"Random{kind}": {"factor": 0.2} for kind in ("Rotation", "Contrast", "Brightness", "Hue")},
    **{f"Random{kind}": {"factor": 0.2} for kind in ("ColorDegeneration", "Saturation", "Sharpness")},
}
AUGMENTATION = [name for name in LAYERS if getattr(layers, name).__module__.endswith("augmentation")]
for _name in AUGMENTATION:
    EXAMPLES[_name] = _one(6, 5, 3, **_AUGMENTING.get(_name, {}))
EXAMPLES["AutoContrast"] = _one(6, 5, 3)
EXAMPLES |= {
    "ConvLSTM1D": _one(None, 6, 4, filters=3, kernel_size=2),
    "ConvLSTM2D": _one(None, 5, 6, 4, filters=3, kernel_size=2),
    "ConvLSTM3D": _one(None, 4, 5, 6, 4, filters=2, kernel_size=2),
    "CategoryEncoding": Example(((None,),), {"num_tokens": 5}, dtype="int32"),
    "Discretization": _one(None, 4, bin_boundaries=[-1.0, 0.5]),
    "IntegerLookup": Example(((None,),), {"vocabulary": [0, 2, 3]}, dtype="int64"),
    "StringLookup": Example(((None,),), {"vocabulary": ["a", "c", "d"]}, dtype="string"),
    "STFTSpectrogram": _one(None, 1, frame_length=3, frame_step=2, fft_length=4, fixed=True),
    "MelSpectrogram": _one(None, fft_length=4, sequence_stride=2, num_mel_bins=3, sampling_rate=16000, max_freq=8000),
}
for _name in ("Flatten", "Identity", "ReLU", "LeakyReLU", "ELU", "Softmax", "ActivityRegularization"):
    EXAMPLES[_name] = _one(None, 4)
EXAMPLES["Flatten"] = _one(None, 6, 4)
