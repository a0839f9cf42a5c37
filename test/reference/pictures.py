"""Writes test/fixtures/pictures.safetensors: for each picture the file's bytes, and the RGB that Pillow makes of it.

    python test/reference/pictures.py
"""

import io
import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms, ImageOps
from safetensors.numpy import save_file

OUT = Path(__file__).parent.parent / "fixtures" / "pictures.safetensors"
WIDTH, HEIGHT = 23, 17


def picture() -> np.ndarray:
    """Strong colors, edges and noise; a third of it invisible, a third half transparent."""
    random = np.random.default_rng(1)
    pixels = random.integers(0, 256, (HEIGHT, WIDTH, 4), dtype=np.uint8)
    pixels[:8, :, 0] = 250
    pixels[:, 10:, 2] = np.arange(HEIGHT, dtype=np.uint8)[:, None] * 15
    pixels[:, :7, 3] = 0
    pixels[:, 15:, 3] = 255
    return pixels


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def wide_png(pixels: np.ndarray) -> bytes:
    """16 bits a channel, which Pillow does not write."""
    kind = {3: 2, 4: 6}[pixels.shape[2]]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    header = struct.pack(">IIBBBBB", WIDTH, HEIGHT, 16, kind, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def with_chunks(png: bytes, *chunks: bytes) -> bytes:
    """More chunks after the header."""
    return png[:33] + b"".join(chunks) + png[33:]


def odd_profile() -> bytes:
    """sRGB with the primaries of red and blue exchanged: who applies it exchanges the channels."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return profile.replace(b"rXYZ", b"????", 1).replace(b"bXYZ", b"rXYZ", 1).replace(b"????", b"bXYZ", 1)


def encode(image: Image.Image, kind: str, **options) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def orientation(number: int) -> bytes:
    exif = Image.Exif()
    exif[0x112] = number
    return exif.tobytes()


def main() -> None:
    random = np.random.default_rng(2)
    pixels = picture()
    rgba = Image.fromarray(pixels)
    rgb = Image.fromarray(pixels[..., :3].copy())
    gray = rgb.convert("L")
    png = encode(rgb, "PNG")
    wide = random.integers(0, 65536, (HEIGHT, WIDTH, 4), dtype=np.uint16)
    one_color = struct.pack(">3H", *[int(v) for v in pixels[3, 3, :3]])
    chromaticities = struct.pack(">8I", 31270, 32900, 68000, 32000, 26500, 69000, 15000, 6000)
    negative = Image.fromarray(255 - pixels[..., :3])
    files = {
        "rgb.png": png,
        "rgba.png": encode(rgba, "PNG"),
        "gray.png": encode(gray, "PNG"),
        "gray-alpha.png": encode(Image.merge("LA", [gray, rgba.getchannel("A")]), "PNG"),
        "black-and-white.png": encode(rgb.convert("1"), "PNG"),
        "palette.png": encode(rgb.quantize(200), "PNG"),
        "palette-4-colors.png": encode(rgb.quantize(4), "PNG", bits=2),
        "palette-alpha.png": encode(rgba.quantize(200), "PNG"),
        "rgb-16.png": wide_png(wide[..., :3]),
        "rgba-16.png": wide_png(wide),
        "one-color-transparent.png": with_chunks(png, chunk(b"tRNS", one_color)),
        "profile.png": encode(rgb, "PNG", icc_profile=odd_profile()),
        "profile-alpha.png": encode(rgba, "PNG", icc_profile=odd_profile()),
        "gamma.png": with_chunks(png, chunk(b"gAMA", struct.pack(">I", 100000)), chunk(b"cHRM", chromaticities)),
        "display-p3.png": with_chunks(png, chunk(b"cICP", bytes([12, 13, 0, 1]))),
        "animation.png": encode(rgb, "PNG", save_all=True, append_images=[negative]),
        "poster.png": encode(rgb, "PNG", save_all=True, append_images=[negative], default_image=True),
        "444.jpg": encode(rgb, "JPEG", quality=90, subsampling="4:4:4"),
        "422.jpg": encode(rgb, "JPEG", quality=60, subsampling="4:2:2"),
        "420.jpg": encode(rgb, "JPEG", quality=75, subsampling="4:2:0"),
        "progressive.jpg": encode(rgb, "JPEG", quality=40, progressive=True),
        "gray.jpg": encode(gray, "JPEG"),
        "profile.jpg": encode(rgb, "JPEG", icc_profile=odd_profile()),
        "cmyk.jpg": encode(rgb.convert("CMYK"), "JPEG"),
        "cmyk.tif": encode(rgb.convert("CMYK"), "TIFF"),
        "lossless.webp": encode(rgba, "WEBP", lossless=True, exact=True),
        "lossy.webp": encode(rgb, "WEBP", quality=60),
        "lossy-alpha.webp": encode(rgba, "WEBP", quality=60),
        "camera.webp": encode(rgb, "WEBP", lossless=True, exif=orientation(3)),
        "animation.webp": encode(rgb, "WEBP", save_all=True, append_images=[negative], lossless=True),
        "opaque.gif": encode(rgb, "GIF"),
        "animation.gif": encode(rgb, "GIF", save_all=True, append_images=[negative]),
    }
    for number in range(2, 9):
        # Kept as it lies on the sensor, so that upright it has the size of the others.
        stored = rgb if number < 5 else rgb.transpose(Image.Transpose.ROTATE_90)
        files[f"orientation-{number}.jpg"] = encode(stored, "JPEG", subsampling="4:4:4", exif=orientation(number))
    files["orientation-6.png"] = encode(rgb.transpose(Image.Transpose.ROTATE_90), "PNG", exif=orientation(6))
    out = {}
    for name, file in files.items():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            shown = ImageOps.exif_transpose(Image.open(io.BytesIO(file))).convert("RGB")
        out[f"{name}/file"] = np.frombuffer(file, dtype=np.uint8)
        out[f"{name}/rgb"] = np.asarray(shown)
    save_file(out, OUT)


if __name__ == "__main__":
    main()
