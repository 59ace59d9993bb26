"""Writes a GGUF file of the Llama architecture as the folder that transformers.js reads.

    python export_onnx.py MODEL.gguf FOLDER KIND...

The kinds are those that people publish for it, with its names for them: `fp32`, the very weights; `q8`, a scale for
each output and activations rounded to 8 bits at every step; `q4`, symmetric in blocks of 32. No operator that it has a
fast kernel for holds Q4_1 as it is, so `q4` and `q8` round the weights a second time.
"""

import json
import sys
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from weights import Model

CONTEXT = 2048
BLOCK = 32
FILES = {"fp32": "model.onnx", "q8": "model_quantized.onnx", "q4": "model_q4.onnx"}
# Operators outside ONNX's own set, defined in onnxruntime's docs/ContribOperators.md.
CONTRIB = "com.microsoft"


class Graph:
    def __init__(self, kind):
        self.kind = kind
        self.nodes = []
        self.constants = []
        self.rounded = {}

    def constant(self, name, values):
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def add(self, operator, inputs, *outputs, domain="", **attributes):
        node = helper.make_node(operator, inputs, list(outputs), name=outputs[0], domain=domain, **attributes)
        self.nodes.append(node)
        return outputs[0]

    def linear(self, x, weight, name):
        """weight: [outputs, inputs]"""
        return {"fp32": self.linear_f32, "q8": self.linear_q8, "q4": self.linear_q4}[self.kind](x, weight, name)

    def linear_f32(self, x, weight, name):
        return self.add("MatMul", [x, self.constant(name + ".weight", weight.T)], name)

    def linear_q8(self, x, weight, name):
        scale = np.abs(weight).max(axis=1) / 127
        codes = np.rint(weight / scale[:, None]).astype(np.int8)
        # Query, key and value share their input, and so its rounding.
        if x not in self.rounded:
            parts = [x + ".codes", x + ".scale", x + ".zero"]
            self.add("DynamicQuantizeLinear", [x], *parts)
            self.rounded[x] = parts
        x_codes, x_scale, x_zero = self.rounded[x]
        sums = self.add("MatMulInteger", [x_codes, self.constant(name + ".codes", codes.T), x_zero], name + ".sums")
        sums = self.add("Cast", [sums], name + ".real", to=TensorProto.FLOAT)
        scales = self.add("Mul", [x_scale, self.constant(name + ".scale", scale)], name + ".scales")
        return self.add("Mul", [sums, scales], name)

    def linear_q4(self, x, weight, name):
        outputs, inputs = weight.shape
        blocks = weight.reshape(outputs, inputs // BLOCK, BLOCK)
        # Codes 0 to 15 stand for -8 to 7: the largest of a block, whatever its sign, becomes -8.
        largest = np.take_along_axis(blocks, np.abs(blocks).argmax(axis=2)[..., None], axis=2)
        scale = largest / -8
        codes = np.rint(blocks / np.where(scale == 0, 1, scale)) + 8
        codes = np.clip(codes, 0, 15).astype(np.uint8)
        packed = codes[..., ::2] | codes[..., 1::2] << 4
        operands = [x, self.constant(name + ".codes", packed), self.constant(name + ".scale", scale[..., 0])]
        sizes = dict(K=inputs, N=outputs, bits=4, block_size=BLOCK, accuracy_level=4)
        return self.add("MatMulNBits", operands, name, domain=CONTRIB, **sizes)


def build(model, kind):
    shape, graph = model.shape, Graph(kind)

    def norm(x, weight, name):
        gain = graph.constant(name + ".gain", model.weight(weight))
        return graph.add("SimplifiedLayerNormalization", [x, gain], name, axis=-1, epsilon=shape.norm_epsilon, stash_type=1)

    # Attention wants the place of the last token of each text, and the length of the longest.
    counted = graph.add("ReduceSum", ["attention_mask", graph.constant("columns", np.array([1], np.int64))], "counted", keepdims=0)
    last = graph.add("Sub", [counted, graph.constant("one", np.array(1, np.int64))], "last")
    last = graph.add("Cast", [last], "last.int32", to=TensorProto.INT32)
    sizes = graph.add("Shape", ["attention_mask"], "sizes")
    longest = graph.add("Gather", [sizes, graph.constant("column", np.array(1, np.int64))], "longest")
    longest = graph.add("Cast", [longest], "longest.int32", to=TensorProto.INT32)

    frequencies = shape.rope_base ** -(np.arange(0, shape.head_width, 2) / shape.head_width)
    angles = np.outer(np.arange(CONTEXT), frequencies)
    cos = graph.constant("cos", np.cos(angles).astype(np.float32))
    sin = graph.constant("sin", np.sin(angles).astype(np.float32))

    x = graph.add("Gather", [graph.constant("embedding", model.weight("token_embd.weight")), "input_ids"], "embedded")
    for layer in range(shape.layers):
        at, stored = f"blk.{layer}.", f"blk.{layer}/"
        normed = norm(x, at + "attn_norm.weight", stored + "norm1")
        query = graph.linear(normed, model.rotary_halves(at + "attn_q.weight", shape.heads), stored + "query")
        key = graph.linear(normed, model.rotary_halves(at + "attn_k.weight", shape.kv_heads), stored + "key")
        value = graph.linear(normed, model.weight(at + "attn_v.weight"), stored + "value")
        past = [f"past_key_values.{layer}.{part}" for part in ("key", "value")]
        present = [f"present.{layer}.{part}" for part in ("key", "value")]
        attended = graph.add(
            "GroupQueryAttention", [query, key, value, *past, last, longest, cos, sin], stored + "attended", *present,
            domain=CONTRIB, num_heads=shape.heads, kv_num_heads=shape.kv_heads, do_rotary=1,
            scale=shape.head_width**-0.5,
        )
        mixed = graph.linear(attended, model.weight(at + "attn_output.weight"), stored + "mixed")
        x = graph.add("Add", [x, mixed], stored + "middle")
        normed = norm(x, at + "ffn_norm.weight", stored + "norm2")
        gate = graph.linear(normed, model.weight(at + "ffn_gate.weight"), stored + "gate")
        up = graph.linear(normed, model.weight(at + "ffn_up.weight"), stored + "up")
        opened = graph.add("Sigmoid", [gate], stored + "opened")
        silu = graph.add("Mul", [gate, opened], stored + "silu")
        hidden = graph.add("Mul", [silu, up], stored + "hidden")
        x = graph.add("Add", [x, graph.linear(hidden, model.weight(at + "ffn_down.weight"), stored + "down")], stored + "out")
    final = norm(x, "output_norm.weight", "final")
    graph.linear(final, model.output_weight(), "logits")

    def tokens(name, length):
        return helper.make_tensor_value_info(name, TensorProto.INT64, ["batch_size", length])

    def cache(prefix, length):
        sizes = ["batch_size", shape.kv_heads, length, shape.head_width]
        names = [f"{prefix}.{layer}.{part}" for layer in range(shape.layers) for part in ("key", "value")]
        return [helper.make_tensor_value_info(name, TensorProto.FLOAT, sizes) for name in names]

    inputs = [tokens("input_ids", "sequence_length"), tokens("attention_mask", "total_sequence_length")]
    inputs += cache("past_key_values", "past_sequence_length")
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch_size", "sequence_length", shape.vocabulary])
    outputs = [logits, *cache("present", "total_sequence_length")]
    whole = helper.make_graph(graph.nodes, "llama", inputs, outputs, graph.constants)
    sets = [helper.make_opsetid("", 18), helper.make_opsetid(CONTRIB, 1)]
    return helper.make_model(whole, opset_imports=sets, ir_version=9)


def tokenizer(model):
    """The file of the `tokenizers` library, for the byte-level BPE of SmolLM2."""
    if model.field("tokenizer.ggml.pre") != "smollm":
        raise SystemExit("only the tokenizer of SmolLM2 can be exported")
    tokens, kinds = model.field("tokenizer.ggml.tokens"), model.field("tokenizer.ggml.token_type")
    control = 3
    plain = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    added = [{"id": at, "content": tokens[at], **plain} for at, kind in enumerate(kinds) if kind == control]
    bytes_ = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    digits = {"type": "Digits", "individual_digits": True}
    bpe = {
        "type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None,
        "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False, "ignore_merges": False,
        "vocab": {token: at for at, token in enumerate(tokens)}, "merges": model.field("tokenizer.ggml.merges"),
    }
    return {
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": added, "normalizer": None,
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [digits, bytes_]}, "post_processor": None,
        "decoder": bytes_, "model": bpe,
    }


