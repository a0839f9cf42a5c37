"""What scripts that make tiny random backbones have in common."""

import json
from pathlib import Path

import torch
from safetensors.torch import save_file

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures"


def randomise(model, seed, tables=()):
    """Every parameter random, those too that start at 0, 1 or 1e-6; those whose names have a part in `tables` by 0.3."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, p in model.named_parameters():
            small = p.ndim <= 1 or any(t in name for t in (*tables, "token", "position", "pos_embed"))
            spread = 0.3 if small else 1.2 / (p[0].numel() ** 0.5)
            scale = p.ndim == 1 and name.endswith("weight") or "gamma" in name or "lambda" in name
            p.copy_(torch.randn(p.shape, generator=generator) * spread + (1 if scale else 0))
    return model.eval()


def pictures(seed, *shapes):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(*shape, generator=generator) for shape in shapes]


def save(folder, tensors):
    path = FIXTURES / folder / "reference.safetensors"
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({k: v.detach().float().contiguous().clone() for k, v in tensors.items()}, path)
    print(folder, {k: (tuple(v.shape), round(v.std().item(), 3)) for k, v in tensors.items()})


def save_json(path, value):
    (FIXTURES / path).write_text(json.dumps(value, indent=2) + "\n")
