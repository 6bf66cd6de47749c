"""Reads files of a corpus with dagir, or with the Keras that is installed, and compares with the writers' answers."""

from __future__ import annotations

import importlib
import json
import logging
import re
import sys
import time
import warnings
import zlib
from pathlib import Path

import numpy as np

from old_kerases.cases import name_of
from old_kerases.writing import flat, structure_of

RIGHT = 1e-5  # of the scale of an output, for what computes in float32 or float64
RIGHT_IN_HALF = 5e-3  # where the model computes in float16, whose sums depend on the kernel
RIGHT_IN_BFLOAT = 4e-2


def files(folder, only=""):
    """The files of the corpus, by writer and name."""
    found = [path for path in sorted(Path(folder).glob("*/*")) if path.suffix in (".h5", ".keras")]
    return [path for path in found if re.search(only, f"{path.parent.name}/{path.name}")]


def answers(path):
    """The inputs, their names, the outputs and the paths to them."""
    with np.load(path.with_name(f"{path.name.split('.')[0]}.npz")) as found:
        ins = [found[f"in{place}"] for place in range(sum(key.startswith("in") for key in found))]
        outs = [found[f"out{place}"] for place in range(sum(key.startswith("out") for key in found))]
        return ins, [str(name) for name in found["names"]], outs


def tolerance(path):
    """How much of the scale an answer may be off, by the dtypes that the file speaks of."""
    name = path.name
    if "bfloat16" in name:
        return RIGHT_IN_BFLOAT
    return RIGHT_IN_HALF if "mixed" in name or "float16" in name or "policy_object" in name else RIGHT


def distance(got, want):
    """The largest error as a part of the scale, over all outputs; infinite where shapes or texts differ."""
    if len(got) != len(want):
        return float("inf")
    worst = 0.0
    for found, wanted in zip(map(np.asarray, got), want, strict=True):
        if found.shape != wanted.shape:
            return float("inf")
        if wanted.dtype.kind in "US":
            worst = max(worst, 0.0 if [*map(str, found.ravel())] == [*map(str, wanted.ravel())] else float("inf"))
            continue
        a, b = found.astype("float64"), wanted.astype("float64")
        if not (np.isfinite(a) == np.isfinite(b)).all():
            return float("inf")
        a, b = a[np.isfinite(b)], b[np.isfinite(b)]
        scale = np.abs(b).max(initial=0.0)
        worst = max(worst, float(np.abs(a - b).max(initial=0.0) / (scale or 1.0)))
    return worst


def ordered(ins, names, wanted):
    """The inputs in the order of the names that are wanted, where these are the same; else as they are."""
    return [ins[names.index(name)] for name in wanted] if sorted(names) == sorted(wanted) else ins


def judge_file(path, with_onnx=True):
    """status: right, wrong, refused or crash; what: the error of the answer, or the reason."""
    import dagir  # where an old Keras writes, there is no dagir
    from dagir.errors import DagirError

    try:
        model = dagir.from_keras(path)
        ins, names, outs = answers(path)
        values = model.graph.inputs
        feeds = ordered(ins, names, [value.name for value in values])
        feeds = [fitting(feed, str(value.dtype)) for feed, value in zip(feeds, values, strict=True)]
        runs = {"float64": ("numpy", {"precision": "float64"}), "float32": ("numpy", {})}
        if with_onnx:
            runs["onnx"] = ("onnx", {})
        errors, refusals = {}, {}
        for name, (backend, options) in runs.items():
            try:
                got = flat(dagir.lower(model, backend, **options)(*feeds))[0]
            except DagirError as error:
                refusals[name] = reason(error)
                continue
            errors[name] = distance(got, outs)
        worst = max(errors.values(), default=0.0)
        if worst > tolerance(path):
            return "wrong", {name: error for name, error in errors.items() if error > tolerance(path)}
        if refusals:
            name = next(iter(refusals))
            return "refused", f"{name}: {refusals[name]}"
        return "right", worst
    except DagirError as error:
        return "refused", reason(error)
    except Exception as error:
        return "crash", f"{type(error).__name__}: {str(error)[:200]}"


