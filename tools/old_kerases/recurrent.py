"""Recurrent layers, attention and masks."""

from __future__ import annotations

from old_kerases.cases import branches, case, stack

KINDS = ("LSTM", "GRU", "SimpleRNN")

for kind in KINDS:
    name = kind.lower()
    stack(name, (5, 3), lambda L, k=kind: [getattr(L, k)(4)])
    branches(
        f"{name}_arguments",
        (5, 3),
        lambda L, k=kind: [
            getattr(L, k)(4, return_sequences=True),
            getattr(L, k)(4, go_backwards=True),
            getattr(L, k)(4, activation="relu", use_bias=False),
            getattr(L, k)(4, return_sequences=True, go_backwards=True, unroll=True, dropout=0.2),
            getattr(L, k)(4, recurrent_dropout=0.2, kernel_initializer="he_normal", bias_initializer="ones"),
        ],
    )
    stack(
        f"{name}_open_steps", (None, 3), lambda L, k=kind: [getattr(L, k)(4, return_sequences=True), getattr(L, k)(3)]
    )
    stack(f"{name}_sequential", (5, 3), lambda L, k=kind: [getattr(L, k)(4), L.Dense(2)], sequential=True)
    stack(f"{name}_stateful", (5, 3), lambda L, k=kind: [getattr(L, k)(4, stateful=True), L.Dense(2)], batch=2)
    stack(f"{name}_masking", (5, 3), lambda L, k=kind: [L.Masking(), getattr(L, k)(4), L.Dense(2)], padded=True)
    stack(
        f"{name}_masking_sequences",
        (5, 3),
        lambda L, k=kind: [L.Masking(0.0), getattr(L, k)(4, return_sequences=True), getattr(L, k)(3)],
        padded=True,
    )
    stack(
        f"{name}_embedding_mask",
        (6,),
        lambda L, k=kind: [L.Embedding(9, 4, mask_zero=True), getattr(L, k)(4, return_sequences=True), L.Dense(2)],
        dtype="int32",
    )
    branches(
        f"bidirectional_{name}",
        (5, 3),
        lambda L, k=kind: [
            L.Bidirectional(getattr(L, k)(4)),
            L.Bidirectional(getattr(L, k)(4, return_sequences=True), merge_mode="sum"),
            L.Bidirectional(getattr(L, k)(4), merge_mode="ave"),
            L.Bidirectional(getattr(L, k)(4, return_sequences=True), merge_mode="mul"),
            L.Bidirectional(getattr(L, k)(4), backward_layer=getattr(L, k)(4, go_backwards=True, activation="relu")),
        ],
    )
    stack(
        f"bidirectional_{name}_masked",
        (6,),
        lambda L, k=kind: [
            L.Embedding(9, 4, mask_zero=True),
            L.Bidirectional(getattr(L, k)(3, return_sequences=True)),
            L.Bidirectional(getattr(L, k)(3)),
        ],
        dtype="int32",
        sequential=True,
    )
    stack(f"rnn_{name}_cell", (5, 3), lambda L, k=kind: [L.RNN(getattr(L, f"{k}Cell")(4), return_sequences=True)])
    stack(f"{name}_time_major", (5, 3), lambda L, k=kind: [getattr(L, k)(4, time_major=True)], batch=5)

stack("gru_reset_before", (5, 3), lambda L: [L.GRU(4, reset_after=False)])
stack("gru_hard_sigmoid", (5, 3), lambda L: [L.GRU(4, recurrent_activation="hard_sigmoid", reset_after=False)])
stack("lstm_hard_sigmoid", (5, 3), lambda L: [L.LSTM(4, recurrent_activation="hard_sigmoid")])
stack("lstm_forget_off", (5, 3), lambda L: [L.LSTM(4, unit_forget_bias=False, implementation=1)])
stack("rnn_stacked_cells", (5, 3), lambda L: [L.RNN([L.LSTMCell(4), L.GRUCell(3), L.SimpleRNNCell(2)])])
stack("rnn_stacked_layer", (5, 3), lambda L: [L.RNN(L.StackedRNNCells([L.LSTMCell(4), L.LSTMCell(3)]), unroll=True)])
stack("bidirectional_rnn_cell", (5, 3), lambda L: [L.Bidirectional(L.RNN(L.GRUCell(4)))])
stack("bidirectional_stacked", (5, 3), lambda L: [L.Bidirectional(L.RNN([L.LSTMCell(4), L.LSTMCell(3)]))])
stack("timedistributed_lstm", (3, 5, 2), lambda L: [L.TimeDistributed(L.LSTM(4)), L.LSTM(2)])
stack("cudnn_lstm", (5, 3), lambda L: [L.CuDNNLSTM(4)])
for rank, shape in ((1, (3, 6, 2)), (2, (3, 6, 6, 2)), (3, (2, 4, 4, 4, 2))):
    stack(f"convlstm{rank}d", shape, lambda L, k=f"ConvLSTM{rank}D": [getattr(L, k)(2, 3)])
    branches(
        f"convlstm{rank}d_arguments",
        shape,
        lambda L, k=f"ConvLSTM{rank}D": [
            getattr(L, k)(2, 3, padding="same", return_sequences=True, dropout=0.1),
            getattr(L, k)(2, 2, strides=2, go_backwards=True, use_bias=False),
            getattr(L, k)(2, 2, recurrent_activation="sigmoid", activation="relu"),
        ],
    )


