# SPDX-License-Identifier: Apache-2.0
"""Images in: preprocessing that travels with a model, and readers of NPZ files and image folders."""

from fewbins.data.preprocess import Preprocessing
from fewbins.data.readers import Dataset, image_files, open_dataset, read_image

__all__ = ["Dataset", "Preprocessing", "image_files", "open_dataset", "read_image"]
