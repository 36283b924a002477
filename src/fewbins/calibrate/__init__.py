# SPDX-License-Identifier: Apache-2.0
"""What calibration images tell about a float network: one pass, flat memory, a scale for every tensor."""
