/** Messages ESP07xx: devices and sessions. The runtime throws ESP0701 to ESP0710, ESP1142 and ESP1143 itself, without this table (a page loads no catalogue); these entries are their pages, and what a caller shows for them. */
import { entry } from './define.js';

/** The runtime's own sentence, and its one line of what to do. */
export interface RuntimeProblem {
  readonly message: string;
  readonly help: string;
}

const runtime = (title: string, explain: string) =>
  entry<RuntimeProblem>({ title, message: (a) => a.message, help: (a) => (a.help ? [a.help] : []), explain });

export const DEVICE = {
  ESP0701: runtime(
    'No WebGPU adapter',
    `A program runs on WebGPU, and this machine or browser offers no adapter for it.

In Node, Espalier looks for hardware, then for lavapipe (Mesa 25 or newer), then for the SwiftShader that npm
\`@sparticuz/chromium\` carries. \`espalier doctor\` shows what was tried and why it was refused.

The cure, where nothing may be installed with root:

    npm install --save-dev @sparticuz/chromium

In a browser: a recent Chrome, Edge, Safari or Firefox, with hardware acceleration switched on.`,
  ),
  ESP0702: runtime(
    'Device limit exceeded',
    `The program needs a buffer, a binding or a launch larger than the device allows, so it refuses to run there.

    the program needs maxStorageBufferBindingSize = 268435456, the device has 134217728

A program compiled with \`limits = baseline\` (the default) runs wherever WebGPU does. A program compiled for this machine's
limits runs only where they are offered. The cure: \`limits = baseline\`, a smaller \`batch\`, or another adapter.`,
  ),
  ESP0703: runtime(
    'Device lost',
    `The GPU device went away while a session was using it: the driver was reset, the GPU was removed, or the browser took it back
because a single run took too long. Everything on it is gone. Load the program again; if it comes back, give it fewer images
at a time (\`load\` takes \`samples\`).`,
  ),
  ESP0704: runtime(
    'Out of GPU memory',
    `The device could not give all buffers that the program needs. \`program.json\` says how much that is (\`summary.leastBytes\` for one
image, \`summary.peakBytes\` for a pass of the most). The cure: fewer images at a time (\`load\` takes \`samples\`, the most of a pass), \`weights = f16\`, or dispose of sessions that are no longer used.`,
  ),
  ESP0705: runtime(
    'WebGPU refused the program',
    `A kernel does not compile here, or a command does not fit the device. A program folder is meant to run wherever its requirements
are met, so this is a fault of the compiler or of the driver. Compile it again with this version of Espalier; if it stays,
please report it with the output of \`espalier doctor\`.`,
  ),
  ESP0706: runtime(
    'Golden output differs',
    `A compiled program carries one input and the output that the compiler computed for it. It is run at load, and gave something
else here: first with the kernels chosen for this device, then with the portable ones.

So this device computes something wrong, or the folder was changed (a weights file from another compilation, for example).
Update the driver, compile the folder again, or run it on another adapter. \`load(source, { golden: false })\` switches the check
off; the results are then wrong in silence.`,
  ),
  ESP0707: runtime(
    'Program folder is damaged',
    `A file of the compiled folder is missing, truncated, or not the one that was compiled. The message names the file.

    weights.safetensors: was changed or damaged, or is of another compilation: its SHA-256 differs

\`program.json\` carries the length and the SHA-256 of every kernel, of the weights and of the golden input, and one of its own, so it cannot be
edited either: class names are changed in the spec. Copy the whole folder (program.json, *.wgsl, *.safetensors), or compile it again.`,
  ),
  ESP0708: runtime(
    'Input does not fit the program',
    `\`session.run\`, \`call\`, \`read\` or \`replace\` was given something that the program does not take: another name (of an input, an entry or a
parameter), length or element type, an image without pixels, or an image for a program without \`preprocess\`. An entry that gives or changes something
of all its items together takes no more of them than one pass holds. Parameters can be replaced in programs that were compiled with \`prepare = load\`.

    await session.run({ image: { data, width, height } })      // 8-bit RGBA, RGB or gray
    await session.run({ tensors: { pixels: new Float32Array(3 * 224 * 224) } })
    await session.call('step', { x, wanted, rate })            // an entry of the program, by name
    await session.replace({ 'base.fc@lora.A': numbers })       // or the bytes of an adapter file

In a page an image may also be a Blob (a PNG, JPEG, WebP, GIF or BMP file), an \`<img>\`, a canvas, an ImageBitmap, a video or a VideoFrame. A file gives the
bits that it gives in Node, without its alpha, and by the program's rule of color profiles; one that a page decodes in its own way (AVIF, SVG, CMYK, WebP with a camera's EXIF, run-length coded BMP)
is refused. Of what the page has drawn, transparent pixels have lost their colors, so it has to be opaque.`,
  ),
  ESP0709: runtime(
    'Session disposed of',
    'A method of a session was called after `dispose`, which frees all buffers of the session. Load the program again.',
  ),
  ESP0710: runtime(
    'Driver not found',
    `\`ESPALIER_DRIVER\` (or \`--driver\`) names a driver that is not on this machine, or that Dawn refuses.

* \`system\`: whatever the system's Vulkan, Metal or Direct3D offers
* \`lavapipe\`: Mesa's software driver, version 25 or newer (\`lvp_icd.json\` in the usual places)
* \`swiftshader\`: the one that npm \`@sparticuz/chromium\` carries (Linux, x64)

\`espalier doctor\` shows which of them can be had here.`,
  ),
  ESP1142: runtime(
    'Colors that cannot be converted',
    `The program's \`preprocess\` has \`colour(managed)\`: pictures are converted by their ICC profiles to sRGB. Of this one that cannot be done, and it is not passed for
sRGB instead. The message says why.

    cat.jpg: its color profile is damaged
    scan.tif: its color profile is for RGB, and the picture is CMYK
    old.png: its colors are said by a gamma (the chunk gAMA), and not by a color profile

Profiles of RGB, gray and CMYK are read, of versions 2 and 4, with curves and a matrix or with tables (\`mft1\`, \`mft2\`, \`mAB\`). A gray picture may have one of RGB. Words other
than a profile that say that colors are none of sRGB's are refused: code points in PNG and AVIF, gamma and primaries in PNG, a profile in BMP.

Convert the picture to sRGB with a program that shows it right. Or leave \`colour(managed)\` out: then profiles are ignored, as by the processors that most models were trained with.`,
  ),
  ESP1143: runtime(
    'Pixels decoded by another rule of colors',
    `\`decodeImage\` says of a picture with a color profile whether that was applied, and the program's \`preprocess\` asks for the other: its results would be of other colors than
those that the model was trained or measured with.

    const picture = await decodeImage(path, path, 'managed');     // for a program with colour(managed); 'raw' is the default
    await session.run({ image: picture });

Pixels without that word, those of a canvas or of a camera for example, are taken to be in sRGB.`,
  ),
};
