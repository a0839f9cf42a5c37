"""Makes tiny random DINOv3 models as transformers and timm save them.

    python test/reference/make_dinov3.py

test/fixtures/dinov3/plain: a DINOv3ViTModel, `pixels` [2, 3, 24, 24] and `features`, its last hidden state, in f64; `smaller.*` and `larger.*` are of images of 16
and 32 with the same weights. `names`: what transformers 5 calls its tensors in memory.
test/fixtures/dinov3/gated: one with a gated MLP and without biases of queries and values, as the largest has them, likewise.
test/fixtures/dinov3/timm: a folder of timm's `vit_small_patch16_dinov3_qkvb`, `logits` of the same images; timm_gated: of `vit_small_plus_patch16_dinov3`, whose classifier reads the
class token.
test/fixtures/dinov3/counts.json: parameters of the published sizes, without the mask token.
"""

import json
import shutil

import timm
import torch
from timm.models._hub import save_for_hf
from transformers import DINOv3ViTConfig, DINOv3ViTImageProcessor, DINOv3ViTModel

from backbones import FIXTURES, pictures, randomise, save, save_json

SIZES = {"": (2, 24), "smaller.": (1, 16), "larger.": (1, 32)}
TINY = dict(hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=24, image_size=24, patch_size=4, num_register_tokens=3)


def results(model, what):
    found = {}
    for (name, (count, side)), pixels in zip(SIZES.items(), pictures(71, *((c, 3, s, s) for c, s in SIZES.values()))):
        with torch.no_grad():
            found |= {f"{name}pixels": pixels, f"{name}{what}": model(pixels.double())}
    return found


def transformers(folder, seed, **options):
    model = randomise(DINOv3ViTModel(DINOv3ViTConfig(**TINY, **options)), seed)
    model.save_pretrained(FIXTURES / "dinov3" / folder)
    DINOv3ViTImageProcessor(size={"height": 24, "width": 24}).save_pretrained(FIXTURES / "dinov3" / folder)
    model = model.double()
    save(f"dinov3/{folder}", results(lambda x: model(x).last_hidden_state, "features"))
    save_json(f"dinov3/{folder}/names.json", {n: list(p.shape) for n, p in model.named_parameters()})


def timm_folder(folder, seed, architecture, **options):
    model = randomise(timm.create_model(architecture, img_size=24, patch_size=4, embed_dim=16, depth=2, num_heads=2, num_classes=5, **options), seed)
    path = FIXTURES / "dinov3" / folder
    save_for_hf(model, path, safe_serialization=True)
    (path / "config.json").write_text(json.dumps(json.loads((path / "config.json").read_text()), indent=2) + "\n")
    save(f"dinov3/{folder}", results(model.double(), "logits"))


def counts():
    found = {}
    for name, hidden, layers, heads, inner, more in (
        ("small", 384, 12, 6, 1536, {}),
        ("small_plus", 384, 12, 6, 1536, dict(use_gated_mlp=True)),
        ("base", 768, 12, 12, 3072, {}),
        ("large", 1024, 24, 16, 4096, {}),
        ("huge_plus", 1280, 32, 20, 5120, dict(use_gated_mlp=True)),
        ("7b", 4096, 40, 32, 8192, dict(use_gated_mlp=True, query_bias=False, value_bias=False)),
    ):
        with torch.device("meta"):
            model = DINOv3ViTModel(DINOv3ViTConfig(hidden_size=hidden, num_hidden_layers=layers, num_attention_heads=heads, intermediate_size=inner,
                                                   num_register_tokens=4, **more))
        found[f"dinov3_{name}"] = sum(p.numel() for n, p in model.named_parameters() if "mask_token" not in n)
    for name, architecture in (("tiny", "vit_tiny_patch16_dinov3_qkvb"), ("small_unbiased", "vit_small_patch16_dinov3"), ("small", "vit_small_patch16_dinov3_qkvb"),
                               ("7b", "vit_7b_patch16_dinov3"), ("huge_plus", "vit_huge_plus_patch16_dinov3_qkvb")):
        with torch.device("meta"):
            model = timm.create_model(architecture)
        number = sum(p.numel() for p in model.parameters())
        assert found.setdefault(f"dinov3_{name}", number) == number, (name, number)
    save_json("dinov3/counts.json", found)


def main():
    shutil.rmtree(FIXTURES / "dinov3", ignore_errors=True)
    transformers("plain", 72)
    transformers("gated", 73, use_gated_mlp=True, hidden_act="silu", query_bias=False, value_bias=False)
    timm_folder("timm", 74, "vit_small_patch16_dinov3_qkvb", num_reg_tokens=3)
    timm_folder("timm_gated", 75, "vit_small_plus_patch16_dinov3", global_pool="token")
    counts()


if __name__ == "__main__":
    main()
