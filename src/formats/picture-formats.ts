/** What a file of a picture is by its first bytes, for messages about those that are not decoded. */

type Bytes = Uint8Array;
const text = (file: Bytes, at: number, length: number): string =>
  String.fromCharCode(...file.subarray(at, at + length));

/** Brands of HEIF files whose pictures are HEVC: sharp's libheif comes without a decoder of it, since it is patented. */
const HEVC = ['heic', 'heix', 'heim', 'heis', 'hevc', 'hevx', 'mif1', 'msf1'];

const FORMATS: readonly (readonly [name: string, is: (file: Bytes) => boolean])[] = [
  ['a HEIC picture', (f) => text(f, 4, 4) === 'ftyp' && HEVC.includes(text(f, 8, 4))],
  ['a JPEG 2000 picture', (f) => text(f, 4, 4) === 'jP  ' || text(f, 0, 4) === '\xff\x4f\xff\x51'],
  ['a JPEG XL picture', (f) => text(f, 4, 4) === 'JXL ' || text(f, 0, 2) === '\xff\x0a'],
  ['a Windows icon', (f) => text(f, 0, 4) === '\0\0\x01\0'],
  ['a Photoshop document', (f) => text(f, 0, 4) === '8BPS'],
  ['a portable anymap (PBM, PGM, PPM)', (f) => /^P[1-7]\s/.test(text(f, 0, 3))],
  ['an OpenEXR picture', (f) => text(f, 0, 4) === '\x76\x2f\x31\x01'],
  ['a Radiance picture', (f) => text(f, 0, 10) === '#?RADIANCE'],
  ['a DICOM file', (f) => text(f, 128, 4) === 'DICM'],
  ['a PDF', (f) => text(f, 0, 5) === '%PDF-'],
];

/** What it is, `a HEIC picture`; undefined for what is read, and for what is not known. */
export const pictureFormat = (file: Bytes): string | undefined => FORMATS.find(([, is]) => is(file))?.[0];
