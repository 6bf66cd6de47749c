"""Environments with other versions, and with other backends of Keras, and a fast part of the tests in each.

    python tools/version_matrix.py oldest jax

builds `.venv-oldest` and `.venv-jax` beside the project, anew each time, and exits with the number of those that fail.
`oldest` has exactly the lower bounds of pyproject.toml, `newest` what pip finds; `jax` and `torch` have no TensorFlow.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import time
import tomllib
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
_LIVE = ("test_live.py", "test_traced_calls.py", "test_traced_operators.py", "test_keras_internals.py")
LIVE = tuple(f"tests/convert/{name}" for name in _LIVE)
VERSIONS = (*LIVE, "tests/test_import.py", "tests/ir/test_types.py", "tests/deploy/test_certificates.py")
BACKENDS = (*LIVE, "tests/convert/test_without_tensorflow.py")


@dataclass(frozen=True)
class Environment:
    """Extras of dagir, at their lower bounds or not, the backend of Keras, and the tests to run."""

    extras: tuple[str, ...]
    keras: str
    tests: tuple[str, ...]
    at_lower_bounds: bool = False


ENVIRONMENTS = {
    "oldest": Environment(("onnx", "keras", "testing"), "tensorflow", VERSIONS, at_lower_bounds=True),
    "newest": Environment(("onnx", "keras", "testing"), "tensorflow", VERSIONS),
    "jax": Environment(("onnx", "keras-jax", "testing"), "jax", BACKENDS),
    "torch": Environment(("onnx", "keras-torch", "testing"), "torch", BACKENDS),
}


def lower_bounds(extras: tuple[str, ...]) -> list[str]:
    """`name==1.2` for each `name>=1.2` that dagir needs with these extras."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    needed = [*project["dependencies"], *(each for extra in extras for each in project["optional-dependencies"][extra])]
    return [each.replace(">=", "==") for each in needed]


def requirements(environment: Environment) -> list[str]:
    """What pip installs."""
    if environment.at_lower_bounds:
        return ["-e", str(ROOT), *lower_bounds(environment.extras), "pytest"]
    return ["-e", f"{ROOT}[{','.join(environment.extras)}]", "pytest"]


def run(name: str) -> bool:
    """Build one environment, and run its tests. Whether they pass."""
    environment, folder = ENVIRONMENTS[name], ROOT / f".venv-{name}"
    shutil.rmtree(folder, ignore_errors=True)
    begin = time.monotonic()
    python = str(folder / "bin" / "python")
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, *requirements(environment)], check=True)
    built = time.monotonic()
    variables = {**os.environ, "KERAS_BACKEND": environment.keras, "TF_CPP_MIN_LOG_LEVEL": "3"}
    variables.setdefault("HYPOTHESIS_PROFILE", "dev")
    # packages of other ages warn of each other
    tests = [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "ignore::DeprecationWarning"]
    code = subprocess.run([*tests, *environment.tests], cwd=ROOT, env=variables, check=False).returncode
    took = f"{built - begin:.0f} s to install, {time.monotonic() - built:.0f} s of tests"
    print(f"{name}: {'failed' if code else 'passed'}, {took}", flush=True)
    return code == 0


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("names", nargs="+", choices=sorted(ENVIRONMENTS))
    return sum(not run(name) for name in parser.parse_args().names)


if __name__ == "__main__":
    sys.exit(main())
