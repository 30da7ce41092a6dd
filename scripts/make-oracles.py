"""Makes reference cases of small GPT-1 and GPT-2 models with PyTorch and Hugging Face transformers.

    python3 -m venv /tmp/venv
    /tmp/venv/bin/pip install torch==2.13.0 transformers==5.17.0 safetensors numpy
    /tmp/venv/bin/python scripts/make-oracles.py            # writes test/fixtures/oracles/<name>/
    /tmp/venv/bin/python scripts/make-oracles.py --check    # the recipe against the cases of gpt2-tiny and gpt2-odd

Tests read the folders and never run this script. Each folder holds

    config.json, model.safetensors   the model as `save_pretrained` writes it, f32
    cases.safetensors   input_ids [B, S], hidden.0 … hidden.L [B, S, C], logits [B, S, V], loss [1], greedy [1, n],
                        train_ids [4, B', S], and grad.<parameter> of the loss, all f32 (ids i64)
    cases.json          what each is, and the losses and gradient norms of 30 steps of AdamW

The weights are f32 numbers; everything computed from them is computed in f64 and rounded once, when it is saved. So
what a test measures is the error of the code under test alone. Every bias and every layer norm starts from random
values: a wrong one would not show at zero or one.
"""

import argparse
import json
import math
import shutil
from pathlib import Path

import torch
import transformers
from safetensors.torch import load_file, save_file
from transformers import GPT2Config, GPT2LMHeadModel, OpenAIGPTConfig, OpenAIGPTLMHeadModel

ORACLES = Path(__file__).resolve().parent.parent / "test" / "fixtures" / "oracles"
SEED = 2468

TRAIN = {
    "steps": 30,
    "lr": 0.001,
    "min_lr": 0.0001,
    "warmup": 5,
    "schedule": "linear warm-up to lr at step 5, then cosine from lr to lr/10 over the remaining steps",
    "betas": [0.9, 0.95],
    "eps": 1e-08,
    "weight_decay": 0.1,
    "decay": "parameters with two or more dimensions only",
    "clip_grad_norm": 1.0,
    "batch": "train_ids[step % 4]",
    "start": "the weights of model.safetensors",
}

NO_DROPOUT = {"embd_pdrop": 0, "attn_pdrop": 0, "resid_pdrop": 0}
NO_TOKENS = {"bos_token_id": None, "eos_token_id": None}

# name: configuration; B and S of input_ids; length of the prompt and of the whole greedy text
CASES = {
    # Post-LN, no final layer norm, head size 10.
    "openai-gpt-lm": (
        OpenAIGPTConfig(vocab_size=150, n_positions=24, n_embd=40, n_layer=2, n_head=4, **NO_DROPOUT, **NO_TOKENS),
        (3, 19),
        (5, 24),
    ),
    # Head size 13, one layer, a vocabulary smaller than any tile, sequences that fill the context.
    "gpt2-one-layer": (
        GPT2Config(vocab_size=13, n_positions=29, n_embd=39, n_layer=1, n_head=3, **NO_DROPOUT, **NO_TOKENS),
        (2, 29),
        (6, 29),
    ),
    # Head size 5 (below one vector pair), context 7, an MLP that is not four times as wide, GELU by the error function.
    "gpt2-narrow": (
        GPT2Config(
            vocab_size=61,
            n_positions=7,
            n_embd=15,
            n_layer=2,
            n_head=3,
            n_inner=37,
            activation_function="gelu",
            **NO_DROPOUT,
            **NO_TOKENS,
        ),
        (5, 7),
        (2, 7),
    ),
    # Head size 17, one head more than a power of two would have, a vocabulary of many tiles.
    "gpt2-wide-vocabulary": (
        GPT2Config(vocab_size=1000, n_positions=33, n_embd=34, n_layer=2, n_head=2, **NO_DROPOUT, **NO_TOKENS),
        (2, 11),
        (4, 33),
    ),
}


