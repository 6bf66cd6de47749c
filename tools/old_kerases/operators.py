"""Operators and functions on the tensors of Keras: TFOpLambda in Keras 2, operations in Keras 3."""

from __future__ import annotations

from old_kerases.cases import CASES, Case, case


def _on(name, function, shapes=((4, 5),), dtype=None):
    def build(K):
        xs = [K.Input(shape, **({"dtype": dtype} if dtype else {})) for shape in shapes]
        return K.Model(xs if len(xs) > 1 else xs[0], function(K, *xs))

    CASES[name] = Case(name, build)


_on("op_add_one", lambda K, x: x + 1)
_on("op_arithmetic", lambda K, x, y: (x - y) * 2.0 / (3.0 - x * 0.1), ((4, 5), (4, 5)))
_on("op_power", lambda K, x: x**2)
_on("op_negative", lambda K, x: -x)
_on("op_abs", lambda K, x: abs(x))
_on("op_right", lambda K, x: [1 - x, 2 / (x * x + 1)])
_on("op_matmul", lambda K, x, y: x @ y, ((4, 5), (5, 3)))
_on("op_slice", lambda K, x: [x[:, 0], x[:, 1:3], x[:, ::2, -1]])
_on("op_slice_ellipsis", lambda K, x: [x[..., 1], x[:, None, 1:]])
_on("op_compare", lambda K, x, y: [x > y, x <= y], ((4,), (4,)))
_on("op_residual", lambda K, x: K.layers.Dense(5)(x) + x)
_on("op_gate", lambda K, x: x * K.layers.Dense(5, activation="sigmoid")(x))
for each in ("relu", "sigmoid", "tanh", "softmax", "gelu", "swish", "elu", "softplus", "exponential"):
    _on(f"op_act_{each}", lambda K, x, name=each: getattr(K.activations, name)(x))
_on("op_act_relu_arguments", lambda K, x: K.activations.relu(x, negative_slope=0.1, max_value=1.0))

_OPS = {
    "reshape": lambda o, x: o.reshape(x, (-1, 5, 4)),
    "transpose": lambda o, x: o.transpose(x, (0, 2, 1)),
    "mean": lambda o, x: [o.mean(x, axis=1), o.mean(x, axis=-1, keepdims=True)],
    "sum": lambda o, x: [o.sum(x, axis=(1, 2)), o.sum(x)],
    "max": lambda o, x: [o.max(x, axis=1), o.argmax(x, axis=-1)],
    "stack": lambda o, x: [o.stack([x, x * 2], axis=1), o.concatenate([x, x + 1], axis=-1)],
    "where": lambda o, x: o.where(x > 0, x, 0.1 * x),
    "exp": lambda o, x: [o.exp(x), o.log(o.abs(x) + 1), o.sqrt(o.square(x)), o.sin(x), o.tanh(x)],
    "clip": lambda o, x: o.clip(x, -0.5, 0.5),
    "einsum": lambda o, x: o.einsum("bij,bkj->bik", x, x),
    "matmul": lambda o, x: o.matmul(x, o.transpose(x, (0, 2, 1))),
    "expand": lambda o, x: [o.expand_dims(x, 1), o.squeeze(o.expand_dims(x, -1), -1)],
    "split": lambda o, x: list(o.split(x, [1, 3], axis=1)),
    "split_equal": lambda o, x: list(o.split(x, 2, axis=1)),
    "pad": lambda o, x: o.pad(x, ((0, 0), (1, 0), (0, 2))),
    "cast": lambda o, x: o.cast(o.cast(x * 3, "int32"), "float32"),
    "take": lambda o, x: o.take(x, 2, axis=1),
    "one_hot": lambda o, x: o.one_hot(o.argmax(x, axis=-1), 5),
    "top_k": lambda o, x: list(o.top_k(x, 2)),
    "softmax": lambda o, x: [o.softmax(x, axis=1), o.relu(x), o.leaky_relu(x), o.log_softmax(x)],
    "norm": lambda o, x: [o.var(x, axis=1), o.std(x, axis=-1), o.norm(x, axis=-1)],
    "zeros": lambda o, x: [o.zeros_like(x) + x, o.ones_like(x) * x],
    "logic": lambda o, x: o.cast(o.logical_and(x > 0, x < 1), "float32"),
    "cumsum": lambda o, x: o.cumsum(x, axis=1),
    "flip": lambda o, x: [o.flip(x, axis=1), o.roll(x, 1, axis=1), o.repeat(x, 2, axis=1), o.tile(x, (1, 2, 1))],
    "minimum": lambda o, x: [o.minimum(x, 0.2), o.maximum(x, 0.2), o.sign(x), o.floor(x), o.round(x)],
    "tensordot": lambda o, x: o.tensordot(x, o.ones((5, 2)), axes=1),
    "swapaxes": lambda o, x: [o.swapaxes(x, 1, 2), o.moveaxis(x, 1, 2), o.broadcast_to(x, (3, 4, 5)) * 1.0],
}
for each, function in _OPS.items():
    _on(f"ops_{each}", lambda K, x, call=function: call(K.ops, x))
_on("ops_images", lambda K, x: K.ops.image.resize(x, (4, 6)), ((8, 9, 3),))
_on("ops_conv", lambda K, x: K.ops.average_pool(x, 2, 2), ((8, 8, 3),))


@case
def op_positions(K):
    """Learned positions added to tokens, with a layer that embeds a constant."""
    L = K.layers
    ids = K.Input((6,), dtype="int32")
    return K.Model(ids, L.Embedding(9, 4)(ids) * 2.0 + L.Embedding(6, 4)(ids * 0 + 1))


@case
def op_scaled_residuals(K):
    L = K.layers
    x = y = K.Input((8,))
    for scale in (0.1, 0.2):
        y = y + L.Dense(8)(L.ReLU()(y)) * scale
    return K.Model(x, y)
