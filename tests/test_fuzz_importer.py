# SPDX-License-Identifier: Apache-2.0
"""L5: damaged ONNX files. load_onnx answers with a valid graph or one of our errors, soon, and in bounded memory.

The damage is of every kind: bytes, attributes, shapes, constants, types, operators, connections. FEWBINS_SEED moves
the seed; a failure names its mutation, and `mutated(number)` makes the model again.
"""

from __future__ import annotations

import os
import signal
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, numpy_helper
from random_graphs import random_model

import fewbins
from fewbins.errors import FewbinsError
from fewbins.graph import Graph
from fewbins.importers.operators import OPERATORS
from fewbins.quantize import prepare

COUNT = 320
CHUNK = 40
SEED = int(os.environ.get("FEWBINS_SEED", "0"))
SECONDS = 5
MEGABYTES = 600  # a folded constant has 64 MiB at most, and some operators need a few copies of it
BASES = 12
DIGITS = Path(__file__).resolve().parents[1] / "examples" / "digits.onnx"

EXTREMES = (0, 1, -1, 2, 3, 7, 255, 4096, 2**24, -(2**31), 2**31 - 1, 2**31, 2**40, 2**62, 2**63 - 1, -(2**63))
FLOATS = (0.0, -1.0, 1e-45, 1e-38, 3.4e38, float("inf"), -float("inf"), float("nan"))
Mutation = Callable[[onnx.ModelProto, np.random.Generator], None]


def pick(rng: np.random.Generator, items: Sequence) -> object:
    return items[int(rng.integers(len(items)))]


def extreme(rng: np.random.Generator) -> int:
    return int(pick(rng, EXTREMES)) if rng.random() < 0.5 else int(rng.integers(-2, 8))


# Mutations of a parsed model. Each changes it in place.


def change_an_attribute(model: onnx.ModelProto, rng: np.random.Generator) -> None:
    attribute = pick(rng, [a for node in model.graph.node for a in node.attribute])
    if attribute.type == onnx.AttributeProto.INT:
        attribute.i = extreme(rng)
    elif attribute.type == onnx.AttributeProto.FLOAT:
        attribute.f = float(pick(rng, FLOATS))
    elif attribute.type == onnx.AttributeProto.STRING:
        attribute.s = bytes(pick(rng, (b"", b"\xff\xfe", b"SAME_LOWER", b"VALID", b"nearest", b"linear", b"x" * 5000)))
    elif len(attribute.ints):
        attribute.ints[int(rng.integers(len(attribute.ints)))] = extreme(rng)


def change_the_length_of_a_list(model: onnx.ModelProto, rng: np.random.Generator) -> None:
    lists = [a.ints for node in model.graph.node for a in node.attribute if len(a.ints)]
    if lists:
        values = pick(rng, lists)
        longer = [*values, extreme(rng)] if rng.random() < 0.5 else list(values)[: int(rng.integers(len(values)))]
        del values[:]
        values.extend(longer)


def drop_or_rename_an_attribute(model: onnx.ModelProto, rng: np.random.Generator) -> None:
    node = pick(rng, [node for node in model.graph.node if node.attribute])
    index = int(rng.integers(len(node.attribute)))
    if rng.random() < 0.5:
        del node.attribute[index]
    else:
        node.attribute[index].name = str(pick(rng, ("axis", "axes", "pads", "group", "auto_pad", "value", "", "perm")))


def retype_an_attribute(model: onnx.ModelProto, rng: np.random.Generator) -> None:
    attribute = pick(rng, [a for node in model.graph.node for a in node.attribute])
    attribute.type = int(rng.integers(0, 15))
    attribute.i, attribute.f, attribute.s = extreme(rng), 0.5, b"text"


def add_an_attribute(model: onnx.ModelProto, rng: np.random.Generator) -> None:
    node = pick(rng, model.graph.node)
    name = str(pick(rng, ("axis", "axes", "pads", "group", "keepdims", "ceil_mode", "dilations", "output_shape", "to")))
    value: object = extreme(rng) if rng.random() < 0.5 else [extreme(rng) for _ in range(int(rng.integers(5)))]
    node.attribute.append(
        onnx.helper.make_attribute(name, value, attr_type=onnx.AttributeProto.INTS if isinstance(value, list) else None)
    )


def change_the_shape_of_a_constant(model: onnx.ModelProto, rng: np.random.Generator) -> None:
    tensor = pick(rng, model.graph.initializer)
    dims = list(tensor.dims)
    way = int(rng.integers(4))
    if way == 0 and dims:
        dims[int(rng.integers(len(dims)))] = extreme(rng)
    elif way == 1:
        dims.insert(int(rng.integers(len(dims) + 1)), int(pick(rng, (1, 1, 0, 2))))
    elif way == 2:
        dims = [int(np.prod(dims))]
    else:
        dims = dims[::-1]
    tensor.dims[:] = dims


