"""Makes tiny random BEiTs as transformers and timm save them.

    python test/reference/make_beit.py

test/fixtures/beit/NAME/: the folder, with `reference.safetensors`: `pixels` [2, 3, 16, 16] and what comes of them in f64 (`logits`, or `features` of a model without
a classifier), `larger.*` of images of 24 with the same weights, for which tables are resampled: by transformers bilinear, by timm between places that are spread in a
geometric series, which it does in f32. Beside the first of timm's folders `wrapper.json` is what transformers makes of their configuration.
"""

import shutil

import torch
from timm.models import create_model
from timm.models.beit import checkpoint_filter_fn
from transformers import BeitConfig, BeitForImageClassification, BeitForMaskedImageModeling, BeitModel

from backbones import FIXTURES, pictures, randomise, save, save_json, timm_folder

TINY = dict(image_size=16, patch_size=4, hidden_size=8, num_hidden_layers=2, num_attention_heads=2, intermediate_size=20, num_labels=5)
PROCESSOR = dict(image_processor_type="BeitImageProcessor", do_resize=True, size={"height": 16, "width": 16}, resample=2, do_center_crop=False,
                 crop_size={"height": 16, "width": 16}, do_rescale=True, rescale_factor=1 / 255, do_normalize=True, image_mean=[0.5, 0.5, 0.5],
                 image_std=[0.5, 0.5, 0.5])

# The class, and how it is configured: published ones tuned to classes; before that; with a class token that is read, and positions of both kinds.
CASES = {
    "classifier": (BeitForImageClassification, dict(use_relative_position_bias=True, use_mean_pooling=True)),
    "masked": (BeitForMaskedImageModeling, dict(use_shared_relative_position_bias=True, use_mask_token=True, vocab_size=6)),
    "token": (BeitForImageClassification, dict(use_absolute_position_embeddings=True, use_relative_position_bias=True, use_shared_relative_position_bias=True,
                                               use_mean_pooling=False, layer_scale_init_value=0.0, hidden_act="gelu_new")),
}


def main():
    first, larger = pictures(281, (2, 3, 16, 16), (1, 3, 24, 24))
    for seed, (name, (of, options)) in enumerate(CASES.items(), 282):
        model = randomise(of(BeitConfig(**TINY, **options)), seed, ["bias_table"])
        shutil.rmtree(FIXTURES / "beit" / name, ignore_errors=True)
        model.save_pretrained(FIXTURES / "beit" / name)
        save_json(f"beit/{name}/preprocessor_config.json", PROCESSOR)
        save_json(f"beit/{name}/names.json", {n: list(p.shape) for n, p in model.named_parameters()})
        model = model.double()
        found = {}
        with torch.no_grad():
            for prefix, pixels in (("", first), ("larger.", larger)):
                x = pixels.double()
                found[f"{prefix}pixels"] = pixels
                if of is BeitForMaskedImageModeling:
                    found[f"{prefix}features"] = model.layernorm(model.beit(x).last_hidden_state)
                else:
                    found[f"{prefix}logits"] = model(x).logits
        save(f"beit/{name}", found)
    of_timm("timm", "beit_base_patch16_224", {}, first, larger)
    of_timm("timm_shared", "beitv2_base_patch16_224", dict(use_rel_pos_bias=False, use_shared_rel_pos_bias=True, use_abs_pos_emb=True, global_pool="token"), first, larger)
    counts()


def of_timm(name, architecture, changes, first, larger):
    args = dict(img_size=16, patch_size=4, embed_dim=8, depth=2, num_heads=2, num_classes=5, **changes)
    model = randomise(create_model(architecture, **args), 290 + len(changes), ["bias_table"])
    timm_folder(f"beit/{name}", model, wrapped=not changes)
    other = create_model(architecture, **{**args, "img_size": 24}).eval()
    other.load_state_dict(checkpoint_filter_fn(model.state_dict(), other))
    with torch.no_grad():
        model.double(), other.double()
        save(f"beit/{name}", {"pixels": first, "logits": model(first.double()), "larger.pixels": larger, "larger.logits": other(larger.double())})


def counts():
    sizes = {"beit_base_patch16_224": (768, 12, 12, 224), "beit_base_patch16_384": (768, 12, 12, 384), "beit_large_patch16_224": (1024, 24, 16, 224),
             "beit_large_patch16_384": (1024, 24, 16, 384), "beit_large_patch16_512": (1024, 24, 16, 512)}
    found = {}
    for name, (dim, depth, heads, image) in sizes.items():
        config = dict(hidden_size=dim, num_hidden_layers=depth, num_attention_heads=heads, intermediate_size=4 * dim, image_size=image)
        with torch.device("meta"):
            found[name] = sum(p.numel() for p in BeitModel(BeitConfig(**config, use_relative_position_bias=True)).parameters())
            if image == 224:
                plain = BeitModel(BeitConfig(**config, use_shared_relative_position_bias=True, use_mean_pooling=False), add_pooling_layer=False)
                found[f"{name}_pt22k"] = sum(p.numel() for p in plain.parameters())
                found[name.replace("beit", "beitv2")] = sum(p.numel() for p in create_model(name.replace("beit", "beitv2"), num_classes=0).parameters())
    save_json("beit/counts.json", found)


if __name__ == "__main__":
    main()
