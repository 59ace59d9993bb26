"""Tiny random models of every architecture in the hub's file layouts, with reference numbers by transformers.

    python architectures.py            # writes architectures/NAME beside this script
    python architectures.py --check    # compares instead, and says what differs

README.md says how to get the pinned packages, and what the files hold. It takes half a minute.

The weights are rounded to the format that they are stored in before anything is computed from them; all arithmetic is
in f32 with plain attention.
"""

import argparse
import json
import os
import shutil
import sys
import tempfile
from importlib.metadata import version

os.environ.setdefault("OMP_NUM_THREADS", "2")
os.environ.setdefault("MKL_NUM_THREADS", "2")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import gguf
import numpy as np
import torch
import transformers
from safetensors.torch import load_file, save_file

from architecture_configs import MODELS
from architecture_gguf import write_gguf
from architecture_sites import capture
from architecture_tokenizers import KINDS, reference
from common import differences, rounded, write_json

HERE = os.path.dirname(os.path.abspath(__file__))
FOLDER = os.path.join(HERE, "architectures")
STEPS = 16
PROMPT_TOKENS = 22
# The best logit must stand out so far at every greedy step: another order of sums must not change the text.
LEAST_MARGIN = 5e-3


def random_weights(model, seed):
    """Fills a model with numbers whose effects show: heads that look in some direction, biases that are not 0."""
    random = np.random.default_rng(seed)
    gemma = model.config.model_type.startswith("gemma")
    for name, value in model.named_parameters():
        numbers = random.standard_normal(tuple(value.shape))
        is_norm = value.dim() == 1 and name.endswith("weight")
        if is_norm:
            numbers = numbers * 0.25 + (0.0 if gemma else 1.0)
        elif value.dim() == 1:
            numbers *= 0.3
        elif any(part in name for part in ("embed", "wte", "wpe")) or name.startswith("lm_head"):
            # Gemma multiplies its embedding, and would repeat a token whose embedding outweighs the blocks.
            numbers *= 0.12 if gemma else 0.3
        elif any(part in name for part in ("q_proj", "k_proj", "query_key_value", "c_attn")):
            # GPT-Neo does not scale its scores.
            numbers *= 0.2 if model.config.model_type == "gpt_neo" else 0.35
        else:
            numbers *= 0.25
        with torch.no_grad():
            value.copy_(torch.from_numpy(numbers))


def build(spec, seed):
    """The model in f32, its weights such as `spec["dtype"]` can hold exactly."""
    config = transformers.AutoConfig.for_model(**{**spec["config"], "dtype": None, "torch_dtype": None})
    model = transformers.AutoModelForCausalLM.from_config(config, attn_implementation="eager").float().eval()
    random_weights(model, seed)
    with torch.no_grad():
        for value in model.parameters():
            value.copy_(value.to(getattr(torch, spec["dtype"])))
    return model


def buffer(kind, context, head_dim):
    """What older repositories store besides the weights: causal masks and the like."""
    if kind == "scalar":
        return torch.tensor(-1e9)
    if head_dim and kind == "float32":
        return 1.0 / 10000 ** (torch.arange(0, head_dim, 2) / head_dim)
    return torch.tril(torch.ones(1, 1, context, context)).to(getattr(torch, kind))


