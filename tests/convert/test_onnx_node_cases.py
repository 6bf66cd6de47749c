"""onnx's own node tests: each gives the right answer, or is refused with the operator and the reason; none is wrong."""

from __future__ import annotations

import pytest

import dagir
from convert.node_cases import array_of, collected, difference, feeds, read

PASSED = 1779  # of the cases at least, by the interpreter

REFUSED = {  # by operator, or by what else is at fault: a part of the reason
    "input": "it is of the type",
    "BitCast": "they depend on how floats are rounded",
    "Dropout": "drops at random",
    "Equal": "compares text",
    "ImageDecoder": "decodes files of images",
    "Loop": "which the data decide in it",
    "RandomUniformLike": "draws random numbers",
    "Resize": "gives no whole size",
    "ai.onnx.ml.LabelEncoder": "it is a tensor of text",
    "ai.onnx.ml.TreeEnsemble": "is no op of a network",
    **dict.fromkeys(
        (
            *("SequenceAt", "SequenceConstruct", "SequenceEmpty", "SequenceInsert", "SequenceLength"),
            "SplitToSequence",
        ),
        "computes on sequences of tensors",
    ),
    **dict.fromkeys(("Optional", "OptionalGetElement", "OptionalHasElement"), "may be absent"),
    **dict.fromkeys(("RegexFullMatch", "StringConcat", "StringNormalizer", "StringSplit"), "computes on text"),
    **dict.fromkeys((f"ai.onnx.preview.training.{op}" for op in ("Adagrad", "Adam", "Momentum")), "op of training"),
}


@pytest.fixture(scope="module")
def outcomes():
    """What each case came to, by its name."""
    return {case.name: (case, read(case)) for case in collected()}


def test_each_case_that_is_refused_is_refused_for_a_known_reason(outcomes):
    unknown = {
        name: outcome.reasons
        for name, (_, outcome) in outcomes.items()
        if outcome.model is None
        and any(op not in REFUSED or REFUSED[op] not in reason for op, reason in outcome.reasons.items())
    }
    assert unknown == {}


def _answers(case, outcome, run):
    """The first output that is wrong, and why; nothing where all are right."""
    for inputs, outputs in case.data_sets:
        found = run(feeds(case, inputs, outcome))
        for info, wanted in zip(case.model.graph.output, outputs, strict=True):
            reason = difference(found[info.name], array_of(wanted), case.rtol, max(case.atol, 1e-6))
            if reason:
                return f"{info.name}: {reason}"
    return ""


def test_no_case_is_wrong_on_the_interpreter(outcomes):
    read_ones = {name: each for name, each in outcomes.items() if each[1].model is not None}
    wrong = {
        name: reason
        for name, (case, outcome) in read_ones.items()
        if (reason := _answers(case, outcome, dagir.lower(outcome.model)))
    }
    assert wrong == {}
    assert len(read_ones) >= PASSED


@pytest.mark.parametrize("part", range(4))
def test_no_case_is_wrong_in_onnxruntime_after_it_was_written_again(outcomes, part):
    """Every second case of those that have an input; onnxruntime lacks kernels for some dtypes."""
    wrong = {}
    for name, (case, outcome) in list(outcomes.items())[part::8]:
        if outcome.model is None or not outcome.model.graph.inputs:
            continue
        try:
            exe = dagir.lower(outcome.model, "onnx")
            reason = _answers(case, outcome, exe)
        except (dagir.errors.BackendError, dagir.errors.UnsupportedOp):
            continue
        if reason:
            wrong[name] = reason
    assert wrong == {}
