"""A server with FastAPI: `python serve.py --workers 4`, then POST rows to /score. Each worker has one executable.

One thread computes in each worker: more workers than cores, or more threads, only wait for each other. Each worker
imports this file, so the model comes from a file: one that is made at import has other random weights in each of them.
SCORE_MODEL=net.dagir takes another one. `dagir[examples]` brings uvloop, which uvicorn takes where it is there: without
it (there is none for Windows) an answer of one of several workers takes 40 ms.
"""

import os
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated

import numpy as np
from fastapi import Body, FastAPI, HTTPException

import dagir
from dagir import layers

PATH = Path(os.environ.get("SCORE_MODEL", "score.dagir"))

if not PATH.exists():  # the process that starts the workers makes it, and they find it
    x = dagir.Input((4,), name="features")
    y = layers.Dense(1, activation="sigmoid", name="score")(layers.Dense(8, activation="relu")(x))
    dagir.Model(x, y).save(PATH)

executable = dagir.lower(dagir.load(PATH), "onnx", threads=1)


@asynccontextmanager
async def warmed_up(app: FastAPI):
    """The session is made before the first request."""
    executable.warm_up()
    yield


app = FastAPI(lifespan=warmed_up)


@app.post("/score")
async def score(rows: Annotated[list[list[float]], Body(embed=True)]) -> dict[str, list[float]]:
    """Scores of rows of four numbers; 422 for anything else. A model of milliseconds belongs in a thread: plain def."""
    if len({len(row) for row in rows}) != 1:
        raise HTTPException(422, "give one or more rows, all with the same number of values")
    try:
        scores = executable(np.asarray(rows, "float32"))
    except dagir.FeedError as error:
        raise HTTPException(422, error.summary) from None
    return {"scores": scores[:, 0].tolist()}


if __name__ == "__main__":
    import argparse
    import inspect

    import uvicorn

    parser = argparse.ArgumentParser()
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--port", type=int, default=8000)
    options = parser.parse_args()
    # A worker that still imports answers no question of its parent's, which would end it after 5 s, and begin another.
    patience = {"timeout_worker_healthcheck": 60}
    known = patience if patience.keys() <= inspect.signature(uvicorn.run).parameters.keys() else {}
    uvicorn.run("serve:app", workers=options.workers, port=options.port, access_log=False, **known)
