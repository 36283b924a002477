# SPDX-License-Identifier: Apache-2.0
"""Both readers at every limit of docs/format.md section 7 and at one past it, and what budgets refuse."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hostile_models import RELU, Bytes, conv_attrs, relu, zeros_blob

import fewbins
from fewbins import _engine, limits, model_file

READERS = {"Python": model_file.from_bytes, "engine": lambda data: _engine.Session(data, threads=1)}


def answers(data: bytes) -> dict[str, str]:
    """What both readers say: "ok", or the message."""
    said = {}
    for name, reader in READERS.items():
        try:
            reader(data)
            said[name] = "ok"
        except fewbins.ModelFileError as error:
            said[name] = str(error)
            assert "\n" not in said[name]
    return said


def with_header_bytes(count: int) -> bytes:
    return relu([1]).file(header_bytes=count)


def with_nodes(count: int) -> bytes:
    file = relu([1])
    for i in range(count - 1):
        file.tensor(f"t{i}", [1]).node("Unary", ["x"], f"t{i}", RELU)
    return file.file()


def with_tensors(count: int) -> bytes:
    file = relu([1])
    for i in range(count - 2):
        file.tensor(f"t{i}", [1])
    return file.file()


def with_constants(count: int) -> bytes:
    file = relu([1])
    one = np.zeros(1, np.uint8)
    for i in range(count - 1):
        file.constant(f"c{i}", one)
    return file.file()


def with_operands(count: int) -> bytes:
    file = Bytes().tensor("x", [1]).tensor("y", [count])
    return file.node("Concat", ["x"] * count, "y", {"axis": 0}).ends(["x"], ["y"]).file()


def with_outputs(count: int) -> bytes:
    file = relu([1])
    for i in range(count - 1):
        file.tensor(f"t{i}", [1]).node("Unary", ["x"], f"t{i}", RELU)
    return file.ends(["x"], ["y", *(f"t{i}" for i in range(count - 1))]).file()


def with_attribute_entries(count: int) -> bytes:
    lists = {key: [0 if key == "starts" else 1] * count for key in ("starts", "ends", "axes", "steps")}
    file = Bytes().tensor("x", [1]).tensor("y", [1])
    return file.node("Slice", ["x"], "y", lists).ends(["x"], ["y"]).file()


def with_rank(count: int) -> bytes:
    return relu([1] * count).file()


def with_dim(size: int) -> bytes:
    return relu([size]).file()


def with_name_bytes(count: int) -> bytes:
    file = relu([1])
    file.header["graph"]["nodes"][0]["name"] = "ä" * (count // 2) + "n" * (count % 2)
    return file.file()


def with_depth(count: int) -> bytes:
    file = relu([1])
    value: object = []
    for _ in range(count - 3):
        value = [value]
    file.header["provenance"] = {"deep": value}
    return file.file()


def with_labels(count: int) -> bytes:
    file = relu([1])
    file.header["labels"] = [""] * count
    return file.file()


def with_load_bytes(spare: int) -> bytes:
    """A file whose constants, decoded, take the limit and `spare` bytes more."""

    def made(count: int) -> bytes:
        return relu([1]).coded("w", "uint8", [count], "rans", zeros_blob(count)).file()

    size = len(made(limits.FREE_LOAD_BYTES))
    scales = 8
    return made(limits.FREE_LOAD_BYTES + limits.LOAD_BYTES_PER_BYTE * size - scales + spare)


AT_LIMITS = {
    "MAX_HEADER_BYTES": with_header_bytes,
    "MAX_NODES": with_nodes,
    "MAX_TENSORS": with_tensors,
    "MAX_TENSORS of constants": with_constants,
    "MAX_OPERANDS": with_operands,
    "MAX_OPERANDS of outputs": with_outputs,
    "MAX_RANK": with_rank,
    "MAX_DIM": with_dim,
    "MAX_NAME_BYTES": with_name_bytes,
    "MAX_JSON_DEPTH": with_depth,
    "MAX_LABELS": with_labels,
}


@pytest.mark.parametrize("name", AT_LIMITS)
def test_both_readers_take_a_file_at_the_limit_and_refuse_one_past_it(name):
    make, limit = AT_LIMITS[name], getattr(limits, name.split(" of ")[0])
    assert answers(make(limit)) == {"Python": "ok", "engine": "ok"}
    for reader, said in answers(make(limit + 1)).items():
        assert said != "ok", reader


def test_both_readers_decode_as_much_as_the_files_size_allows_and_no_byte_more():
    assert answers(with_load_bytes(0)) == {"Python": "ok", "engine": "ok"}
    for said in answers(with_load_bytes(1)).values():
        assert "would pass the limit of" in said
        assert "decoded constants of" in said


def test_lists_in_attributes_at_the_limit_are_judged_by_what_they_say_and_past_it_by_their_length():
    for said in answers(with_attribute_entries(limits.MAX_ATTRIBUTE_ENTRIES)).values():
        assert "entries" not in said
    for said in answers(with_attribute_entries(limits.MAX_ATTRIBUTE_ENTRIES + 1)).values():
        assert "64 entries" in said


def test_a_constant_of_too_many_elements_is_refused_for_that_and_one_less_for_its_memory():
    def made(shape: list[int]) -> bytes:
        return relu([1]).coded("w", "uint8", shape, "rans", zeros_blob(1)).file()

    for said in answers(made([limits.MAX_ELEMENTS])).values():
        assert "decoded constants of 2147483655 bytes would pass the limit" in said
    for said in answers(made([2, 1 << 30])).values():
        assert "[2, 1073741824]" in said


def test_all_constants_together_have_a_limit_whatever_the_files_size():
    file = relu([1]).coded("raw", "uint8", [17 << 20], "raw", bytes(17 << 20))  # of this size more would be allowed
    for i in range(2):
        file.coded(f"w{i}", "uint8", [limits.MAX_ELEMENTS], "rans", zeros_blob(1))
    for said in answers(file.file()).values():
        assert f"limit of {limits.MAX_DECODED_BYTES} bytes" in said


def test_every_limit_of_the_file_is_tested_here():
    tested = {name.split(" of ")[0] for name in AT_LIMITS}
    elsewhere = {"MAX_ATTRIBUTE_ENTRIES", "MAX_ELEMENTS", "MAX_DECODED_BYTES", "FREE_LOAD_BYTES", "LOAD_BYTES_PER_BYTE"}
    of_a_plan = {"FREE_PLAN_BYTES", "PLAN_BYTES_PER_BYTE", "MAX_ARENA_BYTES"}
    of_an_operator = {"MAX_WINDOW"}  # engine/tests/test_boundaries.cpp
    assert {row[0] for row in _engine.limits()} == tested | elsewhere | of_a_plan | of_an_operator


def test_packed_weights_beyond_the_budget_are_refused_with_the_node_and_the_bytes():
    shape = [8 << 20, 1, 1, 1]
    affine = {"scale": "s", "zero_point": 0, "lo": -127, "hi": 127, "axis": None}
    file = Bytes().constant("s", np.ones(1, np.float32)).zeros("w", "int8", shape, affine)
    file.tensor("x", [1, 4 << 20, 1, 1]).tensor("y", [1, 8 << 20, 1, 1])
    file.node("Conv", ["x"], "y", conv_attrs((1, 1), 4 << 20), {"weight": "w"}).ends(["x"], ["y"])
    with pytest.raises(
        fewbins.ModelFileError, match=r"node 'ny' \(Conv\): .* of \d+ bytes would pass the limit of \d+"
    ):
        fewbins.Session(file.file())


def pad_session(width: int) -> fewbins.Session:
    file = Bytes().tensor("x", [1, 1]).tensor("y", [1, width])
    attrs = {"pads": [0, 0, 0, width - 1], "mode": "constant", "value": 0.0}
    return fewbins.Session(file.node("Pad", ["x"], "y", attrs).ends(["x"], ["y"]).file())


def test_tables_of_a_plan_are_refused_one_past_their_budget():
    # 64 bytes for each index of the two axes; the input has one float.
    entries = (limits.FREE_PLAN_BYTES + 4 * limits.PLAN_BYTES_PER_BYTE) // 64
    assert pad_session(entries - 1).plan([[1, 1]])
    with pytest.raises(
        fewbins.EngineMemoryError, match=r"node 'ny' \(Pad\): index tables of \d+ bytes would pass the limit"
    ):
        pad_session(entries).plan([[1, 1]])


@pytest.mark.parametrize(("rows", "encoding"), [(256, "rans"), (4096, "raw")])
def test_the_writer_keeps_constants_raw_that_would_compress_too_far(rows, encoding):
    affine = {"scale": "s", "zero_point": 0, "lo": -127, "hi": 127, "axis": None}
    file = Bytes().constant("s", np.ones(1, np.float32))
    file.coded("w", "int8", [rows, 1024, 1, 1], "raw", bytes(rows * 1024), affine)
    file.tensor("x", [1, 1024, 1, 1]).tensor("y", [1, rows, 1, 1])
    file.node("Conv", ["x"], "y", conv_attrs(), {"weight": "w"}).ends(["x"], ["y"])
    data = model_file.to_bytes(model_file.from_bytes(file.file()))
    assert header_of(data)["constants"]["w"]["encoding"] == encoding
    assert answers(data) == {"Python": "ok", "engine": "ok"}


def test_a_reader_without_memory_raises_our_error_and_not_a_bare_one(monkeypatch):
    def fail(*_args: object) -> None:
        raise MemoryError

    monkeypatch.setattr("fewbins._engine.rans_decode", fail)
    data = relu([1]).coded("w", "uint8", [9], "rans", zeros_blob(9)).file()
    with pytest.raises(fewbins.EngineMemoryError, match="not enough memory to read the model"):
        model_file.from_bytes(data)


def test_nodes_that_share_a_constant_are_refused_when_their_checks_would_take_too_long():
    affine = {"scale": "s", "zero_point": 0, "lo": -127, "hi": 127, "axis": None}
    levels = {"scale": 0, "zero_point": 0, "lo": -128, "hi": 127}
    file = Bytes().constant("s", np.ones(1, np.float32)).zeros("w", "int8", [1, 4 << 20, 1, 1], affine)
    file.constant("b", np.zeros(1, np.int32)).constant("m", np.ones(1, np.float32))
    file.tensor("x", [1, 4 << 20, 1, 1]).tensor("q", [1, 4 << 20, 1, 1], levels)
    file.node("Quantize", ["x"], "q", {"axis": 1})
    rule = {"kind": "dequantize", "lo": 0, "hi": 0, "negate_residual": False}
    for i in range(20):
        params = {"weight": "w", "bias": "b", "multiplier": "m"}
        file.tensor(f"y{i}", [1, 1, 1, 1]).node("Conv", ["q"], f"y{i}", conv_attrs(requantize=rule), params)
    data = file.ends(["x"], ["y0"]).file()
    with pytest.raises(fewbins.ModelFileError, match=r"checks of its weight of 4194304 bytes would pass the limit"):
        fewbins.Session(data)


def header_of(data: bytes) -> dict:
    size = int.from_bytes(data[:8], "little")
    return json.loads(json.loads(data[8 : 8 + size])["__metadata__"]["fewbins"])
