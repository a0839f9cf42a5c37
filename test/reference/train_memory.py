"""What a step of fine-tuning ViT-B/16 takes of memory in PyTorch, by its own profiler.

    python test/reference/train_memory.py [METHOD...]

Writes bench/train/pytorch-memory.json, where `npm run bench:train-memory` reads it; with names, those methods' figures alone are made again.

224 x 224, batch 32, 102 classes, f32, cross-entropy, AdamW with PyTorch's defaults, SDPA; gradients are set to None before a step. LoRA is `peft`'s, of
rank 8 on every linear layer of every block; KARST is vit.py's (two products of rank 8, each channel rescaled) on the same; both train the head too. `-blocks`: each block under
torch.utils.checkpoint (use_reentrant=False). Numbers are random: they change no size.

`peak` is the most bytes that were alive at one time: what is alive when a step begins (parameters, the optimiser's states and the batch, by their sizes) and
on top of it the largest sum of the allocations and frees that torch.profiler's `profile_memory` saw since. `held` is the first of the two. A step
of one picture comes first, so that the states are there. What libraries allocate past PyTorch's allocator is not seen.
"""

import json
import sys
from pathlib import Path

import peft
import torch
import torch.nn.functional as F
from peft import LoraConfig, get_peft_model
from torch import nn
from torch.profiler import ProfilerActivity, profile
from torch.utils.checkpoint import checkpoint

from vit import Karst, ViT, graft

OUT = Path(__file__).resolve().parents[2] / "bench/train/pytorch-memory.json"
BATCH, CLASSES, IMAGE, RANK = 32, 102, 224, 8
SITES = ["attn.qkv", "attn.proj", "mlp.fc1", "mlp.fc2"]
CONFIG = {
    "hidden_size": 768, "patch_size": 16, "image_size": IMAGE, "num_channels": 3, "num_attention_heads": 12,
    "intermediate_size": 3072, "layer_norm_eps": 1e-6, "qkv_bias": True, "num_hidden_layers": 12,
}


class Checkpointed(nn.Module):
    """A module that keeps what it reads, and computes the rest of it again when gradients ask."""

    def __init__(self, inner: nn.Module):
        super().__init__()
        self.inner = inner

    def forward(self, x):
        return checkpoint(self.inner, x, use_reentrant=False)


def lora(model: ViT) -> nn.Module:
    return get_peft_model(model, LoraConfig(r=RANK, lora_alpha=RANK, target_modules=[s.split(".")[1] for s in SITES], modules_to_save=["fc"]))


def karst(model: ViT) -> nn.Module:
    graft(model, lambda layer, parts: Karst(layer, parts, kernels=2, rank=RANK), SITES)
    return model


METHODS = {"lora": lora, "karst": karst, "full": lambda model: model}


def peak_of(method: str) -> dict[str, int]:
    kind, _, blocks = method.partition("-")
    torch.manual_seed(0)
    vit = ViT(CONFIG, CLASSES)
    model = METHODS[kind](vit)
    if blocks:
        vit.blocks = nn.ModuleList(Checkpointed(block) for block in vit.blocks)
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained)
    pixels, target = torch.randn(BATCH, 3, IMAGE, IMAGE), torch.randint(CLASSES, (BATCH,))

    def step(size: int) -> None:
        F.cross_entropy(model(pixels[:size]), target[:size]).backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    step(1)
    tensors = [*model.parameters(), *model.buffers(), pixels, target]
    tensors += [t for state in optimizer.state.values() for t in state.values()]
    held = sum(t.numel() * t.element_size() for t in tensors)
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as prof:
        step(BATCH)
    # Allocations and frees, in the order in which they were.
    events = sorted((e for e in prof.profiler.kineto_results.events() if e.name() == "[memory]"), key=lambda e: e.start_ns())
    now = most = 0
    for e in events:
        now += e.nbytes()
        most = max(most, now)
    return {"peak": held + most, "held": held, "trained": sum(p.numel() for p in trained)}


def main() -> None:
    torch.set_num_threads(2)
    known = json.loads(OUT.read_text())["methods"] if OUT.exists() else {}
    for method in sys.argv[1:] or [f"{kind}{end}" for kind in METHODS for end in ("", "-blocks")]:
        known[method] = peak_of(method)
        print(method, known[method], flush=True)
        OUT.parent.mkdir(exist_ok=True)
        result = {"versions": {"torch": torch.__version__, "peft": peft.__version__}, "batch": BATCH, "methods": known}
        OUT.write_text(json.dumps(result, indent=2) + "\n")


main()
