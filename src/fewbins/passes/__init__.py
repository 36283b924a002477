# SPDX-License-Identifier: Apache-2.0
"""Passes: Graph -> Graph. Each is a function of its own file, and returns a new graph."""

from fewbins.passes.fold_batchnorm import fold_batchnorm
from fewbins.passes.fold_constants import fold_constants

__all__ = ["fold_batchnorm", "fold_constants"]
