"""Writes test/fixtures/colour.safetensors: pictures with color profiles, and the RGB that Pillow's ImageCms makes of each: upright by EXIF, 8 bits, then
`profileToProfile` to LittleCMS' sRGB by the perceptual intent. What has no profile is `convert("RGB")`. The profiles are made here, small ones of each form
(ICC.1:2022 and version 2): no profile of anybody else is checked in. Each profile and each RGB is there once.

    python test/reference/colour.py
"""

import io
import json
import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms, ImageOps
from safetensors.numpy import save_file

from pictures import chunk, encode, orientation

OUT = Path(__file__).parent.parent / "fixtures" / "colour.safetensors"
WIDTH, HEIGHT = 20, 12
D50 = np.array([0.9642, 1.0, 0.8249])
# Of profiles with tables LittleCMS makes one of its own, whose error is of several levels; this is what they say.
FLAGS = ImageCms.Flags.NOOPTIMIZE
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


# ---- Profiles ----------------------------------------------------------------------------------------------------------


def fixed(values) -> bytes:
    return b"".join(struct.pack(">i", round(float(v) * 65536)) for v in np.ravel(values))


def xyz(values) -> bytes:
    return b"XYZ \0\0\0\0" + fixed(values)


def gamma(value: float) -> bytes:
    return b"curv\0\0\0\0" + struct.pack(">IH", 1, round(value * 256))


def listed(values) -> bytes:
    numbers = np.round(np.asarray(values) * 65535).astype(int)
    return b"curv\0\0\0\0" + struct.pack(f">I{len(numbers)}H", len(numbers), *numbers)


def para(kind: int, *values: float) -> bytes:
    return b"para\0\0\0\0" + struct.pack(">HH", kind, 0) + fixed(values)