def randomize(model, seed):
    """Every parameter from a normal distribution: layer norm scales around 1, all others around 0."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            if ".ln_" in name and name.endswith(".weight"):
                parameter.copy_(1 + 0.2 * noise)
            elif parameter.dim() == 1:
                parameter.copy_(0.1 * noise)
            elif "embed" in name or "wte" in name or "wpe" in name:
                parameter.copy_(0.3 * noise)
            else:
                parameter.copy_(noise / math.sqrt(parameter.shape[0]))


def learning_rate(step):
    """Step counts from 0."""
    warmup, steps, lr, low = TRAIN["warmup"], TRAIN["steps"], TRAIN["lr"], TRAIN["min_lr"]
    if step < warmup:
        return lr * (step + 1) / warmup
    return low + 0.5 * (lr - low) * (1 + math.cos(math.pi * (step - warmup) / (steps - warmup)))


def loss_of(logits, ids):
    """What `labels=ids` computes, without its detour through f32."""
    return torch.nn.functional.cross_entropy(logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten())


def train(model, batches):
    """Losses, and gradient norms before clipping, of each step."""
    parameters = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(
        [
            {"params": [p for p in parameters if p.dim() >= 2], "weight_decay": TRAIN["weight_decay"]},
            {"params": [p for p in parameters if p.dim() < 2], "weight_decay": 0.0},
        ],
        betas=tuple(TRAIN["betas"]),
        eps=TRAIN["eps"],
    )
    losses, norms = [], []
    for step in range(TRAIN["steps"]):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step)
        ids = batches[step % len(batches)]
        optimizer.zero_grad()
        loss = loss_of(model(ids).logits, ids)
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(parameters, TRAIN["clip_grad_norm"])
        optimizer.step()
        losses.append(loss.item())
        norms.append(norm.item())
    return losses, norms


def greedy(model, prompt, length):
    """Appends the likeliest token, without a cache; no step may be close to a tie."""
    ids = prompt
    while ids.shape[1] < length:
        best = model(ids).logits[0, -1].topk(2)
        assert best.values[0] - best.values[1] > 1e-3, "a tie: change the seed"
        ids = torch.cat([ids, best.indices[:1, None]], 1)
    return ids


def make(name, seed):
    config, (batch, length), (prompt, total) = CASES[name]
    kind = config.model_type
    model_class = GPT2LMHeadModel if kind == "gpt2" else OpenAIGPTLMHeadModel
    config._attn_implementation = "eager"
    torch.manual_seed(seed)
    model = model_class(config).eval()
    randomize(model, seed)
    folder = ORACLES / name
    shutil.rmtree(folder, ignore_errors=True)
    model.save_pretrained(folder)
    for extra in folder.iterdir():
        if extra.name not in ("config.json", "model.safetensors"):
            extra.unlink()

    model = model.double()
    ids = torch.randint(config.vocab_size, (batch, length))
    out = model(ids, labels=ids, output_hidden_states=True)
    loss = loss_of(out.logits, ids)
    assert torch.isclose(loss, out.loss.double(), rtol=1e-6, atol=0)
    loss.backward()
    tensors = {"input_ids": ids, "logits": out.logits, "loss": loss[None]}
    tensors |= {f"hidden.{i}": state for i, state in enumerate(out.hidden_states)}
    tensors |= {f"grad.{name}": parameter.grad for name, parameter in model.named_parameters()}
    with torch.no_grad():
        tensors["greedy"] = greedy(model, ids[:1, :prompt], total)
    tensors["train_ids"] = torch.randint(config.vocab_size, (4, 3, length))
    losses, norms = train(model, tensors["train_ids"])
    save_file(
        {
            name: (tensor.detach().float() if tensor.is_floating_point() else tensor).clone().contiguous()
            for name, tensor in tensors.items()
        },
        folder / "cases.safetensors",
    )
    cases = {
        "kind": kind,
        "loss": "mean cross-entropy of token t+1 given tokens <= t over B*(S-1) positions; labels = input_ids",
        "greedy": f"greedy continuation of input_ids[0,:{prompt}], prompt included",
        "train": {"losses": losses, "grad_norms_before_clip": norms, **TRAIN},
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "seed": seed,
        "dtype": "float64 from float32 weights, saved as float32",
    }
    (folder / "cases.json").write_text(json.dumps(cases, indent=1) + "\n")
    size = sum(file.stat().st_size for file in folder.iterdir())
    print(f"{name}: loss {losses[0]:.4f} … {losses[-1]:.4f}, norms {norms[0]:.3f} … {norms[-1]:.3f}, {size // 1000} kB")


def check():
    """Repeats the trajectories that came with the project, which were made in f32."""
    for name in ("gpt2-tiny", "gpt2-odd"):
        expected = json.loads((ORACLES / name / "cases.json").read_text())["train"]
        model = GPT2LMHeadModel.from_pretrained(ORACLES / name).double().eval()
        losses, norms = train(model, load_file(ORACLES / name / "cases.safetensors")["train_ids"])
        worst = [
            max(abs(a - b) for a, b in zip(mine, theirs, strict=True))
            for mine, theirs in ((losses, expected["losses"]), (norms, expected["grad_norms_before_clip"]))
        ]
        print(f"{name}: largest difference of losses {worst[0]:.2e}, of gradient norms {worst[1]:.2e}")
        assert max(worst) < 1e-3


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--check", action="store_true")
    if parser.parse_args().check:
        check()
    else:
        for offset, name in enumerate(CASES):
            make(name, SEED + offset)
