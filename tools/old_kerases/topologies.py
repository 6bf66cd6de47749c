"""What calls what: shared layers, models in models, several inputs and outputs, structures, names."""

from __future__ import annotations

from old_kerases.cases import case


def _mlp(K, size=4, name=None):
    x = K.Input((size,))
    return K.Model(x, K.layers.Dense(4, activation="tanh")(K.layers.Dense(5)(x)), **({"name": name} if name else {}))


def _chain(K, size=4, name=None):
    layers = [K.Input((size,)), K.layers.Dense(5, activation="relu"), K.layers.Dense(4)]
    return K.Sequential(layers, **({"name": name} if name else {}))


def _built(model, size):
    model.build((None, size))
    return model


@case
def shared_layer(K):
    x, y = K.Input((4,)), K.Input((4,))
    layer = K.layers.Dense(3, activation="tanh")
    return K.Model([x, y], K.layers.Concatenate()([layer(x), layer(y), layer(x)]))


@case
def shared_chain(K):
    x = K.Input((4,))
    layer = K.layers.Dense(4, activation="tanh")
    return K.Model(x, layer(layer(layer(x))))


@case
def shared_first_call_unused(K):
    x, y = K.Input((4,)), K.Input((4,))
    layer = K.layers.Dense(4)
    layer(x)
    return K.Model(y, layer(K.layers.ReLU()(y)))


@case
def shared_model(K):
    x, y = K.Input((4,)), K.Input((4,))
    inner = _mlp(K)
    return K.Model([x, y], K.layers.Subtract()([inner(x), inner(y)]))


@case
def shared_sequential(K):
    x, y = K.Input((4,)), K.Input((4,))
    inner = _chain(K)
    return K.Model([x, y], [inner(x), inner(y)])


@case
def nested_chain(K):
    x = K.Input((4,))
    inner = _mlp(K)
    return K.Model(x, inner(inner(inner(x))))


@case
def nested_second_output(K):
    x = K.Input((4,))
    inner = _mlp(K)
    inner(x)
    return K.Model(x, inner(K.layers.Dense(4)(x)))


@case
def nested_deep(K):
    x = K.Input((4,))
    one = _mlp(K)
    y = K.Input((4,))
    two = K.Model(y, K.layers.Add()([one(y), y]))
    z = K.Input((4,))
    three = K.Model(z, two(two(z)))
    return K.Model(x, three(x))


@case
def nested_sequential_of_sequential(K):
    inner = K.Sequential([K.Input((4,)), K.layers.Dense(5), _chain(K, 5)])
    return _built(K.Sequential([inner, K.layers.Dense(2)]), 4)


@case
def nested_functional_in_sequential(K):
    return K.Sequential([_mlp(K), K.layers.Dense(3), _mlp(K, 3), K.layers.Activation("relu")])


@case
def nested_sequential_in_functional(K):
    x = K.Input((4,))
    return K.Model(x, _chain(K)(K.layers.Dense(4)(x)))


@case
def nested_gan(K):
    z = K.Input((3,))
    return K.Model(z, _chain(K, name="discriminator")(_chain(K, 3, name="generator")(z)))


@case
def nested_gan_sequential(K):
    return _built(K.Sequential([_chain(K, 3, name="generator"), _chain(K, name="discriminator")]), 3)


@case
def nested_reused_at_two_depths(K):
    x = K.Input((4,))
    layer = K.layers.Dense(4, activation="tanh")
    y = K.Input((4,))
    inner = K.Model(y, layer(y))
    return K.Model(x, K.layers.Concatenate()([layer(x), inner(x), layer(inner(x))]))


@case
def nested_model_in_two_models(K):
    inner, x, y, z = _mlp(K), K.Input((4,)), K.Input((4,)), K.Input((4,))
    first = K.Model(x, K.layers.Dense(2)(inner(x)))
    second = K.Model(y, K.layers.ReLU()(inner(y)))
    return K.Model(z, [first(z), second(z)])


@case
def nested_part_of_a_model(K):
    base = _mlp(K)
    part = K.Model(base.input, base.layers[1].output)
    x = K.Input((4,))
    return K.Model(x, [part(x), base(x)])