SRGB_CURVE = para(3, 2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
IDENTITY = b"curv\0\0\0\0" + struct.pack(">I", 0)


def padded(data: bytes) -> bytes:
    return data + b"\0" * (-len(data) % 4)


def profile(space: str, pcs: str, version: int, kind: str, tags: dict[str, bytes]) -> bytes:
    tags = {
        "desc": b"desc\0\0\0\0" + struct.pack(">I", 5) + b"test\0" + b"\0" * 78 if version == 2 else b"mluc\0\0\0\0" + struct.pack(">IIHHII", 1, 12, 0x656E, 0x5553, 8, 28) + "test".encode("utf-16-be"),
        "wtpt": xyz(D50),
        **tags,
    }
    start = 132 + 12 * len(tags)
    table, body, at = b"", b"", {}
    for name, data in tags.items():
        if data not in at:
            at[data] = start + len(body)
            body += padded(data)
        table += struct.pack(">4sII", name.encode(), at[data], len(data))
    size = start + len(body)
    header = struct.pack(">I4sI4s4s4s", size, b"\0" * 4, version << 24, kind.encode(), space.encode(), pcs.encode())
    header += b"\0" * 12 + b"acsp" + b"\0" * 28 + fixed(D50)
    return header.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + body


def columns(primaries, white) -> np.ndarray:
    """XYZ of red, green and blue under D50, by Bradford."""
    bradford = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
    to_xyz = lambda xy: np.array([xy[0] / xy[1], 1, (1 - xy[0] - xy[1]) / xy[1]])
    p = np.stack([to_xyz(c) for c in primaries], 1)
    p = p * np.linalg.solve(p, to_xyz(white))
    scale = (bradford @ D50) / (bradford @ to_xyz(white))
    return np.linalg.inv(bradford) @ np.diag(scale) @ bradford @ p


D65 = (0.3127, 0.329)
P3 = columns([(0.68, 0.32), (0.265, 0.69), (0.15, 0.06)], D65)
ADOBE = columns([(0.64, 0.33), (0.21, 0.71), (0.15, 0.06)], D65)
WIDE = columns([(0.7347, 0.2653), (0.1596, 0.8404), (0.0366, 0.0001)], (0.3457, 0.3585))


def matrix(version: int, m: np.ndarray, curves) -> bytes:
    tags = {f"{c}XYZ": xyz(m[:, i]) for i, c in enumerate("rgb")} | {f"{c}TRC": curves[i] for i, c in enumerate("rgb")}
    return profile("RGB ", "XYZ ", version, "mntr", tags)


def gray(version: int, pcs: str, curve: bytes) -> bytes:
    return profile("GRAY", pcs, version, "mntr", {"kTRC": curve})


def lab(color: np.ndarray) -> np.ndarray:
    t = color / D50
    f = np.where(t > (24 / 116) ** 3, np.cbrt(t), 841 / 108 * t + 16 / 116)
    return np.stack([116 * f[..., 1] - 16, 500 * (f[..., 0] - f[..., 1]), 200 * (f[..., 1] - f[..., 2])], -1)


def grid(points: int, channels: int) -> np.ndarray:
    return np.stack(np.meshgrid(*[np.linspace(0, 1, points)] * channels, indexing="ij"), -1)


def ink(cmyk: np.ndarray) -> np.ndarray:
    """Inks as CIELAB: none is white, and all of them together are no black."""
    c, m, y, k = np.moveaxis(cmyk, -1, 0)
    paper = np.stack([1 - 0.92 * c - 0.06 * m, 1 - 0.3 * c - 0.9 * m - 0.04 * y, 1 - 0.12 * c - 0.45 * m - 0.93 * y], -1)
    return lab((np.clip(paper, 0.03, 1) ** 1.8 * (1 - 0.93 * k[..., None]) * 0.97 + [0.012, 0.008, 0.004]) @ columns([(0.64, 0.33), (0.3, 0.6), (0.15, 0.06)], D65).T)


def colors(rgb: np.ndarray) -> np.ndarray:
    """RGB of a scanner as CIELAB, whose black is no black."""
    return lab((0.96 * rgb**1.9 + [0.01, 0.014, 0.006]) @ ADOBE.T)


def encoded(values: np.ndarray, form: str) -> np.ndarray:
    """CIELAB as numbers of 0 to 1: of version 2 in 16 bits, or of version 4 and in 8 bits."""
    top = 65280 / 65535 if form == "mft2" else 1
    return np.clip(np.stack([values[..., 0] / 100, (values[..., 1] + 128) / 255, (values[..., 2] + 128) / 255], -1) * top, 0, 1)


def tables(form: str, values: np.ndarray, curve=lambda x: x, rows=np.eye(3)) -> bytes:
    """`mft1` or `mft2`: a matrix, input tables, the grid, output tables."""
    channels, points = values.ndim - 1, values.shape[0]
    head = form.encode() + b"\0" * 4 + bytes([channels, 3, points, 0]) + fixed(rows)
    if form == "mft1":
        table = np.round(255 * curve(np.linspace(0, 1, 256))).astype("u1").tobytes()
        straight = bytes(range(256))
        return head + table * channels + np.round(values * 255).astype("u1").tobytes() + straight * 3
    table = np.round(65535 * curve(np.linspace(0, 1, 17))).astype(">u2").tobytes()
    straight = np.array([0, 65535], dtype=">u2").tobytes()
    # Tables of a kind are of one length.
    return head + struct.pack(">HH", 17, 2) + table * channels + np.round(values * 65535).astype(">u2").tobytes() + straight * 3


def stages(values: np.ndarray, a: bytes, m: bytes, rows, b: bytes, bytes_each: int) -> bytes:
    """`mAB `: curves A, the grid, curves M, a matrix of 3 rows and what is added, curves B."""
    channels, points = values.ndim - 1, values.shape[0]
    numbers = np.round(values * (255 if bytes_each == 1 else 65535)).astype("u1" if bytes_each == 1 else ">u2").tobytes()
    parts = [padded(b) * 3, fixed(rows), padded(m) * 3]
    parts.append(padded(bytes([points] * channels).ljust(16, b"\0") + bytes([bytes_each, 0, 0, 0]) + numbers))
    parts.append(padded(a) * channels)
    places = np.cumsum([32] + [len(p) for p in parts])
    return b"mAB \0\0\0\0" + bytes([channels, 3, 0, 0]) + struct.pack(">5I", *places[:5]) + b"".join(parts)


def profiles() -> dict[str, bytes]:
    bend = lambda x: x**1.2
    unbend = lambda x: x ** (1 / 1.2)
    no_change = [1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0]
    a_little = [0.98, 0.01, 0.01, 0.0, 1, 0, 0.02, 0, 0.97, 0.004, 0.001, 0.002]
    cmyk = {n: encoded(ink(grid(n, 4)), "mft1") for n in (3, 4)}
    rgb = grid(5, 3)
    return {
        "srgb": SRGB,
        "display-p3": matrix(4, P3, [SRGB_CURVE] * 3),
        "adobe": matrix(2, ADOBE, [gamma(2.19921875)] * 3),
        "wide": matrix(2, WIDE, [gamma(1.8)] * 3),
        "curves": matrix(2, P3, [listed(np.linspace(0, 1, 33) ** 2), listed(np.linspace(0, 1, 256) ** 2.3), IDENTITY]),
        "formulas": matrix(4, ADOBE, [para(0, 2.1), para(1, 2.0, 1.1, -0.1), para(4, 2.2, 0.9, 0.08, 0.4, 0.1, 0.02, 0.01)]),
        "offset": matrix(4, P3, [para(2, 2.0, 0.9, 0.01, 0.05)] * 3),
        "gray": gray(2, "XYZ ", gamma(1.8)),
        "gray-lab": gray(2, "Lab ", listed(np.linspace(0, 1, 20) ** 0.8)),
        "scanner": profile("RGB ", "Lab ", 2, "scnr", {"A2B0": tables("mft2", encoded(colors(unbend(rgb)), "mft2"), bend)}),
        "scanner-8": profile("RGB ", "Lab ", 2, "scnr", {"A2B0": tables("mft1", encoded(colors(rgb), "mft1"))}),
        "camera-xyz": profile("RGB ", "XYZ ", 2, "scnr", {"A2B0": tables("mft2", np.clip(rgb**2 @ P3.T * 32768 / 65535, 0, 1), rows=[[0.9, 0.1, 0], [0, 1, 0], [0, 0.05, 0.95]])}),
        "stages": profile("RGB ", "Lab ", 4, "prtr", {"A2B0": stages(encoded(colors(rgb), "mAB "), para(0, 1.1), IDENTITY, no_change, IDENTITY, 2)}),
        "stages-xyz": profile("RGB ", "XYZ ", 4, "scnr", {"A2B0": stages(np.clip(rgb @ P3.T * 32768 / 65535, 0, 1), para(0, 1.9), gamma(1.05), a_little, para(0, 1.02), 1)}),
        "press": profile("CMYK", "Lab ", 2, "prtr", {"A2B0": tables("mft1", cmyk[4])}),
        "press-16": profile("CMYK", "Lab ", 2, "prtr", {"A2B0": tables("mft2", encoded(ink(unbend(grid(3, 4))), "mft2"), bend)}),
        "press-4": profile("CMYK", "Lab ", 4, "prtr", {"A2B0": stages(cmyk[3], para(0, 1.1), IDENTITY, no_change, IDENTITY, 1)}),
    }


# ---- Pictures ----------------------------------------------------------------------------------------------------------


def wide_png(pixels: np.ndarray, icc: bytes) -> bytes:
    """16 bits a channel, which Pillow does not write."""
    kind = {1: 0, 3: 2, 4: 6}[pixels.shape[2]]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    header = struct.pack(">IIBBBBB", pixels.shape[1], pixels.shape[0], 16, kind, 0, 0, 0)
    profile_chunk = chunk(b"iCCP", b"icc\0\0" + zlib.compress(icc))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + profile_chunk + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def pictures(known: dict[str, bytes]) -> dict[str, tuple[bytes, str | None]]:
    random = np.random.default_rng(3)
    pixels = random.integers(0, 256, (HEIGHT, WIDTH, 4), dtype=np.uint8)
    corners = np.array([[255 * (i >> k & 1) for k in range(4)] for i in range(16)], dtype=np.uint8)
    pixels[0, :16], pixels[1, :, :3], pixels[2, :, 0] = corners, np.linspace(0, 255, WIDTH)[:, None], np.linspace(0, 60, WIDTH)
    pixels[:, 12:, 3] = 255
    pixels[:, :3, 3] = 0
    rgba = Image.fromarray(pixels)
    rgb = Image.fromarray(pixels[..., :3].copy())
    tone = Image.fromarray(np.resize(np.linspace(0, 255, WIDTH * HEIGHT), (HEIGHT, WIDTH)).astype(np.uint8))
    # All inks, in steps, with as much black as the third part of them.
    press = Image.fromarray(np.where(np.arange(WIDTH * HEIGHT).reshape(HEIGHT, WIDTH, 1) % 3 > 0, pixels * [1, 1, 1, 0.3], pixels).astype(np.uint8), "CMYK")
    wide = random.integers(0, 65536, (HEIGHT, WIDTH, 4), dtype=np.uint16)
    turned = rgb.transpose(Image.Transpose.ROTATE_90)
    plain = {f"{name}.png": (encode(rgb, "PNG", icc_profile=icc), name) for name, icc in known.items() if icc[16:20] == b"RGB "}
    grays = {f"{name}.png": (encode(tone, "PNG", icc_profile=icc), name) for name, icc in known.items() if icc[16:20] == b"GRAY"}
    inks = {f"{name}.tif": (encode(press, "TIFF", icc_profile=icc, compression="tiff_adobe_deflate"), name) for name, icc in known.items() if icc[16:20] == b"CMYK"}
    p3 = known["display-p3"]
    return plain | grays | inks | {
        "p3.jpg": (encode(rgb, "JPEG", quality=90, icc_profile=p3), "display-p3"),
        "p3-camera.jpg": (encode(turned, "JPEG", quality=90, icc_profile=p3, exif=orientation(6)), "display-p3"),
        "p3.webp": (encode(rgb, "WEBP", lossless=True, icc_profile=p3), "display-p3"),
        "p3.tif": (encode(rgb, "TIFF", icc_profile=p3, compression="tiff_adobe_deflate"), "display-p3"),
        "p3-alpha.png": (encode(rgba, "PNG", icc_profile=p3), "display-p3"),
        "p3-palette.png": (encode(rgb.quantize(40), "PNG", icc_profile=p3), "display-p3"),
        "p3-16.png": (wide_png(wide[..., :3], p3), "display-p3"),
        "p3-alpha-16.png": (wide_png(wide, p3), "display-p3"),
        "gray-16.png": (wide_png(wide[..., :1], known["gray"]), "gray"),
        "gray.jpg": (encode(tone, "JPEG", icc_profile=known["gray"]), "gray"),
        "gray-alpha.png": (encode(Image.merge("LA", [tone, rgba.getchannel("A")]), "PNG", icc_profile=known["gray"]), "gray"),
        "gray-in-rgb.jpg": (encode(tone, "JPEG", icc_profile=known["adobe"]), "adobe"),
        "press.jpg": (encode(press, "JPEG", quality=90, icc_profile=known["press"]), "press"),
        "p3.avif": (encode(Image.new("RGB", (8, 8), (220, 40, 90)), "AVIF", subsampling="4:4:4", quality=100, icc_profile=p3), "display-p3"),
        "no-profile.avif": (encode(Image.new("RGB", (8, 8), (90, 90, 90)), "AVIF", quality=100), None),
        "no-profile.png": (encode(rgb, "PNG"), None),
        "no-profile-gray.png": (encode(tone, "PNG"), None),
        "no-profile-cmyk.jpg": (encode(press, "JPEG", quality=90), None),
        "no-profile-cmyk.tif": (encode(press, "TIFF", compression="tiff_adobe_deflate"), None),
    }


def managed(file: bytes) -> np.ndarray:
    image = Image.open(io.BytesIO(file))
    icc = image.info.get("icc_profile")
    image = ImageOps.exif_transpose(image)
    if image.mode == "I;16":
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if not icc:
        return np.asarray(image.convert("RGB"))
    if image.mode == "LA":
        image = image.getchannel(0)
    elif image.mode not in ("L", "CMYK") or (image.mode == "L" and icc[16:20] == b"RGB "):
        image = image.convert("RGB")
    source = ImageCms.ImageCmsProfile(io.BytesIO(icc))
    return np.asarray(
        ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), renderingIntent=ImageCms.Intent.PERCEPTUAL, outputMode="RGB", flags=FLAGS)
    )


def main() -> None:
    known = profiles()
    out, names = {}, {}
    for name, (file, icc) in pictures(known).items():
        names[name] = icc
        out[f"file/{name}"] = np.frombuffer(file, dtype=np.uint8)
        out[f"rgb/{name}"] = managed(file)
    save_file(out, OUT, metadata={"profiles": json.dumps(names)})
    print(f"{OUT}: {len(names)} pictures, {OUT.stat().st_size} bytes")


if __name__ == "__main__":
    main()
