"""Blocks of every GGUF number format with the values they stand for, by the `gguf` package: gguf_quants.json.

    python quants.py            # writes gguf_quants.json beside this script
    python quants.py --check    # compares instead: these must be equal to the last bit

Only the packages gguf and numpy are needed (requirements.txt has the versions).

Each entry holds `raw`, the bytes as they are in a file, and `f32`, what they stand for (little-endian), both base64.
The first half of each comes from quantising weight-like numbers where the package can, so that the bytes are such as
files hold; the second half, and all of the K-quants (which the package only reads), is random bytes under finite scales
of both signs, so that every bit of every field takes part. F16 and BF16 have no second half.
"""

import argparse
import base64
import json
import os
import sys
from importlib.metadata import version

import gguf
import numpy as np
from gguf import GGMLQuantizationType as Type

from common import write_json

HERE = os.path.dirname(os.path.abspath(__file__))
COUNT = 256  # values in each half: one super-block of a K-quant, eight blocks of the others
# Where the f16 scales (and minima) are in a block, as byte offsets.
SCALES = {
    Type.Q4_0: [0],
    Type.Q4_1: [0, 2],
    Type.Q5_0: [0],
    Type.Q5_1: [0, 2],
    Type.Q8_0: [0],
    Type.Q2_K: [80, 82],
    Type.Q3_K: [108],
    Type.Q4_K: [0, 2],
    Type.Q5_K: [0, 2],
    Type.Q6_K: [208],
}
QUANTISABLE = [Type.F16, Type.BF16, Type.Q4_0, Type.Q4_1, Type.Q5_0, Type.Q5_1, Type.Q8_0]
F16_EDGES = [0.0, -0.0, 1.0, -1.0, 65504.0, -65504.0, 2.0**-14, -(2.0**-14), 1.0 + 2.0**-10, 1.0 - 2.0**-11]
F16_SUBNORMALS = [2.0**-24, -(2.0**-24), 3 * 2.0**-24, 2.0**-15, -(2.0**-15), 2.0**-14 - 2.0**-24]


def quantised(kind, random):
    """`COUNT` weight-like numbers in the format, as bytes."""
    values = (random.standard_normal(COUNT) * 0.05).astype(np.float32)
    if kind == Type.F16:
        values[: len(F16_EDGES)] = F16_EDGES
    return gguf.quants.quantize(values, kind).tobytes()


def random_blocks(kind, random):
    """`COUNT` numbers' worth of random bytes, each scale a finite f16 of either sign."""
    block_values, block_bytes = gguf.GGML_QUANT_SIZES[kind]
    blocks = random.integers(0, 256, (COUNT // block_values, block_bytes), dtype=np.uint8)
    for offset in SCALES[kind]:
        scale = random.uniform(2.0**-9, 2.0**-4, len(blocks)) * random.choice([-1.0, 1.0], len(blocks))
        blocks[:, offset : offset + 2] = scale.astype("<f2").view(np.uint8).reshape(-1, 2)
    return blocks.tobytes()


def entry(name, kind, raw, made_by):
    """One entry of the document."""
    block_values, block_bytes = gguf.GGML_QUANT_SIZES[kind]
    values = gguf.quants.dequantize(np.frombuffer(raw, np.uint8), kind).astype("<f4").ravel()
    assert np.isfinite(values).all() and len(values) * block_bytes == len(raw) * block_values
    return {
        "name": name,
        "type": kind.name,
        "type_id": int(kind),
        "block_values": block_values,
        "block_bytes": block_bytes,
        "count": len(values),
        "made_by": made_by,
        "raw": base64.b64encode(raw).decode(),
        "f32": base64.b64encode(values.tobytes()).decode(),
    }


def make():
    """The whole document. The seed of each entry is fixed, so that one can be added without changing the others."""
    entries = []
    for kind in [Type.F16, Type.BF16, *SCALES]:
        random = np.random.default_rng(1000 + int(kind))
        raw, made_by = b"", []
        if kind in QUANTISABLE:
            raw += quantised(kind, random)
            made_by.append(f"{COUNT} quantised")
        for _ in range(0 if kind not in SCALES else 1 if kind in QUANTISABLE else 2):
            raw += random_blocks(kind, random)
            made_by.append(f"{COUNT} random")
        entries.append(entry(kind.name, kind, raw, ", ".join(made_by)))
    # Apart, because a GPU may flush f16 subnormals to zero when it unpacks them.
    subnormals = np.array(F16_SUBNORMALS, "<f2").tobytes()
    entries.append(entry("F16_subnormal", Type.F16, subnormals, "chosen"))
    # Scales that are themselves subnormal occur in files: nearly constant rows have them. Apart for the same reason.
    blocks = np.frombuffer(random_blocks(Type.Q8_0, np.random.default_rng(2000)), np.uint8).reshape(-1, 34).copy()
    blocks[:, :2] = (np.arange(1, len(blocks) + 1) * 3 * 2.0**-24).astype("<f2").view(np.uint8).reshape(-1, 2)
    entries.append(entry("Q8_0_subnormal_scale", Type.Q8_0, blocks.tobytes(), f"{COUNT} random"))
    return {
        "about": "Written by quants.py; README.md beside it says what the keys mean.",
        "made_with": {"gguf": version("gguf"), "numpy": np.__version__},
        "entries": entries,
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", default=os.path.join(HERE, "gguf_quants.json"), help="the file to write or to check")
    parser.add_argument("--check", action="store_true", help="compare with --out instead of writing it")
    arguments = parser.parse_args()
    document = make()
    if not arguments.check:
        write_json(arguments.out, document)
        return
    with open(arguments.out, encoding="utf-8") as file:
        same = json.load(file)["entries"] == document["entries"]
    print(f"{arguments.out}: {'the same' if same else 'DIFFERS'}")
    sys.exit(not same)


if __name__ == "__main__":
    main()
