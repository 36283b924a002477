# SPDX-License-Identifier: Apache-2.0
"""The canonical operators: attributes, shape rules and oracles, one file each; `REGISTRY` lists them all."""

from fewbins.ops.arg_reduce import ArgReduceAttrs, TopKAttrs
from fewbins.ops.base import ATTRS, REGISTRY, OpDef, Requantize, attrs_from_json, attrs_to_json
from fewbins.ops.batch_norm import BatchNormAttrs
from fewbins.ops.binary import BinaryAttrs
from fewbins.ops.cast import CastAttrs
from fewbins.ops.compare import CompareAttrs, LogicAttrs
from fewbins.ops.concat import ConcatAttrs
from fewbins.ops.conv import ConvAttrs
from fewbins.ops.conv_transpose import ConvTransposeAttrs
from fewbins.ops.depth_space import DepthToSpaceAttrs, SpaceToDepthAttrs
from fewbins.ops.gather import GatherAttrs
from fewbins.ops.gemm import GemmAttrs
from fewbins.ops.grid import ExpandAttrs, RangeAttrs
from fewbins.ops.infer import infer_node, infer_shapes
from fewbins.ops.matmul import MatMulAttrs
from fewbins.ops.normalize import NormalizeAttrs
from fewbins.ops.pad import PadAttrs
from fewbins.ops.pool import PoolAttrs
from fewbins.ops.prelu import PReluAttrs
from fewbins.ops.quantize import DequantizeAttrs, QuantizeAttrs
from fewbins.ops.reduce import ReduceAttrs
from fewbins.ops.requantize import RequantizeAttrs
from fewbins.ops.reshape import ReshapeAttrs
from fewbins.ops.resize import ResizeAttrs
from fewbins.ops.slice import SliceAttrs
from fewbins.ops.softmax import SoftmaxAttrs
from fewbins.ops.table import TableAttrs
from fewbins.ops.transpose import TransposeAttrs
from fewbins.ops.unary import UnaryAttrs
from fewbins.ops.where import WhereAttrs

__all__ = [
    "ATTRS",
    "REGISTRY",
    "ArgReduceAttrs",
    "BatchNormAttrs",
    "BinaryAttrs",
    "CastAttrs",
    "CompareAttrs",
    "ConcatAttrs",
    "ConvAttrs",
    "ConvTransposeAttrs",
    "DepthToSpaceAttrs",
    "DequantizeAttrs",
    "ExpandAttrs",
    "GatherAttrs",
    "GemmAttrs",
    "LogicAttrs",
    "MatMulAttrs",
    "NormalizeAttrs",
    "OpDef",
    "PReluAttrs",
    "PadAttrs",
    "PoolAttrs",
    "QuantizeAttrs",
    "RangeAttrs",
    "ReduceAttrs",
    "Requantize",
    "RequantizeAttrs",
    "ReshapeAttrs",
    "ResizeAttrs",
    "SliceAttrs",
    "SoftmaxAttrs",
    "SpaceToDepthAttrs",
    "TableAttrs",
    "TopKAttrs",
    "TransposeAttrs",
    "UnaryAttrs",
    "WhereAttrs",
    "attrs_from_json",
    "attrs_to_json",
    "infer_node",
    "infer_shapes",
]