@case
def lstm_states(K):
    x = K.Input((5, 3))
    y, h, c = K.layers.LSTM(4, return_state=True, return_sequences=True)(x)
    return K.Model(x, [K.layers.LSTM(4)(y, initial_state=[h, c]), h, c])


@case
def gru_states(K):
    x, state = K.Input((5, 3)), K.Input((4,))
    y, h = K.layers.GRU(4, return_state=True)(x, initial_state=state)
    return K.Model([x, state], [y, h])


@case
def simplernn_states(K):
    x, state = K.Input((5, 3)), K.Input((4,))
    y = K.layers.SimpleRNN(4)(x, initial_state=state)
    return K.Model([x, state], y)


@case
def bidirectional_states(K):
    x = K.Input((5, 3))
    y, fh, fc, bh, bc = K.layers.Bidirectional(K.layers.LSTM(4, return_state=True, return_sequences=True))(x)
    z = K.layers.Bidirectional(K.layers.LSTM(4))(y, initial_state=[fh, fc, bh, bc])
    return K.Model(x, [z, fh, bc])


@case
def bidirectional_split(K):
    x = K.Input((5, 3))
    forth, back = K.layers.Bidirectional(K.layers.GRU(4), merge_mode=None)(x)
    return K.Model(x, [forth, back])


@case
def rnn_return_state(K):
    L = K.layers
    x = K.Input((5, 3))
    return K.Model(x, L.RNN([L.LSTMCell(4), L.GRUCell(3)], return_state=True)(x)[:1])


@case
def lstm_mask_given(K):
    x, mask = K.Input((5, 3)), K.Input((5,), dtype="bool")
    return K.Model([x, mask], K.layers.LSTM(4)(x, mask=mask))


@case
def attention(K):
    L = K.layers
    q, v = K.Input((4, 6)), K.Input((5, 6))
    parts = [L.Attention()([q, v]), L.Attention(use_scale=True)([q, v, v]), L.AdditiveAttention()([q, v])]
    return K.Model([q, v], [*parts, L.AdditiveAttention(use_scale=False)([q, v])])


@case
def attention_concat(K):
    q, v = K.Input((4, 6)), K.Input((5, 6))
    return K.Model([q, v], K.layers.Attention(score_mode="concat")([q, v]))


@case
def attention_causal(K):
    x = K.Input((4, 6))
    return K.Model(x, K.layers.Attention()([x, x], use_causal_mask=True))


@case
def attention_scores(K):
    q, v = K.Input((4, 6)), K.Input((5, 6))
    return K.Model([q, v], list(K.layers.Attention(dropout=0.1)([q, v], return_attention_scores=True)))


@case
def attention_masked(K):
    L = K.layers
    q, v = K.Input((6,), dtype="int32"), K.Input((5,), dtype="int32")
    table = L.Embedding(9, 4, mask_zero=True)
    seen = L.Attention()([table(q), table(v)])
    return K.Model([q, v], L.GlobalAveragePooling1D()(L.Concatenate()([table(q), seen])))


@case
def multi_head(K):
    x = K.Input((5, 6))
    y = K.layers.MultiHeadAttention(2, 3)(x, x)
    return K.Model(x, K.layers.LayerNormalization()(y))


@case
def multi_head_arguments(K):
    q, v = K.Input((4, 6)), K.Input((5, 7))
    y = K.layers.MultiHeadAttention(2, 3, value_dim=4, use_bias=False, output_shape=5, dropout=0.1)(q, v)
    return K.Model([q, v], y)


@case
def multi_head_key(K):
    q, v, k = K.Input((4, 6)), K.Input((5, 7)), K.Input((5, 2))
    return K.Model([q, v, k], K.layers.MultiHeadAttention(num_heads=2, key_dim=3)(q, v, key=k))


@case
def multi_head_scores(K):
    x = K.Input((5, 6))
    return K.Model(x, list(K.layers.MultiHeadAttention(2, 3)(x, x, return_attention_scores=True)))


@case
def multi_head_causal(K):
    x = K.Input((5, 6))
    return K.Model(x, K.layers.MultiHeadAttention(2, 3)(query=x, value=x, use_causal_mask=True))


