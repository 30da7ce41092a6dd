"""PyTorch peer: one AdamW training step of a GPT-2 of the given shape, f32, one sample per line of standard input.

usage: pytorch_train.py '{"nLayer":12,"nHead":12,"nEmbd":768,"blockSize":256,"vocabSize":50257,"batchSize":4,"threads":1}'
Prints {"ready": ...}, then {"seconds": ..., "loss": ...} for each line read.
"""
import json
import sys
import time

import torch
from transformers import GPT2Config, GPT2LMHeadModel

task = json.loads(sys.argv[1])
torch.set_num_threads(task["threads"])
torch.manual_seed(1)
config = GPT2Config(
    n_layer=task["nLayer"], n_head=task["nHead"], n_embd=task["nEmbd"], n_positions=task["blockSize"],
    vocab_size=task["vocabSize"], embd_pdrop=0.0, attn_pdrop=0.0, resid_pdrop=0.0, attn_implementation="sdpa",
    bos_token_id=None, eos_token_id=None,
)
model = GPT2LMHeadModel(config).train()
decay = [p for p in model.parameters() if p.dim() >= 2]
rest = [p for p in model.parameters() if p.dim() < 2]
optimizer = torch.optim.AdamW(
    [{"params": decay, "weight_decay": 0.1}, {"params": rest, "weight_decay": 0.0}], lr=1e-4, betas=(0.9, 0.95), fused=True
)
tokens = torch.randint(0, task["vocabSize"], (task["batchSize"], task["blockSize"] + 1))


def step():
    logits = model(tokens[:, :-1], use_cache=False).logits
    loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten())
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    return loss.item()


for _ in range(task.get("warmup", 2)):
    step()
print(json.dumps({"ready": f"PyTorch {torch.__version__}"}), flush=True)
for _ in sys.stdin:
    start = time.perf_counter()
    loss = step()
    print(json.dumps({"seconds": time.perf_counter() - start, "loss": loss}), flush=True)