def replace_a_constant(model: onnx.ModelProto, rng: np.random.Generator) -> None:
    """Other values of another shape or type, stored as they should be."""
    tensor = pick(rng, model.graph.initializer)
    try:
        data = numpy_helper.to_array(tensor)
    except Exception:  # an earlier mutation was here
        return
    way = int(rng.integers(5))
    if way == 0 and data.dtype == np.int64:
        data = np.array([extreme(rng) for _ in range(data.size)], np.int64).reshape(data.shape)
    elif way == 1 and data.dtype == np.float32:
        data = np.where(rng.random(data.shape) < 0.3, np.float32(pick(rng, FLOATS)), data).astype(np.float32)
    elif way == 2:
        types = (np.float16, np.float64, np.int32, np.int8, np.uint64, np.bool_, np.complex64, np.int64, np.float32)
        with np.errstate(all="ignore"):
            data = data.astype(pick(rng, types))
    elif way == 3:
        data = np.resize(data, tuple(int(n) for n in rng.integers(0, 5, int(rng.integers(0, 6)))))
    else:
        data = data.reshape(-1)[: int(rng.integers(data.size + 1))]
    tensor.CopyFrom(numpy_helper.from_array(np.array(data), tensor.name))


def change_the_type_of_a_constant(model: onnx.ModelProto, rng: np.random.Generator) -> None:
    pick(rng, model.graph.initializer).data_type = int(rng.integers(0, 30))


def move_a_constant_outside(model: onnx.ModelProto, rng: np.random.Generator) -> None:
    tensor = pick(rng, model.graph.initializer)
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=str(pick(rng, ("w.bin", "/dev/zero", "../x", "", "a\0b"))))


def change_an_input(model: onnx.ModelProto, rng: np.random.Generator) -> None:
    info = pick(rng, model.graph.input)
    kind = info.type.tensor_type
    way = int(rng.integers(5))
    if way == 0:
        kind.elem_type = int(rng.integers(0, 30))
    elif way == 1:
        kind.ClearField("shape")
    elif way == 2 and len(kind.shape.dim):
        del kind.shape.dim[int(rng.integers(len(kind.shape.dim)))]
    elif way == 3:
        kind.shape.dim.add().dim_value = extreme(rng)
    elif len(kind.shape.dim):
        dim = pick(rng, kind.shape.dim)
        if rng.random() < 0.3:
            dim.dim_param = str(pick(rng, ("N", "?", "", "height", "n" * 3000)))
        else:
            dim.dim_value = extreme(rng)


def rewire(model: onnx.ModelProto, rng: np.random.Generator) -> None:
    node = pick(rng, [node for node in model.graph.node if node.input])
    names = [name for other in model.graph.node for name in (*other.input, *other.output)]
    way = int(rng.integers(3))
    if way == 0:
        node.input[int(rng.integers(len(node.input)))] = str(pick(rng, (*names, "", "nothing")))
    elif way == 1:
        del node.input[int(rng.integers(len(node.input)))]
    else:
        node.input.append(str(pick(rng, names)))


def change_an_operator(model: onnx.ModelProto, rng: np.random.Generator) -> None:
    node = pick(rng, model.graph.node)
    node.op_type = str(pick(rng, (*OPERATORS, "LSTM", "NonZero", "")))
    if rng.random() < 0.5:
        del node.attribute[:]


def change_the_outputs(model: onnx.ModelProto, rng: np.random.Generator) -> None:
    names = [name for node in model.graph.node for name in (*node.input, *node.output)]
    way = int(rng.integers(4))
    if way == 0:
        model.graph.output.add().name = str(pick(rng, (*names, "", "nothing")))
    elif way == 1:
        del model.graph.output[:]
    elif way == 2:
        pick(rng, model.graph.node).output.append(str(pick(rng, names)))
    else:
        del pick(rng, model.graph.node).output[:]


def shuffle_the_nodes(model: onnx.ModelProto, rng: np.random.Generator) -> None:
    nodes = list(model.graph.node)
    way = int(rng.integers(3))
    if way == 0:
        nodes = [nodes[int(i)] for i in rng.permutation(len(nodes))]
    elif way == 1:
        del nodes[int(rng.integers(len(nodes)))]
    else:
        nodes.insert(int(rng.integers(len(nodes))), pick(rng, nodes))
    copies = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes]
    del model.graph.node[:]
    model.graph.node.extend(copies)


