"""A Keras model of your own becomes an ONNX file; it gets its name only after it was compared with the model."""

import keras

import dagir

model = keras.Sequential(
    [
        keras.Input((28, 28, 1), name="image"),
        keras.layers.Conv2D(8, 3, activation="relu"),
        keras.layers.GlobalAveragePooling2D(),
        keras.layers.Dense(10, activation="softmax", name="digit"),
    ]
)

dagir.to_onnx(dagir.from_keras(model), "digits.onnx", verify=True)  # Keras itself runs beside the file
report = dagir.verified("digits.onnx")  # the certificate in the file, run again
print(report)
assert report.ok
