"""The weights and the vocabulary of a GGUF file of the Llama architecture, as f32 arrays."""

import dataclasses

import gguf
import numpy as np


@dataclasses.dataclass(frozen=True)
class Shape:
    layers: int
    width: int
    heads: int
    kv_heads: int
    hidden: int
    vocabulary: int
    norm_epsilon: float
    rope_base: float

    @property
    def head_width(self):
        return self.width // self.heads


class Model:
    def __init__(self, path):
        self.reader = gguf.GGUFReader(path)
        self.tensors = {tensor.name: tensor for tensor in self.reader.tensors}
        architecture = self.field("general.architecture")
        if architecture != "llama":
            raise SystemExit(f"{path} is of architecture {architecture!r}; only llama can be exported")
        self.shape = Shape(
            layers=self.field("llama.block_count"),
            width=self.field("llama.embedding_length"),
            heads=self.field("llama.attention.head_count"),
            kv_heads=self.field("llama.attention.head_count_kv"),
            hidden=self.field("llama.feed_forward_length"),
            vocabulary=len(self.field("tokenizer.ggml.tokens")),
            norm_epsilon=self.field("llama.attention.layer_norm_rms_epsilon"),
            rope_base=self.field("llama.rope.freq_base"),
        )

    def field(self, name):
        return self.reader.fields[name].contents()

    def weight(self, name):
        """f32, rows are outputs; a vector stays one."""
        tensor = self.tensors[name]
        sizes = [int(size) for size in reversed(tensor.shape)]
        return gguf.quants.dequantize(tensor.data, tensor.tensor_type).astype(np.float32).reshape(sizes)

    def output_weight(self):
        """What gives the logits: a tensor of its own, or the embedding again."""
        return self.weight("output.weight" if "output.weight" in self.tensors else "token_embd.weight")

    def rotary_halves(self, name, heads):
        """A query or key projection with the two members of a rotary pair half a head apart, as ONNX's operator wants
        them; GGUF keeps them side by side."""
        weight = self.weight(name)
        pairs = weight.reshape(heads, -1, 2, weight.shape[1])
        return np.ascontiguousarray(pairs.swapaxes(1, 2)).reshape(weight.shape)
