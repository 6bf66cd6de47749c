"""The server of examples/serve.py under load, beside the same frame around a bare onnxruntime session.

    python tools/bench/serving.py --workers 4 --seconds 60

Both servers answer the same POST of 8 rows with the same words. `wrk` (a package of Debian) loads them on the loopback
address, first with rising numbers of connections for a few seconds each; at the one that gave most requests a second
it does so for --seconds, each server in turn. Any answer but 200, and any time-out, counts as an error.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
BODY = '{"rows": [' + ", ".join(f"[0.{n}, 1.5, -2.25, 3.0]" for n in range(8)) + "]}"
REQUEST = f"""
wrk.method = "POST"
wrk.body = [==[{BODY}]==]
wrk.headers["Content-Type"] = "application/json"
done = function(summary, latency, requests)
  local e = summary.errors
  io.write(string.format("FOUND %d %d %d %d %d\\n", summary.requests, summary.duration,
    latency:percentile(50), latency:percentile(99), e.connect + e.read + e.write + e.status + e.timeout))
end
"""
BARE = """
from contextlib import asynccontextmanager
from typing import Annotated
import numpy as np, onnxruntime
from fastapi import Body, FastAPI, HTTPException

options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
session = onnxruntime.InferenceSession("score.onnx", options, providers=["CPUExecutionProvider"])
app = FastAPI()

@app.post("/score")
async def score(rows: Annotated[list[list[float]], Body(embed=True)]) -> dict[str, list[float]]:
    try:
        (scores,) = session.run(None, {"features": np.asarray(rows, "float32")})
    except Exception as error:
        raise HTTPException(422, str(error)) from None
    return {"scores": scores[:, 0].tolist()}
"""


@dataclass(frozen=True)
class Load:
    """What wrk found: requests a second, latencies in ms, and how many requests were not answered with 200.

    processor: time of the server's processes in ms a request, which other programs on the machine hardly change.
    """

    rate: float
    processor: float
    p50: float
    p99: float
    errors: int

    def __str__(self) -> str:
        told = f"p50 {self.p50:6.1f} ms   p99 {self.p99:7.1f} ms   {self.processor:.2f} ms of processor"
        return f"{self.rate:7.0f} requests/s   {told}   {self.errors} errors"


@dataclass(frozen=True)
class Server:
    """Its address, and the process that holds its workers."""

    url: str
    pid: int

    def processor(self) -> float:
        """Seconds of the processor that the server and its workers have had."""
        parents = {}
        used = {}
        for path in Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(OSError):  # a process that ended meanwhile
                fields = path.read_text(encoding="utf-8").rpartition(")")[2].split()
                parents[int(path.parent.name)] = int(fields[1])
                used[int(path.parent.name)] = int(fields[11]) + int(fields[12])
        own = [pid for pid in used if self.pid in (pid, parents[pid])]
        return sum(used[pid] for pid in own) / os.sysconf("SC_CLK_TCK")


@contextmanager
def serving(module: str, folder: Path, workers: int, port: int) -> Iterator[Server]:
    """A server that runs within the block."""
    command = [sys.executable, "-m", "uvicorn", f"{module}:app", "--workers", str(workers), "--port", str(port)]
    quiet = ["--no-access-log", "--log-level", "warning"]
    server = subprocess.Popen([*command, *quiet], cwd=folder, env={**os.environ, "PYTHONPATH": str(folder)})
    url = f"http://127.0.0.1:{port}/score"
    try:
        for _ in range(600):
            time.sleep(0.2)
            try:
                asked = urllib.request.Request(url, BODY.encode(), {"Content-Type": "application/json"})
                with urllib.request.urlopen(asked, timeout=60) as answer:
                    assert answer.status == 200
                break
            except OSError:
                assert server.poll() is None, "the server ended"
        time.sleep(5)  # the other workers begin too
        yield Server(url, server.pid)
    finally:
        server.terminate()
        server.wait(timeout=60)


def loaded(server: Server, script: Path, connections: int, seconds: int) -> Load:
    """What wrk finds with so many connections, each with one request at a time."""
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "10s", "-s", str(script), server.url]
    before = server.processor()
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    match = re.search(r"FOUND (\d+) (\d+) (\d+) (\d+) (\d+)", said)
    assert match, said
    requests, duration, p50, p99, errors = map(int, match.groups())
    processor = 1e3 * (server.processor() - before) / max(requests, 1)
    return Load(1e6 * requests / duration, processor, p50 / 1e3, p99 / 1e3, errors)


def main() -> None:
    """Load both servers, and print what was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--connections", type=int, nargs="+", default=[1, 4, 16, 64])
    parser.add_argument("--port", type=int, default=8765)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "serve.py").write_text((EXAMPLES / "serve.py").read_text(encoding="utf-8"), encoding="utf-8")
        (folder / "bare.py").write_text(BARE, encoding="utf-8")
        (folder / "load.lua").write_text(REQUEST, encoding="utf-8")
        write = "import serve, dagir; dagir.to_onnx(dagir.load('score.dagir'), 'score.onnx')"
        subprocess.run([sys.executable, "-c", write], cwd=folder, check=True)
        with (
            serving("serve", folder, options.workers, options.port) as ours,
            serving("bare", folder, options.workers, options.port + 1) as bare,
        ):
            script, servers = folder / "load.lua", {"dagir": ours, "bare onnxruntime": bare}
            best, most = options.connections[0], 0.0
            for count in options.connections:
                for title, server in servers.items():
                    found = loaded(server, script, count, 5)
                    print(f"{count:3} connections, 5 s   {title:17} {found}", flush=True)
                    if title == "dagir" and found.rate > most and not found.errors:
                        best, most = count, found.rate
            for title, server in servers.items():
                found = loaded(server, script, best, options.seconds)
                print(f"{best:3} connections, {options.seconds} s  {title:17} {found}", flush=True)


if __name__ == "__main__":
    main()