@case
def model_on_anothers_tensors(K):
    base = _mlp(K)
    y = K.layers.Dense(2, name="head")(base.output)
    return K.Model(base.input, y)


@case
def model_on_sequential_tensors(K):
    base = _chain(K)
    return K.Model(inputs=base.inputs, outputs=[base.layers[-2].output, base.layers[-1].output])


@case
def model_from_a_middle(K):
    x = K.Input((4,))
    y = K.layers.Dense(5, name="middle")(x)
    z = K.layers.Dense(2)(K.layers.ReLU()(y))
    whole = K.Model(x, z)
    return K.Model(whole.get_layer("middle").output, whole.output)


@case
def inner_several_outputs(K):
    x = K.Input((4,))
    inner = K.Model(x, [K.layers.Dense(3)(x), K.layers.Dense(2)(x)])
    y = K.Input((4,))
    a, b = inner(y)
    c, d = inner(K.layers.ReLU()(y))
    return K.Model(y, [K.layers.Concatenate()([a, d]), b, c])


@case
def inner_several_inputs(K):
    x, y = K.Input((4,)), K.Input((3,))
    inner = K.Model([x, y], K.layers.Concatenate()([K.layers.Dense(2)(x), y]))
    a, b = K.Input((4,)), K.Input((3,))
    return K.Model([b, a], inner([a, K.layers.ReLU()(b)]))


@case
def inner_dict_inputs(K):
    x, y = K.Input((4,), name="left"), K.Input((3,), name="right")
    inner = K.Model({"left": x, "right": y}, K.layers.Concatenate()([x, y]))
    a, b = K.Input((4,)), K.Input((3,))
    return K.Model([a, b], K.layers.Dense(2)(inner({"left": a, "right": b})))


@case
def dict_inputs(K):
    xs = {"wide": K.Input((4,), name="wide"), "deep": K.Input((3,), name="deep")}
    return K.Model(xs, K.layers.Dense(2)(K.layers.Concatenate()([xs["wide"], K.layers.ReLU()(xs["deep"])])))


@case
def dict_outputs(K):
    x = K.Input((4,))
    return K.Model(x, {"zeta": K.layers.Dense(2, name="z")(x), "alpha": K.layers.Dense(3, name="a")(x)})


@case
def inner_dict_outputs(K):
    x = K.Input((4,))
    inner = K.Model(x, {"zeta": K.layers.Dense(2)(x), "alpha": K.layers.Dense(3)(x)})
    y = K.Input((4,))
    found = inner(y)
    return K.Model(y, K.layers.Concatenate()([found["alpha"], found["zeta"]]))


@case
def list_of_one(K):
    x = K.Input((4,))
    return K.Model([x], [K.layers.Dense(2)(x)])


@case
def inner_list_of_one(K):
    x = K.Input((4,))
    inner = K.Model([x], [K.layers.Dense(3)(x)])
    y = K.Input((4,))
    found = inner(y)
    return K.Model(y, K.layers.Dense(2)(found[0] if isinstance(found, (list, tuple)) else found))


@case
def input_is_output(K):
    x = K.Input((4,))
    return K.Model(x, [x, K.layers.Dense(2)(x)])


@case
def output_twice(K):
    x = K.Input((4,))
    y = K.layers.Dense(2)(x)
    return K.Model(x, [y, y])


@case
def inputs_in_other_order(K):
    x, y = K.Input((4,), name="second"), K.Input((3,), name="first")
    return K.Model([y, x], K.layers.Concatenate()([K.layers.Dense(2)(x), y]))


@case
def names_odd(K):
    x = K.Input((4,), name="in")
    y = K.layers.Dense(4, name="a.b-c")(x)
    y = K.layers.Dense(4, name="1st")(y)
    y = K.layers.Dense(4, name="dense_2")(y)
    return K.Model(x, K.layers.Dense(4, name="dense")(y), name="model with spaces")


@case
def names_with_slashes(K):
    x = K.Input((4,))
    y = K.layers.Dense(4, name="block/dense")(x)
    return K.Model(x, K.layers.BatchNormalization(name="block/bn/1")(y))


@case
def names_of_classes(K):
    x = K.Input((4,), name="dense_1")
    y = K.layers.Dense(4, name="relu")(x)
    return K.Model(x, K.layers.ReLU(name="dense")(y), name="input_1")


