"""What of an ONNX model cannot be taken: each refusal is collected with its node, so that one error names them all."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from onnx import defs

from dagir.errors import DagirError, UnsupportedOp
from dagir_onnx.importing.registry import MICROSOFT, find_rule

_SHOWN = 12


class Refused(Exception):
    """Raised by a rule for a node that cannot be taken, and caught by the reader, which knows the node."""

    def __init__(self, reason: str, remedy: str | None = None) -> None:
        super().__init__(reason)
        self.reason, self.remedy = reason, remedy


@dataclass(frozen=True)
class Problem:
    """One node that cannot be taken. op: with its domain, where that is not ONNX's own."""

    node: str
    op: str
    reason: str
    remedy: str | None = None


@dataclass(frozen=True)
class Missing:
    """What stands for the outputs of a node that cannot be taken: what reads it is not looked at."""

    problem: Problem


class Problems:
    """All that was refused so far."""

    def __init__(self) -> None:
        self.found: list[Problem] = []

    def note(self, problem: Problem) -> Missing:
        """Add one, and return what stands for its outputs."""
        self.found.append(problem)
        return Missing(problem)

    def require_none(self, source: str) -> None:
        """Raise UnsupportedOp with every problem, or nothing."""
        if self.found:
            raise self._error(source)

    def _error(self, source: str) -> DagirError:
        first, count = self.found[0], len(self.found)
        remedies = dict.fromkeys(problem.remedy for problem in self.found if problem.remedy)
        remedy = "; ".join(list(remedies)[:4]) or None
        if count == 1:
            return UnsupportedOp(
                f"{source}: node {first.node!r} ({first.op}) cannot be taken: {first.reason}", remedy=remedy
            )
        kinds = Counter((problem.op, problem.reason) for problem in self.found)
        facts = []
        for (op, reason), number in kinds.items():
            names = [problem.node for problem in self.found if (problem.op, problem.reason) == (op, reason)]
            more = f" and {number - 3} more" if number > 3 else ""
            shown = f"node {names[0]!r}" if number == 1 else f"{number} nodes: {', '.join(map(repr, names[:3]))}{more}"
            facts.append((op, f"{reason}; {shown}"))
        if len(facts) > _SHOWN:
            facts = [*facts[:_SHOWN], ("...", f"{len(facts) - _SHOWN} more kinds")]
        counts = Counter(problem.op for problem in self.found)
        ops = ", ".join(op if number == 1 else f"{op} ({number})" for op, number in counts.items())
        return UnsupportedOp(f"{source}: {count} nodes cannot be taken, of {ops}", facts=facts, remedy=remedy)


_RANDOM = ("draws random numbers, also at inference", "feed the noise as an input")
_SEQUENCE = ("computes on sequences of tensors, and each value of dagir is one tensor", "stack the tensors into one")
_OPTIONAL = ("computes on values that may be absent", "give the model the values, or leave the input out")
TEXT = ("computes on text", "do it before the model")
_IMAGE = ("decodes files of images", "do it before the model")
_TREES = ("is no op of a network", "run it beside the model")
_GRADIENT = ("is an op of training", "export the model for inference")

_REASONS: dict[tuple[str, str], tuple[str, str]] = {
    **{
        ("", op): _RANDOM
        for op in (
            *("Bernoulli", "Multinomial", "RandomNormal", "RandomNormalLike"),
            *("RandomUniform", "RandomUniformLike"),
        )
    },
    **{
        ("", op): _SEQUENCE
        for op in (
            *("SequenceAt", "SequenceConstruct", "SequenceEmpty", "SequenceErase", "SequenceInsert", "SequenceMap"),
            *("SequenceLength", "ConcatFromSequence", "SplitToSequence"),
        )
    },
    **{("", op): _OPTIONAL for op in ("Optional", "OptionalGetElement", "OptionalHasElement")},
    **{("", op): TEXT for op in ("RegexFullMatch", "StringConcat", "StringNormalizer", "StringSplit")},
    ("", "ImageDecoder"): _IMAGE,
    **{
        ("ai.onnx.ml", op): _TREES
        for op in (
            *("CastMap", "CategoryMapper", "DictVectorizer", "SVMClassifier", "SVMRegressor", "ZipMap"),
            *("TreeEnsemble", "TreeEnsembleClassifier", "TreeEnsembleRegressor"),
        )
    },
}


def refusal_of(domain: str, op: str, version: int) -> Refused:
    """The refusal of an op that has no rule for this version of its domain."""
    if domain.startswith("ai.onnx.preview.training"):
        return Refused(*_GRADIENT)
    known = _REASONS.get((domain, op))
    if known is not None:
        return Refused(*known)
    if not domain and not _has(op, version):
        return _not_of_onnx(op, version)
    if domain in ("", "ai.onnx.ml"):
        return Refused("dagir has no rule for it", "write the model with other ops")
    return Refused(
        f"it is of the domain {domain!r}, for which dagir has no rule",
        "export the model with ONNX's own ops, or with a function in the file that says what the op computes",
    )


def _has(op: str, version: int) -> bool:
    """Whether ONNX's own domain has an operator of this name as of an opset."""
    try:
        defs.get_schema(op, min(version, defs.onnx_opset_version()), "")
    except defs.SchemaError:
        return False
    return True


def _not_of_onnx(op: str, version: int) -> Refused:
    """The refusal of a name that ONNX's own domain does not have. onnxruntime refuses the file, too.

    It is not read as what com.microsoft has under the name: where ONNX has it later, as Attention, it is another op.
    """
    lack = (
        f"has it only in a later opset than {version}, the file's" if defs.has(op) else "has no operator of this name"
    )
    reason = f"it is of ONNX's own domain, which {lack}"
    if find_rule(MICROSOFT, op, 1) is None:
        return Refused(reason, "write the model with other ops")
    return Refused(
        f"{reason}; onnxruntime's domain {MICROSOFT!r} has one",
        f"if that is meant, set node.domain = {MICROSOFT!r}, with an entry for it in the model's opset_import",
    )


__all__ = ["TEXT", "Missing", "Problem", "Problems", "Refused", "refusal_of"]
