"""Binds what lower floors call to the functions of higher floors that do it."""

from __future__ import annotations

from dagir.display.graphviz import notebook_svg
from dagir.display.summary_table import print_summary, summary_html
from dagir.equivalence import services as report_services
from dagir.equivalence.html_report import write_page
from dagir.equivalence.reproduction import write_reproduction
from dagir.interchange import load_weights
from dagir.ir import data_names, operators
from dagir.ir.graph import Graph
from dagir.ir.printer import print_graph
from dagir.layers import services as layer_services
from dagir.modeling import services as model_services
from dagir.ops.data_sizes import know_sizes
from dagir.passes import services as pass_services
from dagir.runtime.backend import backend
from dagir.runtime.node_evaluation import evaluate_node
from dagir.runtime.prediction import predict
from dagir.serialization import save
from dagir.serialization.config import architecture, from_architecture
from dagir.serialization.copying import copied_model, reduced_layer, reduced_model
from dagir.serialization.weight_files import save_weights, to_json
from dagir.support.backend_entries import is_arriving
from dagir.support.backend_names import KERAS
from dagir.support.late_import import when_imported


def bind_services() -> None:
    """Called once, when dagir is imported."""
    when_imported("keras", lambda keras: None if is_arriving(KERAS) else backend(KERAS).introduce(keras))
    operators.join_tensorflow.bind(lambda: backend(KERAS).join())
    Graph.printer = print_graph
    data_names.anchor.bind(know_sizes)
    layer_services.reduced_layer.bind(reduced_layer)
    pass_services.evaluate_node.bind(evaluate_node)
    report_services.write_page.bind(write_page)
    report_services.write_reproduction.bind(write_reproduction)
    model_services.print_summary.bind(print_summary)
    model_services.summary_html.bind(summary_html)
    model_services.notebook_svg.bind(notebook_svg)
    model_services.save.bind(save)
    model_services.save_weights.bind(save_weights)
    model_services.load_weights.bind(load_weights)
    model_services.to_json.bind(to_json)
    model_services.architecture.bind(architecture)
    model_services.from_architecture.bind(from_architecture)
    model_services.copied_model.bind(copied_model)
    model_services.reduced_model.bind(reduced_model)
    model_services.backend.bind(backend)
    model_services.predict.bind(predict)