def main(source, folder, *kinds):
    model, folder = Model(source), Path(folder)
    (folder / "onnx").mkdir(parents=True, exist_ok=True)
    shape, tokens = model.shape, model.field("tokenizer.ggml.tokens")
    first, end = model.field("tokenizer.ggml.bos_token_id"), model.field("tokenizer.ggml.eos_token_id")
    files = {
        "tokenizer.json": tokenizer(model),
        "tokenizer_config.json": {
            "tokenizer_class": "GPT2Tokenizer", "bos_token": tokens[first], "eos_token": tokens[end],
            "model_max_length": CONTEXT, "clean_up_tokenization_spaces": False,
        },
        "generation_config.json": {"bos_token_id": first, "eos_token_id": end},
        "config.json": {
            "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": shape.width,
            "num_hidden_layers": shape.layers, "num_attention_heads": shape.heads,
            "num_key_value_heads": shape.kv_heads, "head_dim": shape.head_width, "intermediate_size": shape.hidden,
            "vocab_size": shape.vocabulary, "rope_theta": shape.rope_base, "rms_norm_eps": shape.norm_epsilon,
            "max_position_embeddings": CONTEXT, "bos_token_id": first, "eos_token_id": end,
            "tie_word_embeddings": True,
        },
    }
    for name, content in files.items():
        (folder / name).write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
    for kind in kinds:
        onnx.save(build(model, kind), folder / "onnx" / FILES[kind])


main(*sys.argv[1:])
