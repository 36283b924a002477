# SPDX-License-Identifier: Apache-2.0
"""For all tests and the doctests of src: a cache folder of their own."""

import atexit
import os
import shutil
import tempfile

# Kernels are chosen with the default costs, whatever was measured on this machine, and nothing of a test stays behind.
os.environ["FEWBINS_CACHE_DIR"] = tempfile.mkdtemp(prefix="fewbins-tests-")
atexit.register(shutil.rmtree, os.environ["FEWBINS_CACHE_DIR"], ignore_errors=True)
