"""Preprocessing layers, adapted and not, and augmentation."""

from __future__ import annotations

import numpy as np

from old_kerases.cases import branches, case, stack

WORDS = ["red", "green", "blue"]
IMAGES = (8, 9, 3)

branches("rescaling", (4, 3), lambda L: [L.Rescaling(1 / 255), L.Rescaling(scale=2.0, offset=-1.0)])
stack("rescaling_per_channel", (4, 3), lambda L: [L.Rescaling([0.5, 2.0, 1.0], offset=[0.1, 0.2, 0.3])])
stack("rescaling_integers", (4, 3), lambda L: [L.Rescaling(1 / 127.5, offset=-1)], dtype="uint8")
branches("resizing", IMAGES, lambda L: [L.Resizing(4, 5), L.Resizing(12, 6, interpolation="nearest")])
branches("resizing_crop", IMAGES, lambda L: [L.Resizing(4, 6, crop_to_aspect_ratio=True)])
branches("resizing_pad", IMAGES, lambda L: [L.Resizing(4, 6, pad_to_aspect_ratio=True)])
for each in ("bicubic", "lanczos3", "lanczos5", "area", "gaussian", "mitchellcubic"):
    stack(f"resizing_{each}", IMAGES, lambda L, how=each: [L.Resizing(5, 12, interpolation=how)])
branches("center_crop", IMAGES, lambda L: [L.CenterCrop(4, 5), L.CenterCrop(8, 3)])
stack("center_crop_larger", IMAGES, lambda L: [L.CenterCrop(12, 12)])

AUGMENTATIONS = {
    "flip": lambda L: L.RandomFlip("horizontal"),
    "flip_seed": lambda L: L.RandomFlip("horizontal_and_vertical", seed=3),
    "rotation": lambda L: L.RandomRotation(0.2, fill_mode="nearest"),
    "zoom": lambda L: L.RandomZoom(0.2, 0.1),
    "zoom_both": lambda L: L.RandomZoom(height_factor=(-0.2, 0.1), interpolation="nearest"),
    "translation": lambda L: L.RandomTranslation(0.1, (-0.2, 0.3)),
    "contrast": lambda L: L.RandomContrast(0.2),
    "brightness": lambda L: L.RandomBrightness(0.2, value_range=(0, 1)),
    "crop": lambda L: L.RandomCrop(5, 6),
    "height": lambda L: L.RandomHeight(0.2),
    "width": lambda L: L.RandomWidth((0.1, 0.3)),
}
for each, how in AUGMENTATIONS.items():
    stack(f"random_{each}", IMAGES, lambda L, made=how: [made(L)])
stack("random_of_integers", IMAGES, lambda L: [L.RandomFlip(), L.RandomRotation(0.1), L.Rescaling(0.5)], dtype="uint8")


@case
def augmentation_inside(K):
    L = K.layers
    augment = K.Sequential([L.RandomFlip("horizontal"), L.RandomRotation(0.1), L.RandomZoom(0.1)], name="augment")
    x = K.Input(IMAGES)
    return K.Model(x, L.Conv2D(3, 3)(L.Rescaling(1 / 255)(augment(x))))


@case
def augmentation_first(K):
    L = K.layers
    return K.Sequential(
        [K.Input(IMAGES), L.RandomFlip(), L.RandomContrast(0.1), L.Conv2D(3, 3), L.Flatten(), L.Dense(2)]
    )


@case(scrambled=False)
def normalization_adapted(K):
    layer = K.layers.Normalization()
    layer.adapt(np.random.default_rng(1).normal(3, 2, (50, 4)).astype("float32"))
    x = K.Input((4,))
    return K.Model(x, K.layers.Dense(2)(layer(x)))


@case(scrambled=False)
def normalization_adapted_all_axes(K):
    layer = K.layers.Normalization(axis=None)
    layer.adapt(np.random.default_rng(1).normal(3, 2, (50, 4, 2)).astype("float32"))
    x = K.Input((4, 2))
    return K.Model(x, layer(x))


@case(scrambled=False)
def normalization_adapted_axes(K):
    layer = K.layers.Normalization(axis=(1, 2))
    layer.adapt(np.random.default_rng(1).normal(3, 2, (50, 4, 2)).astype("float32"))
    x = K.Input((4, 2))
    return K.Model(x, layer(x))


@case(scrambled=False)
def normalization_inverted(K):
    x = K.Input((3,))
    layer = K.layers.Normalization(mean=[1.0, 2.0, 3.0], variance=[1.0, 4.0, 0.5], invert=True)
    return K.Model(x, [layer(x), K.layers.Normalization(mean=1.0, variance=2.0)(x)])


@case(scrambled=False)
def normalization_in_sequential(K):
    layer = K.layers.Normalization(input_shape=(4,))
    layer.adapt(np.random.default_rng(1).normal(3, 2, (50, 4)).astype("float32"))
    return K.Sequential([layer, K.layers.Dense(3, activation="relu"), K.layers.Dense(1)])


