"""Writes test/fixtures/processors.safetensors: what the PIL-based image processors of transformers make of pictures of odd sizes around every margin of a crop.

Made with Pillow 12: version 13 resizes the vertical axis first where it reckons that to be faster, which moves single values by one or two levels.

    python test/reference/processors.py
"""

import json
from pathlib import Path

import numpy as np
from PIL import Image
from safetensors.numpy import save_file
from transformers.models.beit.image_processing_pil_beit import BeitImageProcessorPil
from transformers.models.bit.image_processing_pil_bit import BitImageProcessorPil
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.models.convnext.image_processing_pil_convnext import ConvNextImageProcessorPil
from transformers.models.deit.image_processing_pil_deit import DeiTImageProcessorPil
from transformers.models.dinov3_vit.image_processing_dinov3_vit import DINOv3ViTImageProcessor
from transformers.models.sam.image_processing_pil_sam import SamImageProcessorPil
from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil
from transformers.models.vit.image_processing_pil_vit import ViTImageProcessorPil

OUT = Path(__file__).parent.parent / "fixtures" / "processors.safetensors"
SIDE = 8
square = {"height": SIDE, "width": SIDE}
PROCESSORS = {
    "ViT": ViTImageProcessorPil(size=square),
    "DeiT": DeiTImageProcessorPil(size={"height": 11, "width": 11}, crop_size=square),
    "CLIP": CLIPImageProcessorPil(size={"shortest_edge": 9}, crop_size=square),
    "SigLIP": SiglipImageProcessorPil(size=square),
    "BEiT": BeitImageProcessorPil(size=square, image_mean=[0.5] * 3, image_std=[0.5] * 3),
    "BEiT cropped": BeitImageProcessorPil(size={"height": 15, "width": 13}, do_center_crop=True, crop_size=square),
    "Bit": BitImageProcessorPil(size={"shortest_edge": 10}, crop_size=square, resample=2),
    "ConvNeXt": ConvNextImageProcessorPil(size={"shortest_edge": SIDE}, crop_pct=0.7),
    "SAM": SamImageProcessorPil(size={"longest_edge": SIDE}, pad_size=square),
}
# What each class does by itself.
DEFAULTS = {
    c.__name__.removesuffix("Pil"): c
    for c in [BeitImageProcessorPil, BitImageProcessorPil, CLIPImageProcessorPil, ConvNextImageProcessorPil, DeiTImageProcessorPil, DINOv3ViTImageProcessor,
              SamImageProcessorPil, SiglipImageProcessorPil, ViTImageProcessorPil]
}
# Longer sides that leave each margin from 0 to 11 after a resize of the shorter one, in both directions, and pictures that are smaller than the crop.
SIZES = [(9, 9 + n) for n in range(12)] + [(10 + n, 10) for n in range(1, 12)] + [(5, 7), (3, 4), (1, 6), (40, 31), (23, 17)]


def written(processor) -> dict:
    config = processor.to_dict()
    config["image_processor_type"] = config["image_processor_type"].removesuffix("Pil")
    return {k: v for k, v in config.items() if v is not None}


def main() -> None:
    tensors, configs = {}, {}
    defaults = {name: written(c()) for name, c in DEFAULTS.items()}
    for i, (width, height) in enumerate(SIZES):
        random = np.random.default_rng(i)
        pixels = random.integers(0, 256, (height, width, 3), dtype=np.uint8)
        pixels[: height // 2, : width // 2] = 255
        tensors[f"picture/{i}"] = pixels
    for name, processor in PROCESSORS.items():
        configs[name] = written(processor)
        images = [Image.fromarray(tensors[f"picture/{i}"]) for i in range(len(SIZES))]
        tensors[f"result/{name}"] = np.stack([processor(image, return_tensors="np").pixel_values[0] for image in images]).astype(np.float32)
    save_file(tensors, OUT, metadata={"configs": json.dumps(configs), "defaults": json.dumps(defaults)})
    print(f"{OUT}: {len(SIZES)} pictures, {len(PROCESSORS)} processors, {OUT.stat().st_size} bytes")


if __name__ == "__main__":
    main()
