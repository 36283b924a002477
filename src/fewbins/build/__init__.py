# SPDX-License-Identifier: Apache-2.0
"""From a fused float graph to a quantized one: plan, weights, correct, emit, in this order.

`plan` decides what is integer and which tensors share their levels; calibration then gives every tensor a scale;
`weights` rounds the weights; `correct` walks the network once more and repairs biases; `emit` writes the new graph.
"""
