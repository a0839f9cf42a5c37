"""Writes test/fixtures/pictures.safetensors: for each picture the file's bytes, and the RGB that Pillow makes of it, as transformers' `load_image`:
upright by EXIF, then `convert("RGB")`. Each RGB is there once; the metadata says which is whose.

Of 16-bit gray Pillow's `convert("RGB")` makes white of all above 255; their reference is the high byte, which it takes of 16-bit colors.

    python test/reference/pictures.py
"""

import io
import json
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
    kind = {1: 0, 2: 4, 3: 2, 4: 6}[pixels.shape[2]]
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


def without_adobe(jpeg: bytes) -> bytes:
    """A JPEG without the segment that says how its inks are stored."""
    at = jpeg.index(b"\xff\xee")
    return jpeg[:at] + jpeg[at + 2 + struct.unpack(">H", jpeg[at + 2 : at + 4])[0] :]


def bitmap(bits: int, compression: int, between: bytes, data: bytes) -> bytes:
    """A BMP of a kind that Pillow reads and does not write; `between`: masks or a palette."""
    header = struct.pack("<IiiHHIIiiII", 40, WIDTH, HEIGHT, 1, bits, compression, len(data), 0, 0, 0, 0)
    start = 14 + len(header) + len(between)
    return struct.pack("<2sIHHI", b"BM", start + len(data), 0, 0, start) + header + between + data


def runs(numbers: np.ndarray, bits: int) -> bytes:
    """Run-length coded rows, from the bottom: runs, a stretch of plain numbers, and one line that ends early."""
    out = b""
    for y in range(HEIGHT - 1, -1, -1):
        row = [int(n) for n in numbers[y]]
        pairs = [row[x] if bits == 8 else row[x] * 17 for x in range(6)]
        for number in pairs:
            out += bytes([1, number])
        if y == 3:
            out += bytes([0, 0])
            continue
        plain = row[6:16]
        if bits == 8:
            packed = bytes(plain)
        else:
            packed = bytes(plain[i] * 16 + plain[i + 1] for i in range(0, 10, 2))
        out += bytes([0, len(plain)]) + packed + b"\0" * (len(packed) % 2)
        out += bytes([WIDTH - 16, row[20] if bits == 8 else row[20] * 16 + row[21]]) + bytes([0, 0])
    return out + bytes([0, 1])


def bitmaps(rgb: Image.Image, rgba: Image.Image, gray: Image.Image) -> dict[str, bytes]:
    pixels = np.asarray(rgb).astype(np.uint32)
    narrow = (pixels[..., 0] >> 3 << 11) | (pixels[..., 1] >> 2 << 5) | (pixels[..., 2] >> 3)
    lines = np.zeros((HEIGHT, WIDTH + 1), dtype="<u2")
    lines[:, :WIDTH] = narrow[::-1]
    few = rgb.quantize(16)
    palette = {
        n: b"".join(bytes([b, g, r, 0]) for r, g, b in np.resize(rgb.quantize(n).getpalette(), (n, 3)).tolist())
        for n in (16, 256)
    }
    return {
        "rgb.bmp": encode(rgb, "BMP"),
        "rgba.bmp": encode(rgba, "BMP"),
        "palette.bmp": encode(rgb.quantize(100), "BMP"),
        "gray.bmp": encode(gray, "BMP"),
        "black-and-white.bmp": encode(rgb.convert("1"), "BMP"),
        "565.bmp": bitmap(16, 3, struct.pack("<3I", 0xF800, 0x7E0, 0x1F), lines.tobytes()),
        "555.bmp": bitmap(16, 0, b"", lines.tobytes()),
        "runs-8.bmp": bitmap(8, 1, palette[256], runs(np.asarray(rgb.quantize(256)), 8)),
        "runs-4.bmp": bitmap(4, 2, palette[16], runs(np.asarray(few), 4)),
    }


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
    cmyk = rgb.convert("CMYK")
    files |= {
        "gray-16.png": wide_png(wide[..., :1]),
        "gray-alpha-16.png": wide_png(wide[..., :2]),
        "gray-16.tif": encode(Image.fromarray(wide[..., 0].copy()), "TIFF"),
        "float.tif": encode(Image.fromarray((wide[..., 0] / 200).astype(np.float32)), "TIFF"),
        "cmyk-plain.jpg": without_adobe(encode(cmyk, "JPEG")),
        "cmyk-camera.jpg": encode(cmyk.transpose(Image.Transpose.ROTATE_90), "JPEG", exif=orientation(6)),
        "cmyk-profile.tif": encode(cmyk, "TIFF", icc_profile=odd_profile()),
        "gray-profile.jpg": encode(gray, "JPEG", icc_profile=odd_profile()),
        "rgb-coded.jpg": encode(rgb, "JPEG", keep_rgb=True),
        "411.jpg": encode(rgb, "JPEG", subsampling="4:1:1"),
        "transparent.gif": encode(rgb.quantize(60), "GIF", transparency=7),
        "rgba.tif": encode(rgba, "TIFF", compression="tiff_lzw"),
        "palette.tif": encode(rgb.quantize(50), "TIFF"),
        "gray-alpha.tif": encode(Image.merge("LA", [gray, rgba.getchannel("A")]), "TIFF"),
        "camera.tif": encode(rgb.transpose(Image.Transpose.ROTATE_90), "TIFF", tiffinfo={0x112: 6}),
        **bitmaps(rgb, rgba, gray),
    }
    for number in range(1, 9):
        # Kept as it lies on the sensor, so that upright it has the size of the others.
        stored = rgb if number < 5 else rgb.transpose(Image.Transpose.ROTATE_90)
        files[f"orientation-{number}.jpg"] = encode(stored, "JPEG", subsampling="4:4:4", exif=orientation(number))
    files["orientation-6.png"] = encode(rgb.transpose(Image.Transpose.ROTATE_90), "PNG", exif=orientation(6))
    out, shown = {}, {}
    colors: list[np.ndarray] = []
    for name, file in files.items():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            image = ImageOps.exif_transpose(Image.open(io.BytesIO(file)))
        if image.mode == "I;16":
            image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
        rgb = np.asarray(image.convert("RGB"))
        same = [i for i, other in enumerate(colors) if np.array_equal(other, rgb)]
        shown[name] = same[0] if same else len(colors)
        if not same:
            colors.append(rgb)
        out[f"file/{name}"] = np.frombuffer(file, dtype=np.uint8)
    out |= {f"rgb/{i}": rgb for i, rgb in enumerate(colors)}
    save_file(out, OUT, metadata={"shown": json.dumps(shown)})
    print(f"{OUT}: {len(files)} pictures, {OUT.stat().st_size} bytes")


if __name__ == "__main__":
    main()
