"""Write a GGUF again with every tensor as f32, the metadata unchanged.

    python dequantise_gguf.py MODEL.gguf MODEL-F32.gguf

llama.cpp's CPU path quantises the activations of a quantised matrix product to 8 bits, so from the file as shipped its
numbers are a few per cent away from those of f32 arithmetic. From this file it computes in f32 throughout, and can be
held against another implementation tightly.
"""

import argparse

import gguf


def dequantise(source, target):
    """Writes `source` (a path) as f32 to `target`."""
    reader = gguf.GGUFReader(source)
    writer = gguf.GGUFWriter(target, arch=reader.fields["general.architecture"].contents())
    for name, field in reader.fields.items():
        # The counts are the reader's own, and the writer adds the architecture and these itself.
        if name.startswith("GGUF.") or name in ("general.architecture", "general.file_type"):
            continue
        is_list = field.types[0] == gguf.GGUFValueType.ARRAY
        writer.add_key_value(name, field.contents(), field.types[0], field.types[-1] if is_list else None)
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)
    for tensor in reader.tensors:
        # The reader lists dimensions innermost first; numpy shapes go the other way.
        shape = [int(size) for size in reversed(tensor.shape)]
        writer.add_tensor(tensor.name, gguf.quants.dequantize(tensor.data, tensor.tensor_type).reshape(shape))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", help="the GGUF to read")
    parser.add_argument("target", help="the f32 GGUF to write")
    arguments = parser.parse_args()
    dequantise(arguments.source, arguments.target)
