# SPDX-License-Identifier: Apache-2.0
"""L5: model files are untrusted. Whatever their bytes, reader and engine answer with one of our errors."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import numpy as np
import pytest
from small_models import digits_bytes, images

import fewbins
from fewbins import _engine, model_file
from fewbins.model_file.contents import VERSION

GOOD = digits_bytes()
HEADER_BYTES = struct.unpack("<Q", GOOD[:8])[0]


def outcomes(data: bytes) -> list[str]:
    """What the Python reader and the engine say to a file: "ok" or the error's class."""
    said = []
    for load in (lambda: model_file.from_bytes(data), lambda: fewbins.Session(data)):
        try:
            load()
            said.append("ok")
        except fewbins.FewbinsError as error:
            assert "\n" not in str(error), error
            said.append(type(error).__name__)
    return said


def reseal(change) -> bytes:
    """The good file with its header text changed by `change(header)`, and a fitting checksum."""
    outer = json.loads(GOOD[8 : 8 + HEADER_BYTES])
    header = json.loads(outer["__metadata__"]["fewbins"])
    del header["crc32c"]
    change(header)
    body = json.dumps(header, sort_keys=True, separators=(",", ":"))[:-1]
    outer["__metadata__"]["fewbins"] = f'{body},"crc32c":"{_engine.crc32c(body.encode()):08x}"}}'
    packed = json.dumps(outer, separators=(",", ":")).encode()
    packed += b" " * (-(len(packed) + 8) % 64)
    return struct.pack("<Q", len(packed)) + packed + GOOD[8 + HEADER_BYTES :]


def test_the_good_file_loads_and_resealing_changes_nothing():
    assert outcomes(GOOD) == ["ok", "ok"]
    assert outcomes(reseal(lambda header: None)) == ["ok", "ok"]


@pytest.mark.parametrize("keep", [0, 1, 7, 8, 9, 64, 1000, HEADER_BYTES, HEADER_BYTES + 8, len(GOOD) - 1])
def test_a_truncated_file_is_refused(keep):
    assert outcomes(GOOD[:keep]) == ["ModelFileError", "ModelFileError"]


def test_a_flipped_bit_is_refused_or_lies_in_padding():
    rng = np.random.default_rng(0)
    outer = json.loads(GOOD[8 : 8 + HEADER_BYTES])
    used = np.ones(len(GOOD), bool)
    for name, row in outer.items():
        if name.startswith("__pad"):
            first, last = row["data_offsets"]
            used[8 + HEADER_BYTES + first : 8 + HEADER_BYTES + last] = False
            place = GOOD.index(f'"{name}"'.encode()) + len('"__pad')
            used[place : GOOD.index(b'"', place)] = False  # another number is another name of padding
    for position in rng.choice(np.flatnonzero(used), 400, replace=False):
        data = bytearray(GOOD)
        data[position] ^= 1 << int(rng.integers(8))
        assert outcomes(bytes(data)) == ["ModelFileError", "ModelFileError"], f"byte {position}"


def test_trailing_bytes_are_refused():
    assert outcomes(GOOD + b"x") == ["ModelFileError", "ModelFileError"]


def test_random_bytes_are_refused():
    rng = np.random.default_rng(0)
    for size in (8, 100, 5000):
        assert outcomes(rng.bytes(size)) == ["ModelFileError", "ModelFileError"]
    assert outcomes(struct.pack("<Q", 2**63) + rng.bytes(100)) == ["ModelFileError", "ModelFileError"]


def first(header, op):
    return next(node for node in header["graph"]["nodes"] if node["op"] == op)


def set_key(path, value):
    def change(header):
        row = header
        for key in path[:-1]:
            row = row[key]
        row[path[-1]] = value

    return change