@case
def multi_head_mask(K):
    x, mask = K.Input((5, 6)), K.Input((5, 5), dtype="bool")
    return K.Model([x, mask], K.layers.MultiHeadAttention(2, 3)(x, x, attention_mask=mask))


@case
def multi_head_axes(K):
    x = K.Input((3, 4, 6))
    return K.Model(x, K.layers.MultiHeadAttention(2, 3, attention_axes=(1, 2))(x, x))


@case
def multi_head_embedding_mask(K):
    L = K.layers
    ids = K.Input((6,), dtype="int32")
    x = L.Embedding(9, 6, mask_zero=True)(ids)
    return K.Model(ids, L.GlobalAveragePooling1D()(L.MultiHeadAttention(2, 3)(x, x)))


@case
def grouped_query(K):
    x = K.Input((5, 8))
    return K.Model(x, K.layers.GroupQueryAttention(4, 4, 2)(x, x))


@case
def mask_merges(K):
    L = K.layers
    a, b = K.Input((6,), dtype="int32"), K.Input((6,), dtype="int32")
    x, y = L.Embedding(9, 4, mask_zero=True)(a), L.Embedding(9, 4, mask_zero=True)(b)
    parts = [L.Add()([x, y]), L.Concatenate()([x, y]), L.Concatenate(axis=1)([x, y]), L.Multiply()([x, y])]
    return K.Model([a, b], [L.GlobalAveragePooling1D()(part) for part in parts])


@case
def mask_merge_one(K):
    L = K.layers
    ids, x = K.Input((6,), dtype="int32"), K.Input((6, 4))
    y = L.Embedding(9, 4, mask_zero=True)(ids)
    return K.Model([ids, x], [L.LSTM(3)(L.Add()([y, x])), L.LSTM(3)(L.Concatenate()([x, y]))])


for each in (
    "Dropout",
    "BatchNormalization",
    "LayerNormalization",
    "Activation",
    "Dense",
    "TimeDistributed",
    "Permute",
):
    how = {
        "Dropout": lambda L: L.Dropout(0.2),
        "BatchNormalization": lambda L: L.BatchNormalization(),
        "LayerNormalization": lambda L: L.LayerNormalization(),
        "Activation": lambda L: L.Activation("tanh"),
        "Dense": lambda L: L.Dense(4),
        "TimeDistributed": lambda L: L.TimeDistributed(L.Dense(4)),
        "Permute": lambda L: L.Permute((1, 2)),
    }[each]
    stack(
        f"mask_through_{each.lower()}",
        (5, 4),
        lambda L, between=how: [L.Masking(), between(L), L.LSTM(3, return_sequences=True), L.GlobalAveragePooling1D()],
        padded=True,
    )
for each in ("Reshape", "Conv1D", "UpSampling1D", "Flatten", "Rescaling", "SpatialDropout1D", "PReLU", "Softmax"):
    how = {
        "Reshape": lambda L: [L.Reshape((5, 4))],
        "Conv1D": lambda L: [L.Conv1D(4, 3)],
        "UpSampling1D": lambda L: [L.UpSampling1D(2)],
        "Flatten": lambda L: [L.Flatten(), L.RepeatVector(3)],
        "Rescaling": lambda L: [L.Rescaling(2.0)],
        "SpatialDropout1D": lambda L: [L.SpatialDropout1D(0.2)],
        "PReLU": lambda L: [L.PReLU()],
        "Softmax": lambda L: [L.Softmax()],
    }[each]
    stack(
        f"mask_into_{each.lower()}",
        (5, 4),
        lambda L, between=how: [L.Masking(), *between(L), L.GRU(3)],
        padded=True,
    )
stack("mask_value", (5, 4), lambda L: [L.Masking(mask_value=1.0), L.LSTM(3)])
stack("mask_return_sequences_end", (5, 4), lambda L: [L.Masking(), L.LSTM(3, return_sequences=True)], padded=True)
stack(
    "mask_zero_output",
    (5, 4),
    lambda L: [L.Masking(), L.Bidirectional(L.LSTM(3, return_sequences=True, zero_output_for_mask=True))],
    padded=True,
)
stack("mask_pooling_max", (5, 4), lambda L: [L.Masking(), L.GlobalMaxPooling1D()], padded=True)
stack("mask_rnn_cells", (5, 4), lambda L: [L.Masking(), L.RNN([L.LSTMCell(3), L.LSTMCell(2)])], padded=True)
stack(
    "mask_backwards", (5, 4), lambda L: [L.Masking(), L.LSTM(3, go_backwards=True, return_sequences=True)], padded=True
)
stack("mask_unrolled", (5, 4), lambda L: [L.Masking(), L.GRU(3, unroll=True)], padded=True)
stack("mask_convlstm", (3, 5, 5, 2), lambda L: [L.Masking(), L.ConvLSTM2D(2, 2)], padded=True)
