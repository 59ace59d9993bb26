"""Writes a GGUF file again with every matrix in Q8_0, for engines that read no other format.

    python export_q8_0.py MODEL.gguf OUT.gguf
"""

import sys

import gguf
import numpy as np
from weights import Model

# These the writer makes itself.
OWN = ("GGUF.", "general.architecture", "general.file_type", "general.quantization_version")


def main(source, target):
    model = Model(source)
    writer = gguf.GGUFWriter(target, model.field("general.architecture"))
    for name, field in model.reader.fields.items():
        if not name.startswith(OWN):
            elements = field.types[-1] if field.types[0] == gguf.GGUFValueType.ARRAY else None
            writer.add_key_value(name, field.contents(), field.types[0], elements)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q8_0)
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    for name in model.tensors:
        weight = model.weight(name)
        if weight.ndim == 1:
            writer.add_tensor(name, weight)
        else:
            kind = gguf.GGMLQuantizationType.Q8_0
            writer.add_tensor(name, np.asarray(gguf.quants.quantize(weight, kind)), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


main(*sys.argv[1:])
