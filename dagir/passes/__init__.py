"""Passes: graph to graph, and the pipelines that run them."""

from dagir.passes.bodies import Bodies
from dagir.passes.capture_leaves import CaptureLeaves
from dagir.passes.channels_first import ChannelsFirst
from dagir.passes.channels_last import ChannelsLast
from dagir.passes.check_sizes import CheckSizes
from dagir.passes.decide_branches import DecideBranches
from dagir.passes.decode_weights import DecodeWeights
from dagir.passes.derived import Derived
from dagir.passes.drop_identities import DropIdentities
from dagir.passes.expand_early import ExpandEarly
from dagir.passes.flat_products import FlatProducts
from dagir.passes.fold_batchnorm import FoldBatchNorm
from dagir.passes.fold_constants import FoldConstants
from dagir.passes.fold_scales import FoldScales
from dagir.passes.fold_statistics import FoldStatistics
from dagir.passes.fuse_bidirectional import FuseBidirectional
from dagir.passes.inline import Inline
from dagir.passes.linear_products import LinearProducts
from dagir.passes.merge_clips import MergeClips
from dagir.passes.merge_duplicates import MergeDuplicates
from dagir.passes.merge_pads import MergePads
from dagir.passes.merge_slices import MergeSlices
from dagir.passes.narrow import Narrow
from dagir.passes.outline import Outline
from dagir.passes.pipeline import Pass, Pipeline, run
from dagir.passes.quantize import Quantize
from dagir.passes.recognize import Recognize

_FOLDS: Pipeline = (
    (FoldConstants(), "weights that are only reshaped become weights, which the folds below can read"),
    (DecideBranches(), "conditions that are constant by now"),
    (DropIdentities(), "dropout between a convolution and its normalization hides neither from the other"),
    (Recognize(), "before the folds take the formulas apart"),
    (LinearProducts(), "products with weights are linear maps, which take in the biases after them"),
    (MergeClips(), "a relu with a maximum is one op that onnxruntime fuses into the convolution before it"),
    (MergePads(), "a padded convolution has its padding, so that scales before it reach its weights"),
    (FoldBatchNorm(), "while convolution and normalization are neighbours"),
    (FoldScales(), "what lies before a convolution folds once what lies after it has: that can be more"),
    (ChannelsFirst(), "ONNX convolves channels first; after the folds, since they look at neighbours"),
    (FoldScales(), "those of a layer normalization, which the layout set free"),
    (FoldStatistics(), "normalizations that no fold above took"),
    (FlatProducts(), "what is a convolution by now is no product"),
    (ExpandEarly(), "what the layout has placed; its reshapes meet others below"),
    (DropIdentities(), "the reshapes of layout and rows meet those of the network"),
    (FoldConstants(), "constants that the layout moved"),
    (MergeDuplicates(), "when equal work has the same form"),
    (MergeSlices(), "parts of one value, of which the layout has seen each"),
    (FuseBidirectional(), "last, when both ways read the same sequence and the same mask"),
    (CheckSizes(), "nodes that no pass moves any more"),
)

DEPLOY: Pipeline = (
    (Inline(), "one flat graph, so that the other passes see across models"),
    (CaptureLeaves(), "weights in the bodies that read them, where the folds see them"),
    (Bodies(((Inline(), "ONNX has no calls"), *_FOLDS)), "the bodies, which no other pass sees into"),
    *_FOLDS,
)
"""What ONNX gets: everything that changes no answer. A name in `disable` leaves out every step of that name."""

TRAIN: Pipeline = ()
"""What Keras gets: the graph as it is, since training needs its layers."""

__all__ = [
    "DEPLOY",
    "TRAIN",
    "Bodies",
    "CaptureLeaves",
    "ChannelsFirst",
    "ChannelsLast",
    "CheckSizes",
    "DecideBranches",
    "DecodeWeights",
    "Derived",
    "DropIdentities",
    "ExpandEarly",
    "FlatProducts",
    "FoldBatchNorm",
    "FoldConstants",
    "FoldScales",
    "FoldStatistics",
    "FuseBidirectional",
    "Inline",
    "LinearProducts",
    "MergeClips",
    "MergeDuplicates",
    "MergePads",
    "MergeSlices",
    "Narrow",
    "Outline",
    "Pass",
    "Pipeline",
    "Quantize",
    "Recognize",
    "run",
]
