# SPDX-License-Identifier: Apache-2.0
"""scikit-learn's handwritten digits, split once and for all, for the numbered examples."""

from __future__ import annotations

import numpy as np
from sklearn.datasets import load_digits


def digits() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return x_train (1297, 1, 8, 8) and its labels, x_test (500, 1, 8, 8) and its labels; float32 pixels in 0..1."""
    data = load_digits()
    order = np.random.default_rng(0).permutation(len(data.target))
    x = (data.images[order] / 16).astype(np.float32)[:, None]
    y = data.target[order].astype(np.int64)
    return x[500:], y[500:], x[:500], y[:500]
