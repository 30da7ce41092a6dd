"""Makes reference cases of LoRA adapters with Hugging Face PEFT, on models of test/fixtures/oracles.

    python3 -m venv /tmp/venv
    /tmp/venv/bin/pip install torch==2.13.0 transformers==5.17.0 safetensors peft==0.21.2
    /tmp/venv/bin/python scripts/make-lora-oracles.py                          # writes test/fixtures/lora/<name>/
    /tmp/venv/bin/python scripts/make-lora-oracles.py --check MODEL ADAPTER MERGED   # whether PEFT reads what lanewise saved

Tests read the folders and never run this script. Each folder holds

    adapter_config.json, adapter_model.safetensors   the adapters as PEFT's `save_pretrained` writes them, A and B random
    cases.safetensors   logits [B, S, V] of the oracle's input_ids; grad.<tensor of the adapter> of their loss; and
                        merged.<parameter> of the layers that are adapted, f32
    cases.json          the loss, and the losses and gradient norms of 30 steps of AdamW on the adapters alone

Everything is computed in f64 from f32 numbers, as by make-oracles.py.
"""

import argparse
import importlib.util
import json
import shutil
from pathlib import Path

import peft
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

spec = importlib.util.spec_from_file_location("oracles", Path(__file__).with_name("make-oracles.py"))
oracles = importlib.util.module_from_spec(spec)
spec.loader.exec_module(oracles)

FOLDER = oracles.ORACLES.parent / "lora"

# name: the model, and what is put on it
CASES = {
    "gpt2-c-attn": ("gpt2-one-layer", {"r": 4, "lora_alpha": 8, "target_modules": ["c_attn"]}),
    "gpt2-all": (
        "gpt2-narrow",
        {"r": 3, "lora_alpha": 5, "target_modules": ["c_attn", "c_proj", "c_fc"], "use_rslora": True},
    ),
    "gpt1-second-layer": (
        "openai-gpt-lm",
        {"r": 2, "lora_alpha": 3, "target_modules": ["mlp.c_proj", "c_attn"], "layers_to_transform": [1]},
    ),
    "gpt1-pattern": ("openai-gpt-lm", {"r": 1, "lora_alpha": 1, "target_modules": r".*\.h\.0\..*c_(fc|proj)"}),
}


def load(name):
    return AutoModelForCausalLM.from_pretrained(oracles.ORACLES / name, attn_implementation="eager").eval()


def saved_name(name):
    """The name of a tensor of the adapters in a file."""
    return name.replace(".default.", ".")


def make(name, seed):
    base, options = CASES[name]
    config = LoraConfig(task_type="CAUSAL_LM", fan_in_fan_out=True, **options)
    model = get_peft_model(load(base), config).eval()
    generator = torch.Generator().manual_seed(seed)
    trained = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
    with torch.no_grad():
        for parameter in trained.values():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) / parameter.shape[1] ** 0.5)
    folder = FOLDER / name
    shutil.rmtree(folder, ignore_errors=True)
    model.peft_config["default"].base_model_name_or_path = base
    model.save_pretrained(folder, save_embedding_layers=False)
    (folder / "README.md").unlink(missing_ok=True)

    model = model.double()
    cases = load_file(oracles.ORACLES / base / "cases.safetensors")
    ids = cases["input_ids"]
    logits = model(ids).logits
    loss = oracles.loss_of(logits, ids)
    loss.backward()
    tensors = {"logits": logits}
    tensors |= {f"grad.{saved_name(name)}": parameter.grad for name, parameter in trained.items()}
    layers = {name.removeprefix("base_model.model.").split(".lora_")[0] for name in trained}
    merged = PeftModel.from_pretrained(load(base), folder).double().merge_and_unload()
    parameters = dict(merged.named_parameters())
    tensors |= {f"merged.{layer}.weight": parameters[f"{layer}.weight"] for layer in layers}
    save_file(
        {name: tensor.detach().float().clone().contiguous() for name, tensor in tensors.items()},
        folder / "cases.safetensors",
    )
    losses, norms = oracles.train(model, cases["train_ids"])
    info = {
        "base": base,
        "loss": loss.item(),
        "train": {"losses": losses, "grad_norms_before_clip": norms, **oracles.TRAIN, "start": "the saved adapters"},
        "peft": peft.__version__,
        "torch": torch.__version__,
        "seed": seed,
    }
    (folder / "cases.json").write_text(json.dumps(info, indent=1) + "\n")
    size = sum(file.stat().st_size for file in folder.iterdir())
    print(f"{name}: loss {losses[0]:.4f} … {losses[-1]:.4f}, norms {norms[0]:.3f} … {norms[-1]:.3f}, {size // 1000} kB")


def check(folder, adapter, merged):
    """Loads a model with adapters, and the model into which they were merged: both must compute the same."""
    base = AutoModelForCausalLM.from_pretrained(folder)
    ids = torch.arange(min(base.config.vocab_size, base.config.n_positions))[None]
    with torch.no_grad():
        plain = base.eval()(ids).logits
        adapted = PeftModel.from_pretrained(base, adapter).eval()(ids).logits
        whole = AutoModelForCausalLM.from_pretrained(merged).eval()(ids).logits
    print(f"adapters change logits by {(adapted - plain).abs().max():.3f}; merged: {(adapted - whole).abs().max():.2e}")
    assert (adapted - whole).abs().max() < 1e-3 < (adapted - plain).abs().max()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--check", nargs=3, metavar=("MODEL", "ADAPTER", "MERGED"))
    arguments = parser.parse_args()
    if arguments.check:
        check(*arguments.check)
    else:
        for offset, name in enumerate(CASES):
            make(name, oracles.SEED + 100 + offset)
