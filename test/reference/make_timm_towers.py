"""Makes folders of tiny random DINOv2, CLIP and SigLIP encoders as timm saves them, and one as transformers wraps it.

    python test/reference/make_timm_towers.py

test/fixtures/towers/NAME/: the folder, with `reference.safetensors`: `pixels` [2, 3, 24, 24], `logits` in f64, and `larger.*` of images of 32 with the same weights,
positions resampled.
"""

import json
import shutil

import timm
import torch
from safetensors.torch import load_file, save_file
from timm.models._hub import save_for_hf
from timm.models.vision_transformer import checkpoint_filter_fn
from transformers import TimmWrapperForImageClassification

from backbones import FIXTURES, pictures, randomise

ROOT = FIXTURES / "towers"
TINY = dict(patch_size=4, embed_dim=16, depth=2, num_heads=2, num_classes=5)
TOWERS = {
    "dinov2": "vit_small_patch14_dinov2",
    "dinov2_registers": "vit_base_patch14_reg4_dinov2",
    "clip": "vit_base_patch32_clip_224",
    "clip_quick": "vit_base_patch16_clip_quickgelu_224",
    "siglip": "vit_base_patch16_siglip_224",
    "siglip_tanh": "vit_large_patch16_siglip_512",
    "siglip_gap": "vit_base_patch16_siglip_gap_224",
}

def folder(name, architecture, seed):
    def model(side):
        return timm.create_model(architecture, img_size=side, **TINY)

    saved = randomise(model(24), seed)
    path = ROOT / name
    save_for_hf(saved, path, safe_serialization=True)
    (path / "config.json").write_text(json.dumps(json.loads((path / "config.json").read_text()), indent=2) + "\n")
    found = {}
    for (prefix, side), pixels in zip((("", 24), ("larger.", 32)), pictures(91, (2, 3, 24, 24), (1, 3, 32, 32))):
        of = model(side)
        of.load_state_dict(checkpoint_filter_fn(load_file(path / "model.safetensors"), of))
        with torch.no_grad():
            found |= {f"{prefix}pixels": pixels, f"{prefix}logits": of.eval().double()(pixels.double()).float()}
    save_file({k: v.contiguous().clone() for k, v in found.items()}, path / "reference.safetensors")


def wrapped():
    """CLIP's as transformers writes it: its names in a module. It says the number of classes itself, and takes no other one."""
    path = ROOT / "wrapped"
    shutil.copytree(ROOT / "clip", path)
    config = json.loads((path / "config.json").read_text())
    for field in ("num_classes", "in_chans", "global_pool"):
        config["model_args"].pop(field, None)
    (path / "config.json").write_text(json.dumps(config))
    TimmWrapperForImageClassification.from_pretrained(path).save_pretrained(path)
    shutil.copy(ROOT / "clip" / "reference.safetensors", path / "reference.safetensors")


def counts():
    """Parameters of published sizes without a classifier, by calls of the library."""
    found = {}
    for call, architecture in {
        "dinov2_registers_small(class_position: false)": "vit_small_patch14_reg4_dinov2",
        "clip_vit_base_patch16_plus()": "vit_base_patch16_plus_clip_240",
        "clip_vit_xsmall_patch16()": "vit_xsmall_patch16_clip_224",
        "clip_vit_medium_patch32()": "vit_medium_patch32_clip_224",
        "clip_vit_betwixt_patch32()": "vit_betwixt_patch32_clip_224",
        "clip_vit_huge_patch14_quick(table_image: 378)": "vit_huge_patch14_clip_quickgelu_378",
        "siglip_base_patch32(table_image: 256)": "vit_base_patch32_siglip_256",
        "siglip_so400m_patch14_gelu(table_image: 384)": "vit_so400m_patch14_siglip_384",
        "siglip_gap_large_patch16(table_image: 512)": "vit_large_patch16_siglip_gap_512",
        "siglip_gap_so400m_patch14_gelu(table_image: 896)": "vit_so400m_patch14_siglip_gap_896",
        "siglip_gap_giant_patch16(table_image: 256)": "vit_giantopt_patch16_siglip_gap_256",
    }.items():
        with torch.device("meta"):
            model = timm.create_model(architecture, num_classes=0)
        found[call] = sum(p.numel() for p in model.parameters())
    (ROOT / "counts.json").write_text(json.dumps(found, indent=2) + "\n")


def main():
    shutil.rmtree(ROOT, ignore_errors=True)
    for seed, (name, architecture) in enumerate(TOWERS.items(), 92):
        folder(name, architecture, seed)
    wrapped()
    counts()


if __name__ == "__main__":
    main()
