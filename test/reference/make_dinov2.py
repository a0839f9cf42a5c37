"""Makes tiny random DINOv2 models as transformers and timm save them.

    python test/reference/make_dinov2.py

test/fixtures/dinov2/plain: a Dinov2ForImageClassification, `pixels` [2, 3, 24, 24] and `logits` in f64; `smaller.*` and `larger.*` are of images of 16 and 32
with the same weights, for which transformers resamples positions (bicubic, not antialiased). `features`: the last hidden state.
test/fixtures/dinov2/registers: a Dinov2WithRegistersForImageClassification with SwiGLU, likewise (antialiased). `names`: what transformers 5 calls its tensors in memory.
test/fixtures/dinov2/timm: a VisionTransformer of timm as its `*_reg4_dinov2` models are (SwiGLU as the giant's, no position of the class token), likewise (antialiased).
"""

import timm.layers
import timm.models.vision_transformer as vit
import torch
from safetensors.torch import save_file
from transformers import (Dinov2Config, Dinov2ForImageClassification, Dinov2Model, Dinov2WithRegistersConfig,
                          Dinov2WithRegistersForImageClassification, Dinov2WithRegistersModel)

from backbones import FIXTURES, pictures, randomise, save, save_json

SIZES = {"": (2, 24), "smaller.": (1, 16), "larger.": (1, 32)}
TINY = dict(hidden_size=16, num_hidden_layers=2, num_attention_heads=2, mlp_ratio=2, image_size=24, patch_size=4, num_labels=5)
PROCESSOR = dict(image_processor_type="BitImageProcessor", do_convert_rgb=True, do_resize=True, size={"shortest_edge": 27}, do_center_crop=True,
                 crop_size={"height": 24, "width": 24}, resample=3, do_rescale=True, rescale_factor=1 / 255, do_normalize=True,
                 image_mean=[0.485, 0.456, 0.406], image_std=[0.229, 0.224, 0.225])


def results(model):
    found = {}
    for (name, (count, side)), pixels in zip(SIZES.items(), pictures(51, *((c, 3, s, s) for c, s in SIZES.values()))):
        with torch.no_grad():
            found |= {f"{name}pixels": pixels, f"{name}logits": model(pixels.double())}
    return found


def transformers(folder, model):
    model.save_pretrained(FIXTURES / "dinov2" / folder)
    save_json(f"dinov2/{folder}/preprocessor_config.json", PROCESSOR)
    model = model.double()
    found = results(lambda x: model(x).logits)
    with torch.no_grad():
        found["features"] = model.base_model(found["pixels"].double()).last_hidden_state
    save(f"dinov2/{folder}", found)
    save_json(f"dinov2/{folder}/names.json", {n: list(p.shape) for n, p in model.named_parameters()})


def main():
    transformers("plain", randomise(Dinov2ForImageClassification(Dinov2Config(**TINY)), 52))
    config = Dinov2WithRegistersConfig(**TINY, num_register_tokens=3, use_swiglu_ffn=True)
    transformers("registers", randomise(Dinov2WithRegistersForImageClassification(config), 53))

    def timm_model(image):
        return vit.VisionTransformer(img_size=image, patch_size=4, embed_dim=16, depth=2, num_heads=2, init_values=1e-5, reg_tokens=3, no_embed_class=True,
                                     mlp_ratio=3, mlp_layer=timm.layers.SwiGLUPacked, act_layer=torch.nn.SiLU, num_classes=5)

    saved = randomise(timm_model(24), 54)
    found = {}
    for name, (_, side) in SIZES.items():
        model = timm_model(side)
        model.load_state_dict(vit.checkpoint_filter_fn(dict(saved.state_dict()), model))
        model = model.eval().double()
        found |= {k: v for k, v in results_at(model, name).items()}
    save("dinov2/timm", found)
    save_file(saved.state_dict(), FIXTURES / "dinov2" / "timm" / "model.safetensors")
    counts()


def counts():
    """Parameters of the published sizes, without the mask token, by the variants of the library."""
    sizes = dict(small=(384, 12, 6), base=(768, 12, 12), large=(1024, 24, 16), giant=(1536, 40, 24))
    found = {}
    for size, (dim, depth, heads) in sizes.items():
        options = dict(hidden_size=dim, num_hidden_layers=depth, num_attention_heads=heads, use_swiglu_ffn=size == "giant", image_size=518, patch_size=14)
        for name, Config, Model in (("", Dinov2Config, Dinov2Model), ("registers_", Dinov2WithRegistersConfig, Dinov2WithRegistersModel)):
            with torch.device("meta"):
                model = Model(Config(**options))
            found[f"dinov2_{name}{size}"] = sum(p.numel() for n, p in model.named_parameters() if "mask_token" not in n)
    save_json("dinov2/counts.json", found)


def results_at(model, name):
    at = list(SIZES).index(name)
    pixels = pictures(51, *((c, 3, s, s) for c, s in SIZES.values()))[at]
    with torch.no_grad():
        return {f"{name}pixels": pixels, f"{name}logits": model(pixels.double())}


if __name__ == "__main__":
    main()
