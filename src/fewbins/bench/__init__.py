# SPDX-License-Identifier: Apache-2.0
"""The claims about speed, as measurements made when the command runs."""
