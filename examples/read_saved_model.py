"""A SavedModel of TensorFlow becomes an ONNX file. TensorFlow writes one here; reading it needs none."""

import numpy as np
import tensorflow as tf

import dagir


class Scorer(tf.Module):
    """Two variables, and a function that is exported."""

    def __init__(self) -> None:
        super().__init__()
        self.w = tf.Variable(tf.random.stateless_normal([4, 2], seed=[0, 1]), name="w")
        self.b = tf.Variable(tf.zeros([2]), name="b")

    @tf.function(input_signature=[tf.TensorSpec([None, 4], tf.float32, name="x")])
    def score(self, x: tf.Tensor) -> dict[str, tf.Tensor]:
        """The scores of rows."""
        return {"scores": tf.nn.softmax(x @ self.w + self.b)}


scorer = Scorer()
tf.saved_model.save(scorer, "exported", signatures={"serving_default": scorer.score})

model = dagir.from_tensorflow("exported")
dagir.to_onnx(model, "scorer.onnx", verify=True)
rows = np.ones((3, 4), "float32")
found = dagir.lower(model, "onnx")({"x": rows})["scores"]
assert np.allclose(found, scorer.score(rows)["scores"], atol=1e-6)
print(model)
