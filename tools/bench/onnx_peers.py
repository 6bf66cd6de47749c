"""Optimize one ONNX file with a peer, in the peers' own environment: `python onnx_peers.py onnxslim|onnxsim IN OUT`."""

from __future__ import annotations

import sys

import onnx


def main() -> None:
    peer, source, target = sys.argv[1:]
    model = onnx.load(source)
    if peer == "onnxslim":
        import onnxslim

        model = onnxslim.slim(model)
    else:
        import onnxsim

        model, agrees = onnxsim.simplify(model)
        if not agrees:
            raise SystemExit("onnxsim found that its own answer differs")
    onnx.save(model, target)


if __name__ == "__main__":
    main()
