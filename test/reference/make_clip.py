"""Makes tiny random image encoders of CLIP as transformers and timm save them.

    python test/reference/make_clip.py

test/fixtures/clip/classifier: a CLIPForImageClassification, `pixels` [2, 3, 24, 24] and `logits` in f64; `smaller.*` and `larger.*` are of images of 16 and 32
with the same weights, for which transformers resamples positions (bicubic, not antialiased).
test/fixtures/clip/model: a CLIPModel, with `embedding`: what `get_image_features` gives. `vision`: a CLIPVisionModel, with `pooled`, and `gelu`.
test/fixtures/clip/timm: a VisionTransformer of timm as its `*_clip_quickgelu_*` models are, likewise (antialiased). `openai.json`: what OpenAI calls its tensors.
"""

from functools import partial

import timm.models.vision_transformer as vit
import torch
from safetensors.torch import save_file
from transformers import CLIPConfig, CLIPForImageClassification, CLIPModel, CLIPVisionConfig, CLIPVisionModel

from backbones import FIXTURES, pictures, randomise, save, save_json

SIZES = {"": (2, 24), "smaller.": (1, 16), "larger.": (1, 32)}
VISION = dict(hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2, image_size=24, patch_size=4, projection_dim=6)
TEXT = dict(hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=1, vocab_size=9, max_position_embeddings=4, projection_dim=6,
            eos_token_id=8, bos_token_id=7)
PROCESSOR = dict(image_processor_type="CLIPImageProcessor", do_convert_rgb=True, do_resize=True, size={"shortest_edge": 24}, do_center_crop=True,
                 crop_size={"height": 24, "width": 24}, resample=3, do_rescale=True, rescale_factor=1 / 255, do_normalize=True,
                 image_mean=[0.48145466, 0.4578275, 0.40821073], image_std=[0.26862954, 0.26130258, 0.27577711])


def sized(what, model):
    found = {}
    for (name, _), pixels in zip(SIZES.items(), pictures(61, *((c, 3, s, s) for c, s in SIZES.values()))):
        with torch.no_grad():
            found |= {f"{name}pixels": pixels, f"{name}{what}": model(pixels.double(), name)}
    return found


def keep(folder, model):
    model.save_pretrained(FIXTURES / "clip" / folder)
    save_json(f"clip/{folder}/preprocessor_config.json", PROCESSOR)
    return model.double()


def main():
    both = dict(vision_config=VISION, text_config=TEXT, projection_dim=6)
    classifier = keep("classifier", randomise(CLIPForImageClassification(CLIPConfig(**both, num_labels=5)), 62))
    save("clip/classifier", sized("logits", lambda x, _: classifier(x, interpolate_pos_encoding=True).logits))
    model = keep("model", randomise(CLIPModel(CLIPConfig(**both)), 63))
    save("clip/model", sized("embedding", lambda x, _: model.get_image_features(x, interpolate_pos_encoding=True).pooler_output))
    vision = keep("vision", randomise(CLIPVisionModel(CLIPVisionConfig(**VISION | dict(hidden_act="gelu"))), 64))
    save("clip/vision", sized("pooled", lambda x, _: vision(x, interpolate_pos_encoding=True).pooler_output))

    def timm_model(image):
        return vit.VisionTransformer(img_size=image, patch_size=4, embed_dim=16, depth=2, num_heads=2, mlp_ratio=2, pre_norm=True, act_layer="quick_gelu",
                                     norm_layer=partial(torch.nn.LayerNorm, eps=1e-5), num_classes=5)

    saved = randomise(timm_model(24), 65)

    def at(x, name):
        model = timm_model(SIZES[name][1])
        model.load_state_dict(vit.checkpoint_filter_fn(dict(saved.state_dict()), model))
        return model.eval().double()(x)

    save("clip/timm", sized("logits", at))
    save_file(saved.state_dict(), FIXTURES / "clip" / "timm" / "model.safetensors")
    save_json("clip/openai.json", openai(saved, timm_model(24)))
    counts()


def openai(saved, again):
    """The model under OpenAI's names, as timm reads them."""
    renamed = {}
    for name, t in saved.state_dict().items():
        if name.startswith("head"):
            continue
        for old, new in [("patch_embed.proj", "conv1"), ("pos_embed", "positional_embedding"), ("norm_pre", "ln_pre"), ("qkv.", "in_proj_"),
                         ("attn.proj", "attn.out_proj"), ("mlp.fc1", "mlp.c_fc"), ("mlp.fc2", "mlp.c_proj"), ("norm1", "ln_1"), ("norm2", "ln_2"),
                         ("cls_token", "class_embedding"), ("blocks.", "transformer.resblocks.")]:
            name = name.replace(old, new)
        name = name.replace("norm.", "ln_post.") if name.startswith("norm.") else name
        renamed[f"visual.{name}"] = t[0, 0] if "class_emb" in name else t[0] if "positional" in name else t
    found = vit.checkpoint_filter_fn(dict(renamed), again)
    assert all(torch.equal(found[n], t) for n, t in saved.state_dict().items() if not n.startswith("head"))
    return {n: list(t.shape) for n, t in renamed.items()}


def counts():
    sizes = dict(base_patch32=(32, 768, 12, 12, 3072, 224), base_patch16=(16, 768, 12, 12, 3072, 224), large_patch14=(14, 1024, 24, 16, 4096, 224),
                 large_patch14_336=(14, 1024, 24, 16, 4096, 336), huge_patch14=(14, 1280, 32, 16, 5120, 224), giant_patch14=(14, 1408, 40, 16, 6144, 224),
                 gigantic_patch14=(14, 1664, 48, 16, 8192, 224))
    found = {}
    for size, (patch, dim, depth, heads, hidden, image) in sizes.items():
        config = CLIPVisionConfig(hidden_size=dim, num_hidden_layers=depth, num_attention_heads=heads, intermediate_size=hidden, image_size=image, patch_size=patch)
        with torch.device("meta"):
            found[f"clip_vit_{size}"] = sum(p.numel() for p in CLIPVisionModel(config).parameters())
    save_json("clip/counts.json", found)


if __name__ == "__main__":
    main()
