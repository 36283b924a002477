# SPDX-License-Identifier: Apache-2.0
"""From real weights to integers: scales, rounding, tables, and the bias that makes up for what rounding shifts."""
