"""A server with FastAPI: `python serve.py`, then POST rows to /score. One executable serves all threads."""

from typing import Annotated

import numpy as np
from fastapi import Body, FastAPI, HTTPException

import dagir
from dagir import layers

x = dagir.Input((4,), name="features")
model = dagir.Model(x, layers.Dense(1, activation="sigmoid", name="score")(layers.Dense(8, activation="relu")(x)))

executable = dagir.lower(model, "onnx")
executable(np.zeros((1, 4), "float32"))  # warm: the session is made before the first request
app = FastAPI()


@app.post("/score")
def score(rows: Annotated[list[list[float]], Body(embed=True)]) -> dict[str, list[float]]:
    """Scores of rows of four numbers; 422 for anything else."""
    try:
        scores = executable(np.asarray(rows, "float32"))
    except (dagir.DagirError, ValueError) as error:
        raise HTTPException(422, str(error).splitlines()[0]) from None
    return {"scores": scores[:, 0].tolist()}


if __name__ == "__main__":
    import uvicorn

    uvicorn.run(app, port=8000)
