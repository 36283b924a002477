# SPDX-License-Identifier: Apache-2.0
"""Every error that fewbins raises on purpose.

Each class is a `FewbinsError` and also the built-in that fits, so that `except ValueError` works for a caller who does
not know this library. A message is one line: what is wrong, the value, where, and what to do.

>>> try:
...     raise SchemeError("scheme '9bit' is unknown; did you mean '8bit' or '4bit'?")
... except ValueError as error:
...     print(error)
scheme '9bit' is unknown; did you mean '8bit' or '4bit'?
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterable


class FewbinsError(Exception):
    """The base of every error of ours; the command line turns it into one line and exit code 2."""


class ArgumentError(FewbinsError, ValueError):
    """An argument of a call has a value that makes no sense, where no narrower class fits."""


class SchemeError(FewbinsError, ValueError):
    """A scheme string, or a number of bins, that is not in the grammar of docs/schemes.md."""


class GraphError(FewbinsError, ValueError):
    """A graph that breaks its own rules: a missing tensor, a circle, a name used twice."""


class ShapeError(FewbinsError, ValueError):
    """Shapes or data types that do not fit each other, or do not fit the model's inputs."""


class DataError(FewbinsError, ValueError):
    """Images or labels that cannot be used: an empty set, a wrong key, a file that is not what its name says."""


class CalibrationError(FewbinsError, ValueError):
    """Calibration that gives no usable constants: no images, a range that is not finite, a sum that may overflow."""


class ModelFileError(FewbinsError, ValueError):
    """A model file whose contents are truncated, corrupt, over a limit, or of an unknown version."""


class UnsupportedError(FewbinsError, ValueError):
    """Something correct that fewbins does not do.

    Attributes:
        nodes: one line for each kind of offending nodes; all of them are reported at once, not only the first.

    >>> error = UnsupportedError("2 nodes cannot be imported", nodes=["LSTM 'rnn'", "NonZero 'mask'"])
    >>> print(error)
    2 nodes cannot be imported: LSTM 'rnn'; NonZero 'mask'
    >>> error.nodes
    ["LSTM 'rnn'", "NonZero 'mask'"]
    """

    def __init__(self, message: str, nodes: Iterable[str] = ()) -> None:
        """Keep the message and the offending nodes."""
        super().__init__(message)
        self.nodes: list[str] = list(nodes)

    def __str__(self) -> str:
        """The message, followed by the nodes where there are any."""
        message = super().__str__()
        return f"{message}: {'; '.join(self.nodes)}" if self.nodes else message


class FileAccessError(FewbinsError, OSError):
    """A file or folder that cannot be read or written: it is missing, forbidden, or the disk is full."""


class EngineMemoryError(FewbinsError, MemoryError):
    """The engine could not get the memory that a model or an input size needs."""


class FewbinsWarning(UserWarning):
    """Something that runs and is probably not what was meant; given through `warnings.warn`, so that filters apply."""


class EngineError(FewbinsError, RuntimeError):
    """The engine found itself in a state that should be impossible; please report it."""


def warn(message: str) -> None:
    """Give a `FewbinsWarning` at the line outside this package that led here."""
    package = os.path.dirname(os.path.abspath(__file__)) + os.sep
    depth, frame = 1, sys._getframe(1)
    while frame.f_back is not None and (frame.f_code.co_filename.startswith((package, "<"))):
        depth, frame = depth + 1, frame.f_back
    warnings.warn(message, FewbinsWarning, stacklevel=depth + 1)