@case(scrambled=False)
def normalization_of_one_number(K):
    layer = K.layers.Normalization(axis=None, input_shape=(1,))
    layer.adapt(np.random.default_rng(1).normal(3, 2, (50,)).astype("float32"))
    return K.Sequential([layer, K.layers.Dense(units=1)])


@case(scrambled=False)
def discretization(K):
    x = K.Input((4,))
    return K.Model(x, K.layers.Discretization(bin_boundaries=[-0.5, 0.0, 0.7])(x))


for mode in ("one_hot", "multi_hot", "count"):
    stack(
        f"discretization_{mode}",
        (1 if mode == "one_hot" else 4,),
        lambda L, how=mode: [L.Discretization(bin_boundaries=[-0.5, 0.0, 0.7], output_mode=how)],
        scrambled=False,
    )
    stack(
        f"category_encoding_{mode}",
        (1 if mode == "one_hot" else 4,),
        lambda L, how=mode: [L.CategoryEncoding(6, output_mode=how), L.Dense(2)],
        dtype="int32",
    )


@case(scrambled=False)
def discretization_adapted(K):
    layer = K.layers.Discretization(num_bins=4, epsilon=0.01)
    layer.adapt(np.random.default_rng(1).normal(0, 1, (200, 1)).astype("float32"))
    x = K.Input((4,))
    return K.Model(x, layer(x))


branches("integer_lookup", (4,), lambda L: [L.IntegerLookup(vocabulary=[1, 4, 2])], dtype="int64", scrambled=False)
branches(
    "integer_lookup_arguments",
    (4,),
    lambda L: [
        L.IntegerLookup(vocabulary=[1, 4, 2], mask_token=0),
        L.IntegerLookup(vocabulary=[1, 4, 2], output_mode="multi_hot"),
        L.IntegerLookup(vocabulary=[1, 4, 2], output_mode="count"),
    ],
    dtype="int64",
    scrambled=False,
)
branches("string_lookup", (4,), lambda L: [L.StringLookup(vocabulary=WORDS)], dtype="string", scrambled=False)
branches(
    "string_lookup_arguments",
    (4,),
    lambda L: [
        L.StringLookup(vocabulary=WORDS, mask_token=""),
        L.StringLookup(vocabulary=WORDS, output_mode="multi_hot"),
        L.StringLookup(vocabulary=WORDS, oov_token="?", output_mode="count"),
    ],
    dtype="string",
    scrambled=False,
)


@case(scrambled=False)
def string_lookup_adapted(K):
    layer = K.layers.StringLookup(output_mode="one_hot")
    layer.adapt(np.array(["red", "red", "blue", "grey", "blue", "red"], dtype=object))
    x = K.Input((1,), dtype="string")
    return K.Model(x, K.layers.Dense(2)(layer(x)))


@case(scrambled=False)
def integer_lookup_adapted(K):
    layer = K.layers.IntegerLookup(output_mode="one_hot", max_tokens=4)
    layer.adapt(np.array([[1], [3], [3], [2], [3], [1]]))
    x = K.Input((1,), dtype="int64")
    return K.Model(x, K.layers.Dense(2)(layer(x)))


@case(scrambled=False)
def string_lookup_and_embedding(K):
    L = K.layers
    x = K.Input((4,), dtype="string")
    ids = L.StringLookup(vocabulary=WORDS, mask_token="")(x)
    return K.Model(x, L.GlobalAveragePooling1D()(L.Embedding(5, 4, mask_zero=True)(ids)))


@case(scrambled=False)
def hashing(K):
    x = K.Input((3,), dtype="string")
    return K.Model(x, K.layers.Hashing(num_bins=5)(x))


@case(scrambled=False)
def hashing_integers(K):
    x = K.Input((3,), dtype="int64")
    return K.Model(x, K.layers.Hashing(num_bins=5, salt=7)(x))


@case(scrambled=False)
def text_vectorization(K):
    layer = K.layers.TextVectorization(output_sequence_length=4, vocabulary=WORDS)
    x = K.Input((1,), dtype="string")
    return K.Model(x, layer(x))


@case(scrambled=False)
def structured_data(K):
    """Numbers and categories, each by its own layer, as in the tutorial on structured data."""
    L = K.layers
    rng = np.random.default_rng(2)
    age, kind = K.Input((1,), name="age"), K.Input((1,), name="kind", dtype="int64")
    scale = L.Normalization(axis=None)
    scale.adapt(rng.normal(40, 10, (80, 1)).astype("float32"))
    lookup = L.IntegerLookup()
    lookup.adapt(rng.integers(0, 4, (80, 1)))
    encode = L.CategoryEncoding(num_tokens=lookup.vocabulary_size())
    y = L.concatenate([scale(age), encode(lookup(kind))])
    return K.Model([age, kind], L.Dense(1)(L.Dropout(0.5)(L.Dense(8, activation="relu")(y))))


@case(scrambled=False)
def discretized_crossed(K):
    L = K.layers
    a, b = K.Input((1,), dtype="int64"), K.Input((1,), dtype="int64")
    return K.Model([a, b], L.HashedCrossing(num_bins=5)([a, b]))
