"""Loads .keras files in another process, which imports dagir only if it is told to."""

from __future__ import annotations

import json
import subprocess
import sys

import keras
import numpy as np

CHILD = """
import json, sys
if sys.argv[3] == "dagir":
    import dagir
import keras, numpy as np
found = {}
for path in json.load(open(sys.argv[1])):
    arrays = np.load(path + ".npz")
    inputs = [arrays[f"x{place}"] for place in range(sum(name[0] == "x" for name in arrays))]
    try:
        model = keras.saving.load_model(path + ".keras")
        outputs = model(keras.tree.pack_sequence_as(model.input, inputs), training=False)
        arrays = [np.asarray(output) for output in keras.tree.flatten(outputs)]
        arrays = [array.astype("float32") if array.dtype == "bfloat16" else array for array in arrays]
        arrays = [np.char.decode(array.astype(bytes)) if array.dtype == object else array for array in arrays]
        np.savez(path + ".out.npz", *arrays)
        found[path] = ""
    except Exception as error:
        found[path] = f"{type(error).__name__}: {error}"
assert sys.argv[3] == "dagir" or "dagir" not in sys.modules
json.dump(found, open(sys.argv[2], "w"))
"""


def loaded_elsewhere(folder, paths, after=""):
    """What another process makes of the files: the answers of each. after: what it imports before Keras."""
    (folder / "child.py").write_text(CHILD)
    (folder / "paths.json").write_text(json.dumps(paths))
    command = [sys.executable, "child.py", "paths.json", "found.json", after]
    ran = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert not ran.returncode, ran.stderr
    found = json.loads((folder / "found.json").read_text())
    failed = {path: error for path, error in found.items() if error}
    assert failed == {}, failed
    return {path: list(np.load(path + ".out.npz").values()) for path in paths}


def own_layers(model):
    """The classes of the layers and operations that are not Keras's, in a model and in the models in it."""
    found, pending = [], [model]
    while pending:
        for each in pending.pop().operations:
            pending += [each] if isinstance(each, keras.Model) else []
            found += [] if type(each).__module__.startswith("keras.") else [type(each).__name__]
    return sorted(found)
