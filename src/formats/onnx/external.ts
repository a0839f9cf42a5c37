/** Weights in files of their own: where a tensor's bytes are said to be, and whether that may be read. */
import { diagnostic } from '../../diagnostics/catalogue.js';
import { EspalierError } from '../../diagnostics/types.js';
import type { ByteSource } from '../tensors/bytes.js';
import type { StringStringEntryProto } from './schema.js';

/** So many bytes from an offset of a file, and for which tensor of which model. */
export interface ExternalPlace {
  readonly file: string;
  readonly tensor: string;
  /** Relative to the model's folder. */
  readonly location: string;
  readonly offset: number;
  readonly length: number;
}

/** The files beside a model. */
export interface ExternalFiles {
  /** @throws EspalierError ESP1206, ESP0501 */
  open(place: ExternalPlace): Promise<ByteSource>;
}

/**
 * The place that a tensor names, with nothing opened.
 * @param needs Bytes that its type and shape need.
 * @throws EspalierError ESP1206
 */
export function placeOf(
  file: string,
  tensor: string,
  entries: readonly StringStringEntryProto[],
  needs: number,
): ExternalPlace {
  const said = new Map(entries.map(({ key = '', value = '' }) => [key, value]));
  const location = said.get('location') ?? '';
  const wrong = (problem: string) => cannot({ file, tensor, location }, problem);
  if (location === '') throw wrong('no file is named');
  if (/^([/\\]|[A-Za-z]:)|\0/.test(location) || /^[a-z][a-z0-9+.-]*:/i.test(location)) {
    throw wrong('only a file in the folder of the model, or in one below it, may be named');
  }
  if (location.split(/[/\\]/).includes('..')) throw wrong('it leads out of the folder of the model');
  const count = (key: string, otherwise: number): number => {
    const text = said.get(key);
    if (text === undefined) return otherwise;
    if (!/^\d{1,16}$/.test(text)) throw wrong(`its ${key} is "${text}", which is no count of bytes`);
    return Number(text);
  };
  const length = count('length', needs);
  if (length !== needs) throw wrong(`its length is ${length}, but its type and shape need ${needs} bytes`);
  return { file, tensor, location, offset: count('offset', 0), length };
}

const cannot = (place: Pick<ExternalPlace, 'file' | 'tensor' | 'location'>, problem: string): EspalierError =>
  new EspalierError([
    diagnostic('ESP1206', { file: place.file, tensor: place.tensor, location: place.location, problem }),
  ]);

/** Those beside what the model was read from; each is opened once. */
export function filesBeside(source: Pick<ByteSource, 'beside'>): ExternalFiles {
  const opened = new Map<string, Promise<ByteSource | undefined>>();
  return {
    async open(place) {
      if (!source.beside) throw cannot(place, 'the model was not read from a folder, so there are no files beside it');
      let found = opened.get(place.location);
      if (!found) {
        found = source.beside(place.location);
        opened.set(place.location, found);
      }
      const file = await found;
      if (!file) throw cannot(place, 'there is no such file in the folder of the model');
      if (place.offset + place.length > file.size) {
        const end = (place.offset + place.length).toLocaleString('en');
        throw cannot(place, `they would end at byte ${end}, but the file has ${file.size.toLocaleString('en')}`);
      }
      return file;
    },
  };
}
