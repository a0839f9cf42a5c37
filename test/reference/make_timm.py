"""Makes tiny random ViTs and DeiTs as timm and transformers save them.

    python test/reference/make_timm.py

test/fixtures/timm/NAME/: the folder, with `reference.safetensors`: `pixels` [2, 3, 16, 16], `logits` as the library computes them (f32), `logits64` (the
same weights in f64); where positions are resampled also `pixels24` [2, 3, 24, 24] and `logits24`, `logits24_64` of the model for images of that size. Every
parameter is random, those too that start at 0, 1 or 1e-6.
"""

import json
import shutil
from pathlib import Path

import timm
import torch
from safetensors.torch import load_file, save_file
from timm.models._hub import save_for_hf
from timm.models.vision_transformer import checkpoint_filter_fn
from transformers import (DeiTConfig, DeiTForImageClassification, DeiTForImageClassificationWithTeacher, DeiTImageProcessor,
                          TimmWrapperForImageClassification)

ROOT = Path(__file__).resolve().parents[1] / "fixtures" / "timm"
TINY = dict(img_size=16, patch_size=4, embed_dim=8, depth=2, num_heads=2, num_classes=5)

# The architecture, what it is changed by, and whether it is also run on larger images.
TIMM = {
    "plain": ("vit_tiny_patch16_224", {}, True),
    "registers": ("vit_medium_patch16_reg4_gap_256", dict(reg_tokens=2), True),
    "gap": ("vit_medium_patch16_gap_256", {}, False),
    "normed": ("vit_base_patch16_224", dict(pre_norm=True, qk_norm=True, act_layer="quick_gelu", global_pool="avgmax"), False),
    "prefixed": ("vit_small_patch16_224", dict(reg_tokens=3, act_layer="gelu_tanh", global_pool="avg", proj_bias=False), False),
    "distilled": ("deit_tiny_distilled_patch16_224", {}, True),
    "deit3": ("deit3_small_patch16_224", dict(act_layer="relu"), False),
}
LABELS = {"plain": ["ant", "bee", "cat", "dog", "eel"]}


def randomize(model, generator):
    with torch.no_grad():
        for name, p in model.named_parameters():
            spread = 0.3 if p.ndim == 1 else 1.2 / (p[0].numel() ** 0.5)
            if "token" in name or "pos" in name:
                spread = 0.5
            p.copy_(torch.randn(p.shape, generator=generator) * spread + (1 if "norm" in name and name.endswith("weight") else 0))


def answers(model, pixels, suffix=""):
    """Logits in f32 and in f64."""
    with torch.no_grad():
        logits = model(pixels)
        logits64 = model.double()(pixels.double())
        model.float()
    get = lambda out: getattr(out, "logits", out).contiguous()
    return {f"pixels{suffix}": pixels, f"logits{suffix}": get(logits), f"logits{suffix}{'_' if suffix else ''}64": get(logits64)}


def timm_folder(name, generator):
    architecture, changes, larger = TIMM[name]
    args = {**TINY, **changes}
    model = timm.create_model(architecture, **args).eval()
    randomize(model, generator)
    folder = ROOT / name
    folder.mkdir(parents=True)
    labels = LABELS.get(name)
    save_for_hf(model, folder, safe_serialization=True, model_config=dict(label_names=labels) if labels else None)
    reference = answers(model, torch.randn(2, 3, 16, 16, generator=generator))
    if larger:
        other = timm.create_model(architecture, **{**args, "img_size": 24}).eval()
        weights = checkpoint_filter_fn(load_file(folder / "model.safetensors"), other)
        other.load_state_dict(weights)
        reference |= answers(other, torch.randn(2, 3, 24, 24, generator=generator), "24")
    save_file(reference, folder / "reference.safetensors")


def wrapped():
    """The plain one as transformers writes it: its names in a module. It says the number of classes itself, and takes no other one."""
    folder = ROOT / "wrapped"
    shutil.copytree(ROOT / "plain", folder)
    config = json.loads((folder / "config.json").read_text())
    for field in ("num_classes", "in_chans", "global_pool"):
        config["model_args"].pop(field, None)
    (folder / "config.json").write_text(json.dumps(config))
    model = TimmWrapperForImageClassification.from_pretrained(folder)
    model.save_pretrained(folder)
    shutil.copy(ROOT / "plain" / "reference.safetensors", folder / "reference.safetensors")


def deit(name, of, generator):
    config = DeiTConfig(image_size=16, patch_size=4, hidden_size=8, num_hidden_layers=2, num_attention_heads=2, intermediate_size=20, num_labels=5,
                        layer_norm_eps=1e-6)
    model = of(config).eval()
    randomize(model, generator)
    folder = ROOT / name
    model.save_pretrained(folder)
    DeiTImageProcessor(size={"height": 18, "width": 18}, crop_size={"height": 16, "width": 16}).save_pretrained(folder)
    larger = lambda pixels: model(pixels, interpolate_pos_encoding=True)
    reference = answers(model, torch.randn(2, 3, 16, 16, generator=generator))
    pixels = torch.randn(2, 3, 24, 24, generator=generator)
    with torch.no_grad():
        reference |= {"pixels24": pixels, "logits24": larger(pixels).logits}
        model.double()
        reference |= {"logits24_64": larger(pixels.double()).logits}
    save_file(reference, folder / "reference.safetensors")


def main():
    generator = torch.Generator().manual_seed(12)
    shutil.rmtree(ROOT, ignore_errors=True)
    for name in TIMM:
        timm_folder(name, generator)
    wrapped()
    deit("teacher", DeiTForImageClassificationWithTeacher, generator)
    deit("deit", DeiTForImageClassification, generator)
    for file in ROOT.glob("*/config.json"):
        file.write_text(json.dumps(json.loads(file.read_text()), indent=2) + "\n")


if __name__ == "__main__":
    main()
