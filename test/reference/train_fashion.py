"""Trains the backbone of examples/fashion: a ViT of 0.8 M parameters on Fashion-MNIST, in Hugging Face's layout.

    python test/reference/train_fashion.py [epochs] [threads]

Writes examples/fashion/vit-fashion/{config.json, preprocessor_config.json, model.safetensors}. See README.md here for the environment.
"""

import json
import sys
import time

import torch
from transformers import ViTConfig, ViTForImageClassification, ViTImageProcessor

from data import FASHION, FASHION_NAMES, ROOT, load, pixels, predict

OUT = ROOT / "examples" / "fashion" / "vit-fashion"


def main() -> None:
    epochs = float(sys.argv[1]) if len(sys.argv) > 1 else 3
    torch.set_num_threads(int(sys.argv[2]) if len(sys.argv) > 2 else 1)
    torch.manual_seed(42)
    config = ViTConfig(
        image_size=28, patch_size=4, num_channels=1, hidden_size=128, num_hidden_layers=4, num_attention_heads=4,
        intermediate_size=512, hidden_act="gelu", layer_norm_eps=1e-12, qkv_bias=True,
        hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
        id2label=dict(enumerate(FASHION_NAMES)), label2id={n: i for i, n in enumerate(FASHION_NAMES)},
    )
    model = ViTForImageClassification(config)
    images, labels = load(FASHION, "train")
    x = pixels(images)
    batch = 128
    steps = int(epochs * len(x) / batch)
    decay = [p for p in model.parameters() if p.ndim > 1]
    rest = [p for p in model.parameters() if p.ndim <= 1]
    optimizer = torch.optim.AdamW([{"params": decay, "weight_decay": 0.05}, {"params": rest, "weight_decay": 0.0}], lr=1.5e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1.5e-3, total_steps=steps, pct_start=0.15)
    start = time.time()
    order = torch.empty(0, dtype=torch.long)
    for step in range(steps):
        if len(order) < batch:
            order = torch.cat([order, torch.randperm(len(x))])
        pick, order = order[:batch], order[batch:]
        sample = x[pick]
        flip = torch.rand(batch) < 0.5
        sample = torch.where(flip[:, None, None, None], sample.flip(3), sample)
        loss = torch.nn.functional.cross_entropy(model(sample).logits, labels[pick], label_smoothing=0.05)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if step % 50 == 0:
            print(f"step {step}/{steps} loss {loss.item():.4f} {time.time() - start:.0f} s", flush=True)
    model.eval()
    test_images, test_labels = load(FASHION, "t10k")
    logits = predict(lambda p: model(p).logits, test_images)
    accuracy = (logits.argmax(1) == test_labels).float().mean().item()
    print(f"test accuracy {accuracy:.4f}, {sum(p.numel() for p in model.parameters())} parameters")
    model.save_pretrained(OUT, safe_serialization=True)
    processor = ViTImageProcessor(do_resize=True, size={"height": 28, "width": 28}, do_rescale=True, do_normalize=True,
                                  image_mean=[0.5], image_std=[0.5])
    processor.save_pretrained(OUT)
    print(json.dumps({"accuracy": accuracy, "seconds": time.time() - start}))


if __name__ == "__main__":
    main()
