"""Training by hand and callbacks: what works with a keras.Model works with a dagir model."""

from __future__ import annotations

import keras
import numpy as np
import pytest

import dagir
from dagir import layers

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(24, 5)).astype("float32"), RNG.normal(size=(24, 2)).astype("float32")


def compiled():
    x = dagir.Input((5,), name="x")
    model = dagir.Model(x, layers.Dense(2, name="out")(layers.Dense(4, activation="tanh", name="inner")(x)))
    judge = dagir.to_keras(model)
    for each in (model, judge):
        each.compile(optimizer=keras.optimizers.SGD(0.1), loss="mse", metrics=["mae"])
    return model, judge


def test_batches_by_hand_are_those_of_keras():
    model, judge = compiled()
    for start in (0, 8, 16):
        batch = X[start : start + 8], Y[start : start + 8]
        np.testing.assert_allclose(model.train_on_batch(*batch), judge.train_on_batch(*batch), rtol=1e-5)
    for mine, theirs in zip(model.get_weights(), judge.get_weights(), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(model.test_on_batch(X, Y), judge.test_on_batch(X, Y), rtol=1e-5)
    named = model.train_on_batch(X, Y, return_dict=True)
    assert set(named) == {"loss", "mae"}
    np.testing.assert_allclose(model.predict_on_batch(X), dagir.lower(model, "onnx")(X), rtol=1e-6)


def test_the_optimizer_is_the_one_that_steps():
    model, _ = compiled()
    before = [weight.copy() for weight in model.get_weights()]
    model.optimizer.learning_rate = 0.0
    model.fit(X, Y, verbose=0)
    assert all(np.array_equal(old, new) for old, new in zip(before, model.get_weights(), strict=True))
    assert model.metrics_names == ["loss", "compile_metrics"]  # as Keras has them


def test_nothing_is_trained_before_compile():
    model = dagir.Model(x := dagir.Input((5,), name="x"), layers.Dense(2)(x))
    for use in (lambda: model.train_on_batch(X, Y), lambda: model.test_on_batch(X, Y), lambda: model.optimizer):
        with pytest.raises(dagir.ArgumentError, match="is not compiled"):
            use()


@pytest.mark.parametrize("hook", ["on_epoch_end", "on_train_batch_end", "on_test_end"])
@pytest.mark.parametrize("form", ["one", "list", "lambda", "CallbackList"])
def test_a_callback_finds_what_has_been_learned_so_far(hook, form):
    model, _ = compiled()
    seen, right = [], []

    def look(callback):
        seen.append(model.get_layer("inner").kernel.array.copy())
        right.append(callback.model.get_layer("inner").kernel.numpy())

    class Looks(keras.callbacks.Callback):
        pass

    setattr(Looks, hook, lambda self, *_, **__: look(self))
    looks = Looks()
    if form == "lambda":
        if hook == "on_test_end":
            pytest.skip("Keras's LambdaCallback has no such place")
        looks = keras.callbacks.LambdaCallback(**{hook: lambda *_, **__: look(looks)})
    given = {
        "one": looks,
        "CallbackList": keras.callbacks.CallbackList([looks], add_history=True, model=model._trainer.model),
    }.get(form, [looks])
    model.fit(X, Y, batch_size=8, epochs=2, verbose=0, callbacks=given, validation_data=(X, Y))
    assert len(seen) == (6 if hook == "on_train_batch_end" else 2)
    assert all(np.array_equal(mine, theirs) for mine, theirs in zip(seen, right, strict=True))
    assert not np.array_equal(seen[0], seen[-1])


def test_checkpoints_of_keras_are_read_and_its_weights_too(tmp_path):
    model, _ = compiled()
    whole, weights = tmp_path / "{epoch}.keras", tmp_path / "{epoch}.weights.h5"
    saves = [
        keras.callbacks.ModelCheckpoint(str(whole)),
        keras.callbacks.ModelCheckpoint(str(weights), save_weights_only=True),
    ]
    model.fit(X, Y, epochs=2, verbose=0, callbacks=saves)
    right = dagir.lower(model)(X)
    read = dagir.from_keras(tmp_path / "2.keras")
    np.testing.assert_allclose(dagir.lower(read)(X), right, rtol=1e-6)
    np.testing.assert_allclose(
        np.asarray(keras.models.load_model(tmp_path / "2.keras")(X)), right, rtol=1e-5, atol=1e-6
    )
    model.train_on_batch(X, Y)
    assert not np.array_equal(dagir.lower(model)(X), right)
    model.load_weights(tmp_path / "2.weights.h5")
    np.testing.assert_array_equal(dagir.lower(model)(X), right)
