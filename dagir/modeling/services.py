"""Functions of higher floors that the convenience methods of Model call; `dagir/wiring.py` binds them."""

from __future__ import annotations

from typing import Any

from dagir.ir.types import Array, Config
from dagir.modeling.trainer import TrainingBackend
from dagir.support.late_binding import LateBound

print_summary: LateBound[..., None] = LateBound("print_summary")
summary_html: LateBound[..., str] = LateBound("summary_html")
notebook_svg: LateBound[..., str | None] = LateBound("notebook_svg")
save: LateBound[..., None] = LateBound("save")
save_weights: LateBound[..., None] = LateBound("save_weights")
load_weights: LateBound[..., None] = LateBound("load_weights")
to_json: LateBound[..., str] = LateBound("to_json")
architecture: LateBound[..., Config] = LateBound("architecture")
from_architecture: LateBound[..., object] = LateBound("from_architecture")
copied_model: LateBound[..., object] = LateBound("copied_model")
reduced_model: LateBound[..., tuple[object, ...]] = LateBound("reduced_model")
backend: LateBound[[str], TrainingBackend] = LateBound("backend")
predict: LateBound[..., Array | Any] = LateBound("predict")
