/** The page: a picture, the programs, and what they count in it. */
import { load, RuntimeError } from '../../../runtime/index.js';
import { automaticOf, overlaySvg } from '../../../src/segmentation/index.js';
import { findAll, type MobileSam } from '../mobile-sam.js';

const element = <T extends HTMLElement>(id: string): T => document.getElementById(id) as T;
const say = (id: string, text: string): void => {
  element(id).textContent = text;
};
const button = element<HTMLButtonElement>('count');
const canvas = element<HTMLCanvasElement>('canvas');

let sam: MobileSam | undefined;
let picture: { readonly file: Blob; readonly width: number; readonly height: number } | undefined;
let counting = false;

/** What is wrong and what to do, or nothing. */
function alertOf(error?: unknown): void {
  const text = error instanceof RuntimeError ? `${error.message}. ${error.help}` : error && (error as Error).message;
  element('alert').hidden = !text;
  say('alert', text ? String(text) : '');
}

function show(): void {
  button.disabled = !sam || !picture || counting;
}

/** Shows a file as the picture that is to be counted; where it is none, the picture before stays. */
async function choose(file: Blob, name: string): Promise<void> {
  const bitmap = await createImageBitmap(file).catch(() => undefined);
  if (!bitmap) return alertOf(new Error(`${name}: no picture that this browser reads`));
  alertOf();
  const { width, height } = bitmap;
  Object.assign(canvas, { width, height });
  canvas.getContext('2d')!.drawImage(bitmap, 0, 0);
  bitmap.close();
  clear();
  picture = { file, width, height };
  show();
}

function clear(): void {
  element('overlay').replaceChildren();
  say('things', '');
  say('masks', '');
}

async function count(): Promise<void> {
  if (!sam || !picture || counting) return;
  const { file, width, height } = picture;
  alertOf();
  clear();
  counting = true;
  show();
  try {
    const progress = element<HTMLProgressElement>('progress');
    const options = automaticOf({
      grid: element<HTMLInputElement>('grid').valueAsNumber,
      onProgress(done, all) {
        progress.value = done / all;
        say('doing', `${done} of ${all} points`);
      },
    });
    progress.value = 0;
    say('doing', 'encoding the picture');
    const { things, prompts, encoder, times } = await findAll(sam, file, { width, height }, options);
    const svg = new DOMParser().parseFromString(
      overlaySvg(
        things.map(({ mask }) => mask),
        width,
        height,
      ),
      'image/svg+xml',
    );
    // Another picture may have been chosen meanwhile.
    if (picture.file === file) {
      element('overlay').replaceChildren(document.adoptNode(svg.documentElement));
      say('things', things.length === 1 ? '1 thing' : `${things.length} things`);
      say('masks', `of ${prompts} masks`);
    }
    const seconds = (ms: number) => `${(ms / 1000).toFixed(1)} s`;
    say('doing', `encoder ${seconds(encoder)}, decoder ${seconds(times.decoder)}, filters ${seconds(times.filters)}`);
  } catch (error) {
    alertOf(error);
    say('doing', 'not counted');
  } finally {
    counting = false;
    show();
  }
}

element('ask').addEventListener('submit', (event) => {
  event.preventDefault();
  void count();
});
element<HTMLInputElement>('file').addEventListener('change', ({ target }) => {
  const [file] = (target as HTMLInputElement).files ?? [];
  if (file) void choose(file, file.name);
});
element('coins').addEventListener('click', async () => {
  await choose(await (await fetch('coins.png')).blob(), 'coins.png');
});

try {
  const program = (name: string) => load(new URL(`${name}/`, location.href));
  sam = { encoder: await program('encoder'), decoder: await program('decoder') };
  say('doing', 'Choose a picture.');
} catch (error) {
  alertOf(error);
  say('doing', 'no programs');
}
show();
