"""The help of the tool and of its main command, and the exit codes that it lists."""

FAULT = 70
"""Where dagir itself fails, as sysexits.h has it: 1, which Python gives, is what `diff` says of two that differ."""

HELP = """Convert a neural network, and check that what was written computes the same.

\b
Your Python code builds a model; onnxruntime shall run it:
  dagir-convert model.py:build model.onnx
A saved model, to train it in Keras:
  dagir-convert net.dagir net.keras
The folder of a SavedModel of TensorFlow, or the file of a frozen graph:
  dagir-convert exported/ net.onnx
Inputs, outputs, layers, ops and weights of a file:
  dagir-convert inspect net.onnx
What changed from one model to the other?
  dagir-convert diff old.keras new.keras
The part of a model that computes some layers:
  dagir-convert extract net.keras part.onnx --outputs block4_pool
A picture of it:
  dagir-convert plot net.keras net.svg --shapes
What would float16 cost, and where?
  dagir-convert sensitivity net.keras --calibrate samples.npz
Does that file still compute what the model does?
  dagir-convert verify net.dagir net.onnx

\b
Options of a conversion, and of any other command:
  dagir-convert help convert
Names of layers and inputs, completed by your shell:
  dagir-convert --install-completion

\b
Exit codes of all commands:
  0    done: it is written, or what was compared agrees
  1    diff: the two differ
  2    usage: a command, an option, a name or a file that is not there, or
       Python of your own that fails
  3    verification failed: rounding does not explain a difference, or the
       metric dropped; no file is written
  4    refused: an op or a layer that cannot be taken, or a backend or a
       device that is not here
  5    a file is damaged or unsafe, or cannot be read or written
  70   a fault of dagir, with its traceback
  130  interrupted, and 143 told to end
"""

CONVERT = """Convert SOURCE to TARGET. The word "convert" may be left out.

SOURCE is file.py:name, a .keras, .h5, .hdf5, .dagir or .onnx file, the folder of
a SavedModel, of which --signature chooses a signature, or a .pb file, a frozen
graph of TensorFlow. name is a dagir.Model, a keras.Model, or a function without
arguments that returns one; only for such a source is code run. TARGET is a
.onnx, .keras or .dagir file. A frozen graph begins at its placeholders and gives
what no node reads, unless --input and --outputs name other tensors.

Weights alone, in a .weights.h5, .h5 or .weights.json file, need --architecture: the
JSON that model.to_json() makes, a model file, or file.py:name, which is run.
Layers of your own in a Keras file, and layers and ops of your own in a .dagir file,
need --custom file.py: its classes and functions stand for their names in SOURCE,
or its dict custom_objects; the file is run.

The file that was written is read back, run on several inputs, and
compared with the model in float64. Where rounding does not explain a
difference, the exit code is 3, and no file has the target's name.

\b
  dagir-convert model.py:build model.onnx
  dagir-convert model.py:build model.onnx --opset 20 --force
  dagir-convert model.py:build model.onnx --target onnxruntime==1.17
  dagir-convert model.py:build model.onnx --input image=1,224,224,3
  dagir-convert model.py:build model.onnx --nchw image --rename image=pixels
  dagir-convert model.py:build model.onnx --external-data
  dagir-convert net.keras net.onnx --with-keras
  dagir-convert net.weights.h5 net.onnx --architecture net.json
  dagir-convert net.keras net.onnx --custom layers.py
  dagir-convert exported/ net.onnx --signature serving_default
  dagir-convert frozen.pb net.onnx --input image=1,224,224,3 --outputs logits
  dagir-convert net.keras net.onnx --precision float16 --calibrate samples.npz
  dagir-convert net.keras net.onnx --quantize int8 --calibrate samples.npz
  dagir-convert model.py:build model.onnx --json | jq .outputs
"""
