"""Reference numbers for training a diagonal tuned lens, by torch's gradients and its Adam.

    python tuned_lens.py            # writes tuned_lens.json beside this script
    python tuned_lens.py --check    # compares instead, and says what differs

The models are three of `architectures`: one with an RMS norm, one with a LayerNorm, one whose logits are capped. Each
place's residual stream h becomes `scale * h + shift` and goes through the model's own final norm, unembedding and cap;
the loss is the mean over positions (but the first) of KL(model || lens) (Belrose et al. 2023). f64 arithmetic.
"""

import argparse
import os

import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from common import rounded, write_or_compare

HERE = os.path.dirname(os.path.abspath(__file__))
MODELS = ["llama3", "gpt2", "gemma2"]
STEPS, RATE = 25, 0.03


def given(place, width):
    """A translator that is none in particular."""
    i = torch.arange(width, dtype=torch.float64)
    return 1 + 0.2 * torch.sin(i + place), 0.1 * torch.cos(2 * i + place)


def case(name):
    folder = os.path.join(HERE, "architectures", name)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float64).eval()
    base = getattr(model, "transformer", None) or model.model
    norm = base.ln_f if hasattr(base, "ln_f") else base.norm
    cap = getattr(model.config, "final_logit_softcapping", None)
    sites = {key: value.double() for key, value in load_file(os.path.join(folder, "golden.safetensors")).items()}
    layers = model.config.num_hidden_layers

    def distribution(stream):
        logits = model.lm_head(norm(stream))
        return (logits if cap is None else cap * torch.tanh(logits / cap)).log_softmax(-1)

    def lost(stream, scale, shift):
        lens = distribution(scale * stream + shift)
        return (target.exp() * (target - lens)).sum(-1).mean()

    with torch.no_grad():
        target = distribution(sites[f"blocks.{layers - 1}.hook_resid_post"][1:])
    names = [f"blocks.{n}.hook_resid_post" for n in reversed(range(layers - 1))] + ["blocks.0.hook_resid_pre"]
    places = []
    for place, site in enumerate(names):
        stream = sites[site][1:]
        scale, shift = (x.requires_grad_() for x in given(place, stream.shape[1]))
        loss = lost(stream, scale, shift)
        loss.backward()
        entry = {"site": site, "plain": lost(stream, 1.0, 0.0).item(), "loss": loss.item()}
        entry |= {"by_scale": scale.grad.tolist(), "by_shift": shift.grad.tolist()}

        # Shifts are counted in the stream's root mean square.
        unit = stream.square().mean().sqrt()
        scale = torch.ones(stream.shape[1], dtype=torch.float64, requires_grad=True)
        counted = torch.zeros(stream.shape[1], dtype=torch.float64, requires_grad=True)
        adam = torch.optim.Adam([scale, counted], lr=RATE)
        for step in range(STEPS):
            adam.param_groups[0]["lr"] = RATE * (1 - step / STEPS)
            adam.zero_grad()
            lost(stream, scale, counted * unit).backward()
            adam.step()
        trained = (scale.detach(), (counted * unit).detach())
        entry["trained"] = {"loss": lost(stream, *trained).item()}
        entry["trained"] |= {"scale": trained[0].tolist(), "shift": trained[1].tolist()}
        places.append(entry)
    return {"model": name, "places": places}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true")
    arguments = parser.parse_args()
    document = {"about": "Written by tuned_lens.py.", "steps": STEPS, "learning_rate": RATE}
    document["cases"] = rounded([case(name) for name in MODELS])
    write_or_compare(os.path.join(HERE, "tuned_lens.json"), document, arguments.check, 1e-3)


if __name__ == "__main__":
    main()
