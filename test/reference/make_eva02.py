"""Makes tiny random EVA-02 models as timm saves them.

    python test/reference/make_eva02.py

test/fixtures/eva02/fused: a folder of timm's `eva02_tiny_patch14_224`, one layer for queries, keys and values; apart: of `eva02_base_patch14_224`, a layer for each,
hidden values normed; clip: of `eva02_base_patch16_clip_224`, where what attention gives is normed and the class token read. Each with `pixels` [2, 3, 24, 24] and `logits` in f64; `smaller.*` and
`larger.*` are of images of 16 and 32 with the same weights: positions resampled by timm, rotary ones in places between those of a grid of 6.
test/fixtures/eva02/counts.json: parameters of the published sizes without a classifier.
"""

import json
import shutil

import timm
import torch
from timm.models._hub import save_for_hf
from timm.models.eva import checkpoint_filter_fn

from backbones import FIXTURES, pictures, randomise, save, save_json

SIZES = {"": (2, 24), "smaller.": (1, 16), "larger.": (1, 32)}


def folder(name, seed, architecture, **options):
    def model(side):
        return timm.create_model(architecture, img_size=side, patch_size=4, embed_dim=16, depth=2, num_heads=2, num_classes=5, ref_feat_shape=(6, 6),
                                 **options)

    saved = randomise(model(24), seed)
    path = FIXTURES / "eva02" / name
    save_for_hf(saved, path, safe_serialization=True)
    (path / "config.json").write_text(json.dumps(json.loads((path / "config.json").read_text()), indent=2) + "\n")
    found = {}
    for (prefix, (_, side)), pixels in zip(SIZES.items(), pictures(81, *((c, 3, s, s) for c, s in SIZES.values()))):
        of = model(side)
        of.load_state_dict(checkpoint_filter_fn(dict(saved.state_dict()), of))
        with torch.no_grad():
            found |= {f"{prefix}pixels": pixels, f"{prefix}logits": of.eval().double()(pixels.double())}
    save(f"eva02/{name}", found)


def counts():
    found = {}
    for variant, architecture in (("tiny_patch14", "tiny_patch14_224"), ("small_patch14", "small_patch14_224"), ("base_patch14", "base_patch14_224"),
                                  ("large_patch14", "large_patch14_224"), ("base_patch16_clip", "base_patch16_clip_224"),
                                  ("large_patch14_clip", "large_patch14_clip_224")):
        with torch.device("meta"):
            model = timm.create_model(f"eva02_{architecture}", num_classes=0)
        found[f"eva02_{variant}"] = sum(p.numel() for p in model.parameters())
    save_json("eva02/counts.json", found)


def main():
    shutil.rmtree(FIXTURES / "eva02", ignore_errors=True)
    folder("fused", 82, "eva02_tiny_patch14_224")
    folder("apart", 83, "eva02_base_patch14_224")
    folder("clip", 84, "eva02_base_patch16_clip_224")
    counts()


if __name__ == "__main__":
    main()
