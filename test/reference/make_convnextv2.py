"""Makes tiny random ConvNeXts V2 as transformers and timm save them.

    python test/reference/make_convnextv2.py

test/fixtures/convnextv2/classifier: a ConvNextV2ForImageClassification, with `pixels` [2, 3, 32, 32] and `logits` in f64.
test/fixtures/convnextv2/timm: a ConvNeXt of timm with response norms, likewise; timm_conv: one whose layers are convolutions; timm_first: of the first version.
"""

import timm.models.convnext as convnext
import torch
from safetensors.torch import save_file
from transformers import ConvNextV2Config, ConvNextV2ForImageClassification, ConvNextV2Model

from backbones import FIXTURES, pictures, randomise, save, save_json

DIMS, DEPTHS = [6, 8, 10, 12], [1, 2, 1, 1]
PROCESSOR = dict(image_processor_type="ConvNextImageProcessor", do_resize=True, size={"shortest_edge": 32}, crop_pct=0.875, resample=3, do_rescale=True,
                 rescale_factor=1 / 255, do_normalize=True, image_mean=[0.485, 0.456, 0.406], image_std=[0.229, 0.224, 0.225])


def main():
    pixels, = pictures(91, (2, 3, 32, 32))
    model = randomise(ConvNextV2ForImageClassification(ConvNextV2Config(image_size=32, hidden_sizes=DIMS, depths=DEPTHS, num_labels=5)), 92, ["grn"])
    model.save_pretrained(FIXTURES / "convnextv2" / "classifier")
    save_json("convnextv2/classifier/preprocessor_config.json", PROCESSOR)
    with torch.no_grad():
        save("convnextv2/classifier", {"pixels": pixels, "logits": model.double()(pixels.double()).logits})
    for folder, options in dict(timm=dict(use_grn=True, ls_init_value=None), timm_conv=dict(use_grn=True, ls_init_value=None, conv_mlp=True), timm_first={}).items():
        model = randomise(convnext.ConvNeXt(depths=DEPTHS, dims=DIMS, num_classes=5, **options), 93, ["grn"])
        with torch.no_grad():
            save(f"convnextv2/{folder}", {"pixels": pixels, "logits": model.double()(pixels.double())})
        save_file({n: t.float() for n, t in model.state_dict().items()}, FIXTURES / "convnextv2" / folder / "model.safetensors")
    found = {}
    for size, (depths, first) in dict(atto=([2, 2, 6, 2], 40), femto=([2, 2, 6, 2], 48), pico=([2, 2, 6, 2], 64), nano=([2, 2, 8, 2], 80), tiny=([3, 3, 9, 3], 96),
                                      base=([3, 3, 27, 3], 128), large=([3, 3, 27, 3], 192), huge=([3, 3, 27, 3], 352)).items():
        with torch.device("meta"):
            model = ConvNextV2Model(ConvNextV2Config(depths=depths, hidden_sizes=[first * 2**s for s in range(4)]))
        found[f"convnextv2_{size}"] = sum(p.numel() for p in model.parameters())
    save_json("convnextv2/counts.json", found)


if __name__ == "__main__":
    main()
