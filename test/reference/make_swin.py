"""Makes tiny random Swins as transformers and timm save them.

    python test/reference/make_swin.py

test/fixtures/swin/classifier: a SwinForImageClassification with absolute positions, whose grids of 10 and 5 windows of 3 do not divide, `pixels` [2, 3, 20, 20] and
`logits` in f64; `larger.*` is of images of 28 with the same weights, for which transformers resamples positions (bicubic). `window.*`: the same weights with windows
of 2, tables of bias resized by timm's code for that (bicubic, as the authors do it).
test/fixtures/swin/timm: a folder of timm's, without absolute positions; its windows are of 4, and the last stage is smaller than one. `larger.*` is of images of 28,
for which timm resizes the last table between places that are spread in a geometric series. `wrapper.json` is what transformers makes of its configuration.
"""

import timm
import timm.models.swin_transformer as swin
import torch
from timm.layers.pos_embed_rel import resize_rel_pos_bias_table_simple
from transformers import SwinConfig, SwinForImageClassification, SwinModel

from backbones import FIXTURES, pictures, randomise, save, save_json, timm_folder

TINY = dict(image_size=20, patch_size=2, embed_dim=8, depths=[2, 2, 1], num_heads=[1, 2, 2], window_size=3, mlp_ratio=2.0, num_labels=5,
            use_absolute_embeddings=True)
PROCESSOR = dict(image_processor_type="ViTImageProcessor", do_resize=True, size={"height": 20, "width": 20}, resample=3, do_rescale=True,
                 rescale_factor=1 / 255, do_normalize=True, image_mean=[0.485, 0.456, 0.406], image_std=[0.229, 0.224, 0.225])


def resized(state, window):
    bias = "relative_position_bias_table"
    return {n: resize_rel_pos_bias_table_simple(t, (window, window), ((2 * window - 1) ** 2, t.shape[1])) if n.endswith(bias) else t
            for n, t in state.items()}


def main():
    first, larger = pictures(81, (2, 3, 20, 20), (1, 3, 28, 28))
    model = randomise(SwinForImageClassification(SwinConfig(**TINY)), 82, ["bias_table"])
    model.save_pretrained(FIXTURES / "swin" / "classifier")
    save_json("swin/classifier/preprocessor_config.json", PROCESSOR)
    save_json("swin/classifier/names.json", {n: list(p.shape) for n, p in model.named_parameters()})
    other = SwinForImageClassification(SwinConfig(**TINY | dict(window_size=2))).eval()
    other.load_state_dict(resized(model.state_dict(), 2))
    model, other = model.double(), other.double()
    # Blocks keep the window that fitted the first grid that they saw, so each size has a fresh model.
    with torch.no_grad():
        found = {"pixels": first, "logits": model(first.double()).logits, "window.pixels": first, "window.logits": other(first.double()).logits}
        again = SwinForImageClassification.from_pretrained(FIXTURES / "swin" / "classifier").eval().double()
        found |= {"larger.pixels": larger, "larger.logits": again(larger.double(), interpolate_pos_encoding=True).logits}
    save("swin/classifier", found)

    args = dict(patch_size=2, embed_dim=8, depths=(2, 2, 1), num_heads=(1, 2, 2), window_size=4, mlp_ratio=2, num_classes=5)
    saved = randomise(timm.create_model("swin_tiny_patch4_window7_224", img_size=20, **args), 83, ["bias_table"])
    timm_folder("swin/timm", saved)
    last = timm.create_model("swin_tiny_patch4_window7_224", img_size=28, **args)
    last.load_state_dict(swin.checkpoint_filter_fn(saved.state_dict(), last))
    with torch.no_grad():
        saved.double(), last.eval().double()
        save("swin/timm", {"pixels": first, "logits": saved(first.double()), "larger.pixels": larger, "larger.logits": last(larger.double())})
    counts()


def counts():
    depths = dict(tiny=[2, 2, 6, 2], small=[2, 2, 18, 2], base=[2, 2, 18, 2], large=[2, 2, 18, 2], base_384=[2, 2, 18, 2], large_384=[2, 2, 18, 2])
    found = {}
    for size, depth in depths.items():
        dim, heads = dict(tiny=(96, 3), small=(96, 3), base=(128, 4), large=(192, 6))[size.split("_")[0]]
        config = SwinConfig(embed_dim=dim, depths=depth, num_heads=[heads, 2 * heads, 4 * heads, 8 * heads], window_size=12 if "384" in size else 7,
                            image_size=384 if "384" in size else 224)
        with torch.device("meta"):
            found[f"swin_{size}"] = sum(p.numel() for p in SwinModel(config).parameters())
        for name in ("swin_s3_tiny", "swin_s3_small", "swin_s3_base"):
            found[name] = sum(p.numel() for p in timm.create_model(f"{name}_224", num_classes=0).parameters())
    save_json("swin/counts.json", found)


if __name__ == "__main__":
    main()
