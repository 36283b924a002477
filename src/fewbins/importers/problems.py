# SPDX-License-Identifier: Apache-2.0
"""What stops one node from being imported; the importer collects these and reports all of them at once."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


class NodeError(Exception):
    """A node that cannot be imported: what is wrong with it, and what to do. Never leaves the importer."""


def show_shape(shape: Iterable[Any]) -> str:
    """A shape as people write it.

    >>> show_shape(("batch", 3, 224, 224)), show_shape(())
    ('batch x 3 x 224 x 224', 'scalar')
    """
    return " x ".join(str(size) for size in shape) or "scalar"
