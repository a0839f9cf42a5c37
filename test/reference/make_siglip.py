"""Makes tiny random image encoders of SigLIP as transformers and timm save them.

    python test/reference/make_siglip.py

test/fixtures/siglip/classifier: a SiglipForImageClassification, `pixels` [2, 3, 26, 26] (of which patches of 4 leave a rest) and `logits` in f64; `smaller.*` and
`larger.*` are of images of 16 and 32 with the same weights, for which transformers resamples positions (bicubic, not antialiased).
test/fixtures/siglip/model: a SiglipModel, with `embedding`: what `get_image_features` gives.
test/fixtures/siglip/naflex: a Siglip2VisionModel on square images, with `embedding` (bilinear, antialiased). The same weights on all sizes.
test/fixtures/siglip/timm: a VisionTransformer of timm as its `*_siglip_*` models are, likewise (bicubic, antialiased).
"""

import timm.models.vision_transformer as vit
import torch
from safetensors.torch import save_file
from transformers import (Siglip2VisionConfig, Siglip2VisionModel, SiglipConfig, SiglipForImageClassification, SiglipModel, SiglipVisionConfig,
                          SiglipVisionModel)

from backbones import FIXTURES, pictures, randomise, save, save_json

SIZES = {"": (2, 26), "smaller.": (1, 16), "larger.": (1, 32)}
VISION = dict(hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=2, image_size=26, patch_size=4)
TEXT = dict(hidden_size=16, intermediate_size=8, num_hidden_layers=1, num_attention_heads=1, vocab_size=9, max_position_embeddings=4)
PROCESSOR = dict(image_processor_type="SiglipImageProcessor", do_convert_rgb=None, do_resize=True, size={"height": 26, "width": 26}, resample=3,
                 do_rescale=True, rescale_factor=1 / 255, do_normalize=True, image_mean=[0.5, 0.5, 0.5], image_std=[0.5, 0.5, 0.5])


def sized(what, model, sizes=SIZES):
    found = {}
    for (name, _), pixels in zip(sizes.items(), pictures(71, *((c, 3, s, s) for c, s in sizes.values()))):
        with torch.no_grad():
            found |= {f"{name}pixels": pixels, f"{name}{what}": model(pixels.double(), name)}
    return found


def keep(folder, model):
    model.save_pretrained(FIXTURES / "siglip" / folder)
    return model.double()


def naflex(model, x):
    b, c, side, _ = x.shape
    n = side // 4
    patches = x.reshape(b, c, n, 4, n, 4).permute(0, 2, 4, 3, 5, 1).reshape(b, n * n, 16 * c)
    return model(patches, torch.ones(b, n * n, dtype=torch.long), torch.tensor([[n, n]] * b)).pooler_output


def main():
    both = dict(vision_config=VISION, text_config=TEXT)
    classifier = keep("classifier", randomise(SiglipForImageClassification(SiglipConfig(**both, num_labels=5)), 72, ["probe"]))
    save_json("siglip/classifier/preprocessor_config.json", PROCESSOR)
    save("siglip/classifier", sized("logits", lambda x, _: classifier(x, interpolate_pos_encoding=True).logits))
    model = keep("model", randomise(SiglipModel(SiglipConfig(**both)), 73, ["probe"]))
    save("siglip/model", sized("embedding", lambda x, _: model.get_image_features(x, interpolate_pos_encoding=True).pooler_output))
    config = {k: v for k, v in VISION.items() if k != "image_size"} | dict(num_patches=36)
    flexible = keep("naflex", randomise(Siglip2VisionModel(Siglip2VisionConfig(**config)), 74, ["probe"]))
    save("siglip/naflex", sized("embedding", lambda x, _: naflex(flexible, x), {"": (2, 24), "smaller.": (1, 16), "larger.": (1, 32)}))

    def timm_model(image):
        return vit.VisionTransformer(img_size=image, patch_size=4, embed_dim=16, depth=2, num_heads=2, mlp_ratio=1.5, class_token=False, global_pool="map",
                                     act_layer="gelu_tanh", num_classes=5)

    saved = randomise(timm_model(26), 75, ["latent"])

    def at(x, name):
        model = timm_model(SIZES[name][1])
        model.load_state_dict(vit.checkpoint_filter_fn(dict(saved.state_dict()), model))
        return model.eval().double()(x)

    save("siglip/timm", sized("logits", at))
    save_file(saved.state_dict(), FIXTURES / "siglip" / "timm" / "model.safetensors")
    counts()


def counts():
    sizes = dict(base=(768, 12, 12, 3072, 16, (224, 256, 384, 512)), large=(1024, 24, 16, 4096, 16, (256, 384, 512)),
                 so400m_=(1152, 27, 16, 4304, 14, (224, 384)), so400m=(1152, 27, 16, 4304, 16, (256, 384, 512)), giant=(1536, 40, 16, 6144, 16, (256, 384)))
    found = {}
    for size, (dim, depth, heads, hidden, patch, images) in sizes.items():
        for image in images:
            config = SiglipVisionConfig(hidden_size=dim, num_hidden_layers=depth, num_attention_heads=heads, intermediate_size=hidden, image_size=image,
                                        patch_size=patch)
            with torch.device("meta"):
                found[f"siglip_{size.strip('_')}_patch{patch}_{image}"] = sum(p.numel() for p in SiglipVisionModel(config).parameters())
    save_json("siglip/counts.json", found)


if __name__ == "__main__":
    main()
