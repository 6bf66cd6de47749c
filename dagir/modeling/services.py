"""Functions of higher floors that the convenience methods of Model call; `dagir/wiring.py` binds them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dagir.support.late_binding import LateBound

print_summary: LateBound[..., None] = LateBound("print_summary")
summary_html: LateBound[[Any], str] = LateBound("summary_html")
notebook_svg: LateBound[[Any], str | None] = LateBound("notebook_svg")
save: LateBound[..., None] = LateBound("save")
save_weights: LateBound[..., None] = LateBound("save_weights")
load_weights: LateBound[..., None] = LateBound("load_weights")
to_json: LateBound[..., str] = LateBound("to_json")
architecture: LateBound[[Any], dict[str, Any]] = LateBound("architecture")
from_architecture: LateBound[[dict[str, Any], Mapping[str, type[Any]] | None], Any] = LateBound("from_architecture")
copied_model: LateBound[[Any, dict[int, Any]], Any] = LateBound("copied_model")
reduced_model: LateBound[[Any], tuple[Any, ...]] = LateBound("reduced_model")
backend: LateBound[[str], Any] = LateBound("backend")
predict: LateBound[..., Any] = LateBound("predict")