def change_the_frame(model: onnx.ModelProto, rng: np.random.Generator) -> None:
    way = int(rng.integers(4))
    if way == 0:
        model.opset_import[0].version = int(pick(rng, (9, 10, 12, 16, 21, 22, 8, 0, -1, 1000)))
    elif way == 1:
        model.opset_import[0].domain = "elsewhere"
    elif way == 2:
        pick(rng, model.graph.node).domain = str(pick(rng, ("ai.onnx", "com.microsoft", "ai.onnx.ml")))
    else:
        del model.graph.initializer[int(rng.integers(len(model.graph.initializer)))]


MUTATIONS: tuple[Mutation, ...] = (
    *(change_an_attribute,) * 5, *(replace_a_constant,) * 3, *(change_an_input,) * 2, *(rewire,) * 2,
    *(change_an_operator,) * 2, change_the_length_of_a_list, drop_or_rename_an_attribute, retype_an_attribute,
    add_an_attribute, change_the_shape_of_a_constant, change_the_type_of_a_constant, move_a_constant_outside,
    change_the_outputs, shuffle_the_nodes, change_the_frame,
)  # fmt: skip


def damage_bytes(content: bytes, rng: np.random.Generator) -> bytes:
    data = bytearray(content)
    for _ in range(int(rng.integers(1, 4))):
        place, length = int(rng.integers(len(data))), int(rng.integers(1, 9))
        way = int(rng.integers(5))
        if way == 0:
            data[place] ^= 1 << int(rng.integers(8))
        elif way == 1:
            data[place : place + length] = rng.bytes(length)
        elif way == 2:
            del data[place : place + length]
        elif way == 3:
            data[place:place] = data[place : place + length]
        else:
            data[place:place] = bytes([int(pick(rng, (0, 8, 0x7F, 0x80, 0xFF)))] * length)
    return bytes(data)


@cache
def base(number: int) -> bytes:
    """A good file: the digits network, or a random one."""
    return DIGITS.read_bytes() if number == 0 else random_model(number).proto.SerializeToString()


def mutated(number: int) -> tuple[bytes, str]:
    """A damaged file, and what was done to it."""
    rng = np.random.default_rng([SEED, number])
    index = number % BASES
    content = base(index)
    if rng.random() < 0.25:
        return damage_bytes(content, rng), f"mutation {number} (FEWBINS_SEED={SEED}): bytes of base {index}"
    model = onnx.ModelProto.FromString(content)
    done = []
    for _ in range(1 + int(rng.random() < 0.25)):
        mutation = MUTATIONS[int(rng.integers(len(MUTATIONS)))]
        if model.graph.node and model.graph.initializer and any(node.attribute for node in model.graph.node):
            mutation(model, rng)
            done.append(mutation.__name__)
    return model.SerializeToString(), f"mutation {number} (FEWBINS_SEED={SEED}): {', '.join(done)} of base {index}"


@contextmanager
def bounded(what: str) -> Iterator[None]:
    """Fail when the block takes too long, or too much memory at once."""

    def too_late(*_: object) -> None:
        raise TimeoutError(f"{what} takes more than {SECONDS} s")

    before = signal.signal(signal.SIGALRM, too_late)
    signal.alarm(SECONDS)
    tracemalloc.start()
    try:
        yield
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
    assert peak < MEGABYTES * 2**20, f"{what} takes {peak / 2**20:.0f} MiB"


def outcome(content: bytes, what: str) -> Graph | FewbinsError:
    """What load_onnx says; fails where it says anything but a graph or an error of ours."""
    try:
        with bounded(what):
            graph = fewbins.load_onnx(content)
    except FewbinsError as error:
        assert str(error), what
        assert "\n" not in str(error), what
        return error
    except Exception as error:
        raise AssertionError(f"{what}: {type(error).__name__}: {error}") from error
    return graph


@pytest.mark.parametrize("start", range(0, COUNT, CHUNK))
def test_a_damaged_file_gives_a_valid_graph_or_one_of_our_errors(start: int) -> None:
    for number in range(start, start + CHUNK):
        content, what = mutated(number)
        graph = outcome(content, what)
        if isinstance(graph, FewbinsError):
            continue
        graph.validate()
        try:
            prepare(graph)
        except FewbinsError:
            pass
        except Exception as error:
            raise AssertionError(f"{what}: prepare: {type(error).__name__}: {error}") from error


def test_most_kinds_of_damage_are_noticed_and_some_do_no_harm() -> None:
    """The mutations are neither all so gross nor all so mild that the test above says nothing."""
    refused = sum(isinstance(outcome(*mutated(number)), FewbinsError) for number in range(0, COUNT, 4))
    assert 0.3 < refused / (COUNT // 4) < 0.95
