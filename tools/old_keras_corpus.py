"""A corpus of files that older Kerases write themselves, and what dagir and today's Keras read of it.

In the environment of an older Keras, which needs nothing but that Keras:

    python tools/old_keras_corpus.py write FOLDER/tf215              # keras, and TensorFlow 2.15
    python tools/old_keras_corpus.py write FOLDER/tfk219 --module tf_keras
    python tools/old_keras_corpus.py check FOLDER/tf215              # takes away what does not hold its model

In the environment of dagir:

    python tools/old_keras_corpus.py judge FOLDER dagir.json [--only REGEX]
    python tools/old_keras_corpus.py ask FOLDER keras.json
    python tools/old_keras_corpus.py table dagir.json keras.json > tools/bench/old_keras.md

`judge` reads every file with dagir and compares the NumPy interpreter in float64 and float32, and onnxruntime, with
the answers of the writer; `ask` does so with the Keras that is installed.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")  # whose kernels of transposed convolutions were seen to err
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")


def main():
    """Run one command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, arguments in (
        ("write", ("folder",)),
        ("check", ("folder",)),
        ("judge", ("folder", "result")),
        ("ask", ("folder", "result")),
        ("table", ("judged", "asked")),
    ):
        command = commands.add_parser(name)
        for argument in arguments:
            command.add_argument(argument)
        command.add_argument("--only", default="", help="a regular expression of names")
        if name == "ask":
            command.add_argument("--seconds", type=float, default=1e9, help="end after so long: it goes on next time")
        if name in ("write", "check"):
            command.add_argument("--module", default="keras", help="keras or tf_keras")
    given = parser.parse_args()
    if given.command == "write":
        from old_kerases.writing import write

        write(given.folder, given.module, given.only)
    elif given.command == "check":
        from old_kerases.judging import check

        check(given.folder, given.module, given.only)
    elif given.command == "judge":
        from old_kerases.judging import judge

        judge(given.folder, given.result, given.only)
    elif given.command == "ask":
        from old_kerases.judging import ask

        ask(given.folder, given.result, given.only, given.seconds)
    else:
        from old_kerases.table import table

        print(table(given.judged, given.asked))


if __name__ == "__main__":
    main()
