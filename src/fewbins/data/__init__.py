# SPDX-License-Identifier: Apache-2.0
"""Images in: preprocessing that travels with a model, data in memory, and readers of NPZ files and image folders."""

from fewbins.data.items import as_array, read_items
from fewbins.data.preprocess import Preprocessing
from fewbins.data.readers import Dataset, image_files, open_dataset, read_image

__all__ = ["Dataset", "Preprocessing", "as_array", "image_files", "open_dataset", "read_image", "read_items"]