CHANGES = {
    "another major version": set_key(["version"], [2, 0]),
    "a newer minor version": set_key(["version"], [1, VERSION[1] + 1]),
    "a version that is no version": set_key(["version"], [1, True]),
    "another contract": set_key(["numerics"], 99),
    "another format": set_key(["format"], "zip"),
    "no graph": lambda header: header.pop("graph"),
    "nodes that are no list": set_key(["graph", "nodes"], 7),
    "an unknown operator": lambda header: first(header, "Conv").update(op="Launch"),
    "an unknown attribute": lambda header: first(header, "Conv")["attrs"].update(extra=1),
    "a missing attribute": lambda header: first(header, "Conv")["attrs"].pop("strides"),
    "a stride of zero": lambda header: first(header, "Conv")["attrs"].update(strides=[0, 1]),
    "a negative pad": lambda header: first(header, "Conv")["attrs"].update(pads=[-1, 0, 0, 0]),
    "an attribute of another type": lambda header: first(header, "Conv")["attrs"].update(groups="one"),
    "an input that nothing writes": lambda header: first(header, "Conv").update(inputs=["nowhere"]),
    "an output written twice": lambda header: header["graph"]["nodes"].append(header["graph"]["nodes"][-1]),
    "a graph output that nothing writes": set_key(["graph", "outputs"], ["nowhere"]),
    "nodes in the wrong order": lambda header: header["graph"]["nodes"].reverse(),
    "a param that is no constant": lambda header: first(header, "Conv")["params"].update(weight="nowhere"),
    "levels beyond a byte": lambda header: first_levels(header).update(hi=300),
    "a zero point outside its levels": lambda header: first_levels(header).update(zero_point=200),
    "a scale that does not exist": lambda header: first_levels(header).update(scale=10**6),
    "a negative size": lambda header: header["graph"]["tensors"][header["graph"]["inputs"][0]].update(
        shape=[-1, 1, 8, 8]
    ),
    "a rank of nine": lambda header: header["graph"]["tensors"][header["graph"]["inputs"][0]].update(shape=[1] * 9),
    "a constant of another shape": lambda header: weight_row(header).update(shape=[1, 2, 3]),
    "a constant of enormous shape": lambda header: weight_row(header).update(shape=[2**31 - 1] * 4),
    "an unknown encoding": lambda header: weight_row(header).update(encoding="zip"),
    "an unknown dtype": lambda header: weight_row(header).update(dtype="float8"),
    "a constant that is not stored": lambda header: header["constants"].update(ghost=dict(weight_row(header))),
}


def first_levels(header):
    return next(t["affine"] for t in header["graph"]["tensors"].values() if t["dtype"] == "levels")


def weight_row(header):
    return header["constants"][first(header, "Conv")["params"]["weight"]]


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_a_well_sealed_file_that_lies_is_refused(change):
    said = outcomes(reseal(change))
    assert said[1] == "ModelFileError"
    assert said[0] == "ModelFileError"


@pytest.mark.parametrize("kernel", [10**9, 2**31 - 1])
def test_a_kernel_larger_than_its_weights_is_refused_by_the_engine(kernel):
    data = reseal(lambda header: first(header, "Conv")["attrs"].update(kernel=[kernel, kernel]))
    with pytest.raises(fewbins.ModelFileError):
        fewbins.Session(data)


def test_deeply_nested_json_is_refused():
    text = '{"fewbins":' + "[" * 100_000 + "]" * 100_000 + "}"
    packed = b'{"__metadata__":' + text.encode() + b"}"
    data = struct.pack("<Q", len(packed)) + packed
    assert outcomes(data) == ["ModelFileError", "ModelFileError"]


def test_an_input_size_beyond_the_arena_limit_is_refused_before_memory_is_taken():
    graph = fewbins.load_onnx(Path(__file__).resolve().parents[1] / "examples" / "digits.onnx")
    session = fewbins.Session(fewbins.quantize(graph, images(), scheme="8bit"))
    with pytest.raises(fewbins.FewbinsError):
        session.plan([[2**31 - 1, 1, 8, 8]])
