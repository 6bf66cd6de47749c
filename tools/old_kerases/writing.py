"""Writes every case with the Keras of this environment: files, and the writer's own answers beside them."""

from __future__ import annotations

import importlib
import json
import logging
import re
import traceback
from pathlib import Path

import numpy as np

from old_kerases.cases import CASES, draw, generator, name_of, scramble

FAMILIES = (
    "basic",
    "convolutions",
    "recurrent",
    "topologies",
    "preprocessing",
    "training",
    "tutorials",
    "operators",
    "more",
)


def all_cases():
    """The table of every family."""
    for family in FAMILIES:
        importlib.import_module(f"old_kerases.{family}")
    return CASES


def write(folder, module="keras", only=""):
    """Write NAME.h5, NAME.keras and NAME.npz of every case. What this Keras has not is listed in skipped.json."""
    K = importlib.import_module(module)
    logging.disable(logging.WARNING)
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    skipped = {}
    for name, case in all_cases().items():
        if not re.search(only, name):
            continue
        K.backend.clear_session()
        try:
            _write_case(K, case, folder, skipped)
        except Exception as error:
            skipped[name] = f"{type(error).__name__}: {str(error).strip().splitlines()[-1][:150] if str(error) else ''}"
            if isinstance(error, (SyntaxError, NameError)):
                traceback.print_exc()
    text = {"keras": K.__version__, "skipped": skipped}
    if not only:
        (folder / "skipped.json").write_text(json.dumps(text, indent=1))
    print(f"Keras {K.__version__}: {len(list(folder.glob('*.npz')))} models, {len(skipped)} skipped", flush=True)
    return skipped


def _write_case(K, case, folder, skipped):
    set_seed = getattr(K.utils, "set_random_seed", None)
    if set_seed is not None:
        set_seed(1)
    rng = generator(case.name)
    model = case.build(K)
    if case.scrambled:
        scramble(model, rng)
    feeds = [draw(tensor, rng, case) for tensor in model.inputs]
    outputs, names = flat(_asked(model, feeds))
    saved = [_saved(model, folder, case.name, ending, skipped) for ending in ("h5", "keras")]
    if not any(saved):
        return
    found = {f"in{place}": _storable(feed) for place, feed in enumerate(feeds)}
    found |= {f"out{place}": _storable(np.asarray(output)) for place, output in enumerate(outputs)}
    found["names"] = np.array([name_of(tensor) for tensor in model.inputs])
    found["keys"] = np.array(names)
    np.savez_compressed(folder / f"{case.name}.npz", **found)


def _asked(model, feeds):
    """The answers of the model, called as a user calls it."""
    structure = structure_of(model)
    if isinstance(structure, dict):
        at = {id(tensor): place for place, tensor in enumerate(model.inputs)}
        given = {key: feeds[at[id(tensor)]] for key, tensor in structure.items()}
    else:
        given = feeds if isinstance(structure, (list, tuple)) else feeds[0]
    found = model(_tensors(model, given), training=False)
    if getattr(model, "stateful", False) and hasattr(model, "reset_states"):
        model.reset_states()
    return found


def structure_of(model):
    """The inputs of a model as they are given to it."""
    try:
        return model.input
    except (AttributeError, ValueError):  # of a Sequential of Keras 3 that no layer calls
        return model.inputs[0]


def _tensors(model, given):
    if isinstance(given, dict):
        return {key: _tensors(model, part) for key, part in given.items()}
    if isinstance(given, list):
        return [_tensors(model, part) for part in given]
    if given.dtype != object:
        return given
    from tensorflow import constant  # strings are no arrays that Keras 3 takes

    return constant(given)


def flat(structure, path=""):
    """The arrays of an answer, dicts by their sorted keys, and the paths to them."""
    if isinstance(structure, dict):
        items = [(key, structure[key]) for key in sorted(structure)]
    elif isinstance(structure, (list, tuple)):
        items = list(enumerate(structure))
    else:
        return [structure], [path]
    arrays, names = [], []
    for key, part in items:
        inner, paths = flat(part, f"{path}/{key}")
        arrays += inner
        names += paths
    return arrays, names


def _storable(array):
    if array.dtype == object:
        texts = [each.decode() if isinstance(each, bytes) else str(each) for each in array.ravel()]
        return np.array(texts).reshape(array.shape)
    return array.astype("float32") if array.dtype.name == "bfloat16" else array


def _saved(model, folder, name, ending, skipped):
    path = folder / f"{name}.{ending}"
    try:
        _save(model, path, ending)
        if ending == "keras" and path.read_bytes()[:4] != b"PK\3\4":  # Keras before 2.13 writes HDF5 under that name
            path.rename(folder / f"{name}.hdf5.keras")
            model.save(str(path), save_format="keras")
    except Exception as error:
        path.unlink(missing_ok=True)
        skipped[f"{name}.{ending}"] = f"{type(error).__name__}: {str(error).strip()[-150:]}"
        return False
    return True


def _save(model, path, ending):
    model.save(str(path))
    if not path.exists():
        raise OSError("nothing was written")
