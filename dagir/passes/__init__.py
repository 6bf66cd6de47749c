"""Passes: graph to graph, and the pipelines that run them."""

from dagir.passes.inline import Inline
from dagir.passes.outline import Outline
from dagir.passes.pipeline import Pass, Pipeline, run

DEPLOY: Pipeline = (
    (Inline(), "one flat graph, so that the other passes see across models"),
)

__all__ = ["DEPLOY", "Inline", "Outline", "Pass", "Pipeline", "run"]