def save(folder, model, spec):
    """The repository's weights and configuration."""
    dtype = getattr(torch, spec["dtype"])
    tied = model.config.tie_word_embeddings
    tensors = {}
    for name, value in model.state_dict().items():
        if not (tied and name == "lm_head.weight"):
            tensors[name.removeprefix(spec.get("prefix", ""))] = value.to(dtype).contiguous().clone()
    for pattern, kind in spec.get("buffers", {}).items():
        for index in range(model.config.num_hidden_layers):
            rotated = 4 if "inv_freq" in pattern else 0
            tensors[pattern.format(n=index)] = buffer(kind, model.config.max_position_embeddings, rotated)
    with open(os.path.join(folder, "config.json"), "w", encoding="utf-8", newline="\n") as file:
        file.write(json.dumps(spec["config"], indent=2) + "\n")

    count = spec.get("shards", 1)
    if count == 1:
        save_file(tensors, os.path.join(folder, "model.safetensors"), metadata={"format": "pt"})
        return
    names = sorted(tensors)
    shards = [names[len(names) * index // count : len(names) * (index + 1) // count] for index in range(count)]
    where = {}
    for index, shard in enumerate(shards):
        file_name = f"model-{index + 1:05}-of-{count:05}.safetensors"
        save_file({name: tensors[name] for name in shard}, os.path.join(folder, file_name), metadata={"format": "pt"})
        where |= dict.fromkeys(shard, file_name)
    total = sum(value.numel() * value.element_size() for value in tensors.values())
    with open(os.path.join(folder, "model.safetensors.index.json"), "w", encoding="utf-8", newline="\n") as file:
        file.write(json.dumps({"metadata": {"total_size": total}, "weight_map": where}, indent=2) + "\n")


def reloaded(folder, spec):
    """The stored model as transformers loads it: what the reference numbers are of."""
    model, report = transformers.AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.float32, attn_implementation="eager", output_loading_info=True
    )
    tied = {"lm_head.weight"} if model.config.tie_word_embeddings else set()
    if set(report["missing_keys"]) - tied or report["mismatched_keys"]:
        raise SystemExit(f"{folder} is not what transformers expects: {report}")
    return model.eval()


def greedy(model, ids):
    """`STEPS` greedy ids, and best minus second-best logit at each step. No cache: everything afresh each time."""
    ids, margins = list(ids), []
    for _ in range(STEPS):
        with torch.no_grad():
            best = model(torch.tensor([ids]), use_cache=False).logits[0, -1].topk(2)
        margins.append((best.values[0] - best.values[1]).item())
        ids.append(best.indices[0].item())
    return ids[-STEPS:], margins


def prompt_of(spec, name):
    """Random ids, none twice in a row, the first as a text of the model would begin."""
    seed = sum(name.encode())
    ids = np.random.default_rng(seed).integers(0, spec["config"]["vocab_size"], PROMPT_TOKENS).tolist()
    return [spec["config"]["bos_token_id"], *ids[1:]]


def seeded(name, spec):
    """The first seed whose greedy text is clear and changes."""
    ids = prompt_of(spec, name)
    for seed in range(1000, 1200):
        model = build(spec, seed)
        text, margins = greedy(model, ids)
        if min(margins) > LEAST_MARGIN * max(1.0, max(margins) / 10) and len(set(text)) >= STEPS // 2:
            return seed, model
    raise SystemExit(f"no seed gives {name} a text that is clear")


def make(name, spec, folder):
    """All files of one model."""
    os.makedirs(folder)
    seed, model = seeded(name, spec)
    save(folder, model, spec)
    ids = prompt_of(spec, name)
    document = {"about": "Written by architectures.py; ../../README.md says what the keys mean.", "seed": seed}
    document["made_with"] = {
        "torch": torch.__version__.split("+")[0],
        "transformers": transformers.__version__,
        "tokenizers": version("tokenizers"),
        "gguf": version("gguf"),
    }
    if "tokenizer" in spec:
        document["tokenizer"] = write_tokenizer(folder, spec)

    model = reloaded(folder, spec)
    text, margins = greedy(model, ids)
    sites = capture(model, ids)
    document["greedy"] = {"prompt_ids": ids, "ids": text, "margins": margins}
    sites = {site: value.float().contiguous() for site, value in sites.items()}
    save_file(sites, os.path.join(folder, "golden.safetensors"))
    write_json(os.path.join(folder, "golden.json"), rounded(document))
    if spec.get("gguf"):
        kinds = {"float32": "F32", "float16": "F16", "bfloat16": "BF16"}
        write_gguf(os.path.join(folder, "model.gguf"), model, gguf.GGMLQuantizationType[kinds[spec["dtype"]]])


def write_tokenizer(folder, spec):
    """The repository's tokenizer; returns reference ids."""
    tokenizer, settings, extra = KINDS[spec["tokenizer"]](spec["config"]["vocab_size"])
    if tokenizer.get_vocab_size() != spec["config"]["vocab_size"]:
        raise SystemExit(f"the tokenizer has {tokenizer.get_vocab_size()} tokens")
    template = settings.get("chat_template") or extra["chat_template.jinja"]
    tokenizer.save(os.path.join(folder, "tokenizer.json"), pretty=False)
    files = {
        "tokenizer_config.json": json.dumps(settings, indent=2, ensure_ascii=False) + "\n",
        "generation_config.json": json.dumps({"eos_token_id": extra["eos_token_id"]}, indent=2) + "\n",
    }
    if "chat_template.jinja" in extra:
        files["chat_template.jinja"] = extra["chat_template.jinja"]
    for file_name, content in files.items():
        with open(os.path.join(folder, file_name), "w", encoding="utf-8", newline="\n") as file:
            file.write(content)
    return reference(tokenizer, template, settings)


def compare(old, new):
    """Where two folders of one model differ."""
    names = sorted(set(os.listdir(old)) | set(os.listdir(new)))
    for name in names:
        before, after = os.path.join(old, name), os.path.join(new, name)
        if not (os.path.exists(before) and os.path.exists(after)):
            yield f"{before}: only one of the two has it"
        elif name == "golden.json":
            with open(before, encoding="utf-8") as left, open(after, encoding="utf-8") as right:
                left, right = json.load(left), json.load(right)
            left.pop("made_with"), right.pop("made_with")
            yield from differences(left, right, 1e-3, name)
        elif name == "golden.safetensors":
            left, right = load_file(before), load_file(after)
            for site in sorted(set(left) | set(right)):
                if site not in left or site not in right or not torch.allclose(left[site], right[site], 1e-4, 1e-5):
                    yield f"{before}: {site} differs"
        elif open(before, "rb").read() != open(after, "rb").read():
            yield f"{before}: differs"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="compare with the folders instead of writing them")
    parser.add_argument("names", nargs="*", help="the models (default: all)")
    arguments = parser.parse_args()
    torch.set_num_threads(2)
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for name in arguments.names or MODELS:
            made, kept = os.path.join(folder, name), os.path.join(FOLDER, name)
            make(name, MODELS[name], made)
            if arguments.check:
                found += compare(kept, made)
            else:
                shutil.rmtree(kept, ignore_errors=True)
                shutil.copytree(made, kept)
            print(f"{name}: {sum(os.path.getsize(os.path.join(made, file)) for file in os.listdir(made))} bytes")
    print("\n".join(found) or "done")
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