@case
def many_numbered(K):
    x = y = K.Input((3,))
    for _ in range(12):
        y = K.layers.Add()([K.layers.Dense(3, activation="tanh")(y), y])
    return K.Model(x, y)


@case
def layers_made_in_another_order(K):
    L = K.layers
    last, first, middle = L.Dense(2), L.Dense(5), L.Dense(4)
    x = K.Input((4,))
    return K.Model(x, last(middle(first(x))))


@case
def diamond(K):
    L = K.layers
    x = K.Input((4,))
    left, right = L.Dense(4)(x), L.Dense(4)(x)
    both = L.Add()([right, left])
    return K.Model(x, L.Concatenate()([both, left, x]))


@case
def timedistributed_model(K):
    x = K.Input((3, 4))
    return K.Model(x, K.layers.TimeDistributed(_mlp(K))(x))


@case
def timedistributed_sequential(K):
    x = K.Input((3, 4))
    return K.Model(x, K.layers.LSTM(3)(K.layers.TimeDistributed(_chain(K))(x)))


@case
def timedistributed_shared(K):
    x, y = K.Input((3, 4)), K.Input((4,))
    inner = _mlp(K)
    return K.Model([x, y], [K.layers.TimeDistributed(inner)(x), inner(y)])


@case
def sequential_without_input(K):
    model = K.Sequential([K.layers.Dense(5, activation="relu"), K.layers.Dense(2)])
    model.build((None, 4))
    return model


@case
def sequential_input_shape(K):
    return K.Sequential([K.layers.Dense(5, activation="relu", input_shape=(4,)), K.layers.Dense(2)])


@case
def sequential_input_dim(K):
    return K.Sequential([K.layers.Dense(5, input_dim=4), K.layers.Dropout(0.2), K.layers.Dense(2)])


@case
def sequential_input_layer(K):
    return K.Sequential([K.layers.InputLayer((4,)), K.layers.Dense(2)])


@case
def sequential_added(K):
    model = K.Sequential(name="added")
    model.add(K.Input((4,)))
    for size in (3, 2):
        model.add(K.layers.Dense(size))
    model.pop()
    model.add(K.layers.Activation("relu"))
    return model


@case
def sequential_built_by_call(K):
    import numpy as np

    inner = K.Sequential([K.layers.Dense(3), K.layers.Dense(2)])
    model = K.Sequential([inner, K.layers.ReLU()])
    model(np.zeros((2, 4), "float32"))
    return model


@case
def sequential_of_one(K):
    return K.Sequential([K.Input((4,)), K.layers.Dense(2)])


@case
def called_in_training_false(K):
    x = K.Input((4, 4, 2))
    y = K.layers.Dropout(0.5)(K.layers.BatchNormalization()(x, training=False), training=False)
    inner = K.Sequential([K.Input((4, 4, 2)), K.layers.BatchNormalization(), K.layers.Flatten()])
    return K.Model(x, inner(y, training=False))


@case
def scalar_input(K):
    x = K.Input(())
    return K.Model(x, K.layers.Rescaling(2.0, 1.0)(x))


@case
def siamese_cosine(K):
    x, y = K.Input((4,)), K.Input((4,))
    inner = _chain(K)
    return K.Model([x, y], K.layers.Dot(axes=1, normalize=True)([inner(x), inner(y)]))


@case
def inner_unused_output(K):
    x = K.Input((4,))
    inner = K.Model(x, [K.layers.Dense(3)(x), K.layers.Dense(2)(x)])
    y = K.Input((4,))
    return K.Model(y, inner(y)[1])


@case
def inner_of_masks(K):
    L = K.layers
    ids = K.Input((6,), dtype="int32")
    inner = K.Model(ids, L.Embedding(9, 4, mask_zero=True)(ids))
    outer = K.Input((6,), dtype="int32")
    return K.Model(outer, L.LSTM(3)(inner(outer)))


@case
def inner_with_recurrent(K):
    L = K.layers
    inner = K.Sequential([K.Input((6, 4)), L.LSTM(3, return_sequences=True), L.LSTM(2)])
    ids = K.Input((6,), dtype="int32")
    return K.Model(ids, inner(L.Embedding(9, 4, mask_zero=True)(ids)))
