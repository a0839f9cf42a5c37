/** A canvas to draw on, white on black, as the pictures are that the model reads; and pictures of files, cut to a square of the same size. */
import type { Picture } from './messages.js';

/** Width of a stroke as a share of the pad's: about that of a digit of MNIST. */
const STROKE = 0.085;

export class Pad {
  private readonly context: CanvasRenderingContext2D;
  private drawn = false;

  /** `changed` is called after each stroke. */
  constructor(
    private readonly canvas: HTMLCanvasElement,
    changed: () => void = () => {},
  ) {
    this.context = canvas.getContext('2d', { willReadFrequently: true })!;
    this.clear();
    let last: readonly [x: number, y: number] | undefined;
    canvas.addEventListener('pointerdown', (event) => {
      canvas.setPointerCapture(event.pointerId);
      last = this.placeOf(event);
      this.line(last, last);
    });
    canvas.addEventListener('pointermove', (event) => {
      if (!last) return;
      // All places since the last event: a quick stroke is a curve, not a line.
      const events = event.getCoalescedEvents?.() ?? [];
      for (const one of events.length > 0 ? events : [event]) {
        const here = this.placeOf(one);
        this.line(last, here);
        last = here;
      }
    });
    for (const end of ['pointerup', 'pointercancel'] as const)
      canvas.addEventListener(end, () => {
        if (!last) return;
        last = undefined;
        changed();
      });
  }

  get isEmpty(): boolean {
    return !this.drawn;
  }

  clear(): void {
    const { width, height } = this.canvas;
    this.context.fillStyle = '#000';
    this.context.fillRect(0, 0, width, height);
    this.drawn = false;
  }

  picture(): Picture {
    const { width, height } = this.canvas;
    return { data: this.context.getImageData(0, 0, width, height).data, width, height };
  }

  /** Puts a picture there in place of a drawing. */
  async show(picture: Picture): Promise<void> {
    this.clear();
    const bitmap = await createImageBitmap(new ImageData(new Uint8ClampedArray(picture.data), picture.width));
    this.context.imageSmoothingEnabled = false;
    this.context.drawImage(bitmap, 0, 0, this.canvas.width, this.canvas.height);
    bitmap.close();
  }

  private placeOf({ clientX, clientY }: PointerEvent): [x: number, y: number] {
    const box = this.canvas.getBoundingClientRect();
    const { width, height } = this.canvas;
    return [((clientX - box.left) / box.width) * width, ((clientY - box.top) / box.height) * height];
  }

  private line([x, y]: readonly [number, number], [toX, toY]: readonly [number, number]): void {
    const { context } = this;
    context.strokeStyle = '#fff';
    context.lineWidth = STROKE * this.canvas.width;
    context.lineCap = 'round';
    context.beginPath();
    context.moveTo(x, y);
    context.lineTo(toX, toY);
    context.stroke();
    this.drawn = true;
  }
}

/** Larger pictures are made this small: the model reads 28 x 28 pixels. */
const LARGEST = 224;

/** The square in the middle of a picture. Throws what the browser throws for a file that is no picture. */
export async function pictureOf(file: Blob): Promise<Picture> {
  const bitmap = await createImageBitmap(file);
  try {
    const side = Math.min(bitmap.width, bitmap.height);
    const size = Math.min(side, LARGEST);
    const { context } = canvasOf(size, size);
    context.imageSmoothingQuality = 'high';
    context.fillRect(0, 0, size, size);
    context.drawImage(bitmap, (bitmap.width - side) / 2, (bitmap.height - side) / 2, side, side, 0, 0, size, size);
    return { data: context.getImageData(0, 0, size, size).data, width: size, height: size };
  } finally {
    bitmap.close();
  }
}

/** The pictures of a sheet that shows squares side by side. */
export async function picturesOfSheet(file: Blob): Promise<Picture[]> {
  const bitmap = await createImageBitmap(file);
  const { width, height } = bitmap;
  const { context } = canvasOf(width, height);
  context.drawImage(bitmap, 0, 0);
  bitmap.close();
  return Array.from({ length: Math.floor(width / height) }, (_, i) => {
    const { data } = context.getImageData(i * height, 0, height, height);
    return { data, width: height, height };
  });
}

/** A picture, small, on a canvas of its own. */
export function thumbnail({ data, width, height }: Picture): HTMLCanvasElement {
  const { canvas, context } = canvasOf(width, height);
  context.putImageData(new ImageData(new Uint8ClampedArray(data), width), 0, 0);
  return canvas;
}

function canvasOf(width: number, height: number) {
  const canvas = document.createElement('canvas');
  canvas.width = width;
  canvas.height = height;
  return { canvas, context: canvas.getContext('2d', { willReadFrequently: true })! };
}
