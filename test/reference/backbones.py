"""What scripts that make tiny random backbones have in common."""

import json
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from safetensors.torch import save_file
from timm.models._hub import save_for_hf
from transformers import TimmWrapperForImageClassification

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


def timm_folder(folder, model, wrapped=True):
    """A folder of timm's, and as `wrapper.json` its configuration as transformers writes it, which says the number of classes itself and takes no other one."""
    path = FIXTURES / folder
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir(parents=True)
    save_for_hf(model, path, safe_serialization=True)
    config = json.loads((path / "config.json").read_text())
    save_json(f"{folder}/config.json", config)
    if not wrapped:
        return
    with TemporaryDirectory() as other:
        shutil.copytree(path, other, dirs_exist_ok=True)
        for field in ("num_classes", "in_chans", "global_pool"):
            config["model_args"].pop(field, None)
        (Path(other) / "config.json").write_text(json.dumps(config))
        wrapper = TimmWrapperForImageClassification.from_pretrained(other)
        wrapper.save_pretrained(other)
        save_json(f"{folder}/wrapper.json", json.loads((Path(other) / "config.json").read_text()))


def save_json(path, value):
    (FIXTURES / path).write_text(json.dumps(value, indent=2) + "\n")