def fitting(feed, dtype):
    """A feed in the dtype of its input."""
    return feed.astype(object) if dtype == "string" else feed.astype(dtype)


def reason(error):
    """The one reason of a refusal, without the names of its file and layer."""
    text = str(error)
    first = text.splitlines()[0]
    found = re.search(r"cannot be taken: (.*)", first)
    if found:
        return found[1]
    several = re.search(r"\d+ layers cannot be taken", first)
    if several:
        kinds = dict.fromkeys(re.findall(r"^  \S+ +(\w+: .*)", text, re.MULTILINE))
        return "; ".join(kinds) or first
    return first.split(": ", 1)[-1]


def judge(folder, result, only="", with_onnx=True):
    """Judge every file, and write {file: [status, what]} as JSON."""
    warnings.simplefilter("ignore")
    result = Path(result)
    done = json.loads(result.read_text()) if result.exists() else {}
    start = time.time()
    for path in files(folder, only):
        status, what = judge_file(path, with_onnx)
        done[f"{path.parent.name}/{path.name}"] = [status, what]
        if status in ("wrong", "crash"):
            print(status, path.parent.name, path.name, what, flush=True)
    result.write_text(json.dumps(done, indent=0))
    counts = {
        kind: sum(status == kind for status, _ in done.values()) for kind in ("right", "wrong", "refused", "crash")
    }
    print(counts, f"{time.time() - start:.0f} s", file=sys.stderr)


def ask(folder, result, only="", seconds=1e9):
    """The same with the Keras of this environment: read, answered as its writer, or the error.

    It goes through the files in an order that mixes writers and kinds, goes on where it stopped, and ends after so many
    seconds: what it has asked until then is a sample of the corpus.
    """
    import keras

    warnings.simplefilter("ignore")
    result, end = Path(result), time.time() + seconds
    done = json.loads(result.read_text()) if result.exists() else {"keras": keras.__version__}
    for path in sorted(files(folder, only), key=lambda path: zlib.crc32(str(path).encode())):
        name = f"{path.parent.name}/{path.name}"
        if name in done:
            continue
        if time.time() > end:
            break
        keras.backend.clear_session()
        try:
            done[name] = _ask_file(keras, path)
        except Exception as error:
            done[name] = ["refused", f"{type(error).__name__}: {str(error).strip()[:100]}"]
        if len(done) % 20 == 0:
            result.write_text(json.dumps(done, indent=0))
    result.write_text(json.dumps(done, indent=0))
    print({kind: sum(value[0] == kind for value in done.values()) for kind in ("right", "wrong", "refused")})


def check(folder, module="keras", only=""):
    """Take away the files that the Keras which wrote them answers otherwise itself: they do not hold their model."""
    keras = importlib.import_module(module)
    logging.disable(logging.WARNING)
    listed = Path(folder) / "skipped.json"
    about = json.loads(listed.read_text())
    for path in files(Path(folder).parent, f"^{Path(folder).name}/.*{only}"):
        keras.backend.clear_session()
        try:
            status, error = _ask_file(keras, path)
        except Exception:  # which today's Kerases may read all the same
            continue
        if status == "wrong":
            print(
                f"{path.name}: off by {error:.1e} of the scale when {module} {keras.__version__} loads it", flush=True
            )
            about["skipped"][path.name] = f"its own writer answers otherwise: {error:.1e} of the scale"
            path.unlink()
    listed.write_text(json.dumps(about, indent=1))


def _ask_file(keras, path):
    model = keras.models.load_model(str(path), compile=False)
    ins, names, outs = answers(path)
    given = ordered(ins, names, [name_of(tensor) for tensor in model.inputs])
    if any(feed.dtype.kind == "U" for feed in given):
        from tensorflow import constant

        given = [constant(feed) for feed in given]
    structure = structure_of(model)
    if isinstance(structure, dict):
        given = {key: given[[t is tensor for t in model.inputs].index(True)] for key, tensor in structure.items()}
    got = model(given if isinstance(structure, (list, tuple, dict)) else given[0], training=False)
    error = distance([np.asarray(output) for output in flat(got)[0]], outs)
    return ["right" if error <= tolerance(path) else "wrong", error]
