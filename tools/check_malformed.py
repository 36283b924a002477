# SPDX-License-Identifier: Apache-2.0
"""Run a (sanitized) fewbins-run over damaged model files: each is refused in one line, or runs without complaint.

    python tools/check_malformed.py build/sanitize/engine/fewbins-run [COUNT]

Damage: truncation, flipped bits, overwritten spans, and headers that lie behind a correct checksum, so that also
the checks behind the checksum are reached. The random part depends on FEWBINS_SEED only.
"""

from __future__ import annotations

import copy
import json
import os
import random
import struct
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

import fewbins
from fewbins import _engine

DIGITS = Path(__file__).resolve().parents[1] / "examples" / "digits.onnx"
SECONDS = 60
EXTREMES = [-1, 0, 1, 2, 127, 255, 2**15, 2**31 - 1, 2**31, 2**63 - 1, -(2**31), 1e30, 0.5, "", "x", None, [], {}, True]


def good_files() -> dict[str, bytes]:
    """Models whose steps and encodings differ: float, raw and entropy-coded weights, nibbles, tables."""
    graph = fewbins.load_onnx(DIGITS)
    images = np.random.default_rng(0).uniform(0, 1, (32, 1, 8, 8)).astype(np.float32)
    schemes = ["float", "255x33", "u4,first=8bit:fixed", "lut4", "8bit:shift", "w15"]
    return {s: fewbins.quantize(graph, None if s == "float" else images, scheme=s).to_bytes() for s in schemes}


def sealed(good: bytes, header: dict[str, object]) -> bytes:
    """The file with another header text and the checksum that fits it."""
    size = struct.unpack("<Q", good[:8])[0]
    outer = json.loads(good[8 : 8 + size])
    body = json.dumps(header, sort_keys=True, separators=(",", ":"))[:-1]
    outer["__metadata__"]["fewbins"] = f'{body},"crc32c":"{_engine.crc32c(body.encode()):08x}"}}'
    packed = json.dumps(outer, separators=(",", ":")).encode()
    packed += b" " * (-(len(packed) + 8) % 64)
    return struct.pack("<Q", len(packed)) + packed + good[8 + size :]


def places(value: object) -> Iterator[tuple[object, object]]:
    """Every (container, key) of a JSON value."""
    keys = value.keys() if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else []
    for key in list(keys):
        yield value, key
        yield from places(value[key])  # type: ignore[index]


def lie(good: bytes, chance: random.Random) -> bytes:
    """Change one to three values of the header, and seal it."""
    size = struct.unpack("<Q", good[:8])[0]
    header = json.loads(json.loads(good[8 : 8 + size])["__metadata__"]["fewbins"])
    del header["crc32c"]
    for _ in range(chance.randint(1, 3)):
        container, key = chance.choice(list(places(header)))
        other, other_key = chance.choice(list(places(header)))
        # A copy, since the other place may hold this one.
        container[key] = copy.deepcopy(chance.choice([*EXTREMES, other[other_key]]))  # type: ignore[index]
    return sealed(good, header)


def damaged(good: bytes, count: int, chance: random.Random) -> Iterator[tuple[str, bytes]]:
    header = 8 + struct.unpack("<Q", good[:8])[0]
    for keep in {
        0,
        1,
        7,
        8,
        9,
        header - 1,
        header,
        header + 1,
        len(good) - 1,
        *chance.sample(range(len(good)), count // 10),
    }:
        yield f"truncated to {keep} bytes", good[:keep]
    for size in (0, 1, header + 64, len(good), 2**31, 2**62, 2**64 - 1):
        yield f"header size {size}", struct.pack("<Q", size) + good[8:]
    for _ in range(count // 4):
        data = bytearray(good)
        place = chance.randrange(len(data) * 2) % (len(data) if chance.random() < 0.5 else header)
        data[place] ^= 1 << chance.randrange(8)
        yield f"flipped bit in byte {place}", bytes(data)
    for _ in range(count // 4):
        data = bytearray(good)
        place = chance.randrange(len(data))
        span = chance.randint(1, 64)
        data[place : place + span] = chance.choice([b"\0", b"\xff", b"[", b'"']) * span
        yield f"overwritten from byte {place}", bytes(data)
    for number in range(count // 2):
        yield f"lie {number}", lie(good, chance)


def main() -> int:
    program = Path(sys.argv[1])
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 120
    chance = random.Random(os.environ.get("FEWBINS_SEED", "0"))
    # A refused allocation must be an error of ours, and memory beyond the file's need is a bug.
    limits = "detect_leaks=1:allocator_may_return_null=0:max_allocation_size_mb=2048"
    environment = {**os.environ, "ASAN_OPTIONS": limits, "UBSAN_OPTIONS": "print_stacktrace=1"}
    outcomes: Counter[str] = Counter()
    failures: list[str] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        x = folder / "x.npy"
        np.save(x, np.random.default_rng(1).uniform(0, 1, (2, 1, 8, 8)).astype(np.float32))

        def run(data: bytes, number: int) -> tuple[int, str]:
            path = folder / f"{number}.fewbins"
            path.write_bytes(data)
            command = [program, path, "--input", x, "--threads", "1"]
            try:
                done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=SECONDS)
            except subprocess.TimeoutExpired:
                return -1, f"took more than {SECONDS} s"
            finally:
                path.unlink()
            return done.returncode, done.stderr

        def judge(case: tuple[int, str, bytes]) -> None:
            number, what, data = case
            code, errors = run(data, number)
            refused = code == 2 and len(errors.strip().splitlines()) == 1
            if (code == 0 and not errors) or refused:
                outcomes["ran" if code == 0 else "refused"] += 1
            else:
                kept = Path(tempfile.gettempdir()) / f"malformed-{number}.fewbins"
                kept.write_bytes(data)
                failures.append(f"{what}: exit code {code}, kept as {kept}\n{errors[:2000]}")

        cases = []
        for scheme, good in good_files().items():
            code, errors = run(good, 0)
            if code != 0:
                failures.append(f"{scheme}: the undamaged file fails with exit code {code}\n{errors[:2000]}")
            cases += [(f"{scheme}, {what}", data) for what, data in damaged(good, count, chance)]
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(judge, [(number, what, data) for number, (what, data) in enumerate(cases, start=1)]))
    print(f"{len(cases)} damaged files: {outcomes['refused']} refused, {outcomes['ran']} ran, {len(failures)} failed")
    print("\n".join(failures), end="")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
