/** Models that are named by their repository on Hugging Face, and what their folders leave out. */
import { entry } from '../define.js';

const CACHE = `\`HF_HUB_CACHE\`, else \`$HF_HOME/hub\`, else \`$XDG_CACHE_HOME/huggingface/hub\`, else \`~/.cache/huggingface/hub\``;

export const HUB = {
  ESP1297: entry<{ name: string; why: string }>({
    title: 'No repository of that name on Hugging Face',
    message: (a) => `\`${a.name}\` leads to nothing: ${a.why}`,
    help: () => [
      'A name is `hf:org/name`, `hf:org/name@revision` (a branch, a tag or a commit), or `hf:org/name/file.safetensors`.',
    ],
    explain: `Where a spec or a command takes a file or a folder of weights, \`hf:org/name@revision\` names a repository on Hugging Face: a model, or an adapter
that the library \`peft\` wrote.

    base = vit_auto() from "hf:google/vit-base-patch16-224"
    adapt base.blocks[*].attn.qkv with lora(rank: 8) from "hf:someone/their-lora@v1.2"

A revision is a branch, a tag or a commit; \`main\` where there is none. A folder or a file of the repository stands behind its name:
\`hf:org/name/onnx/model.onnx\`. Private repositories need a token (ESP1300).`,
  }),

  ESP1298: entry<{ name: string; cache: string; part: boolean }>({
    title: 'Not in the cache, and no server is asked',
    message: (a) =>
      `\`${a.name}\` is ${a.part ? 'only partly' : 'not'} in the cache (${a.cache}), and it was said that no server is asked`,
    help: () => [
      'Fetch it once without `--offline` and without HF_HUB_OFFLINE, or copy the folder of the repository into the cache.',
    ],
    explain: `With \`--offline\`, or \`HF_HUB_OFFLINE=1\` in the environment, what \`hf:org/name\` means is taken from the cache alone:
${CACHE}. It is the one that Python's \`transformers\`, \`timm\` and \`peft\` fill, and what Espalier fetches they find there.

For a machine without a network, run the command once where there is one, and copy the folder \`models--org--name\`.`,
  }),

  ESP1299: entry<{ name: string; commit: string; why: string }>({
    title: 'The commit of the cache is taken',
    severity: 'warning',
    message: (a) =>
      `\`${a.name}\` is what the cache has, commit ${a.commit.slice(0, 12)}; whether there is a newer one is not known: ${a.why}`,
    help: (a) => [`With \`@${a.commit}\` no server is asked, and with \`--offline\` none at all.`],
    explain: `A branch or a tag may have moved since it was fetched, so the server is asked each time. Where it does not answer, what the cache has is taken, and
said. A commit never changes: \`hf:org/name@<40 digits>\` is taken from the cache without a question once it is there.`,
  }),

  ESP1300: entry<{ name: string; page: string; kind: 'gated' | 'denied'; token: boolean }>({
    title: 'No access to a repository',
    message: (a) =>
      a.kind === 'gated'
        ? `\`${a.name}\` is gated: its authors give it to those who asked for access${a.token ? ', which this token has not got' : ', and there is no token here to tell who asks'}`
        : `\`${a.name}\` is not given to whoever asks: ${a.token ? 'the token is not valid, or has no access to it' : 'it is private or does not exist, and there is no token here'}`,
    help: (a) => [
      ...(a.kind === 'gated' ? [`Ask for access at ${a.page}.`] : []),
      'The token is taken from HF_TOKEN, or from the file that `hf auth login` writes (HF_HOME/token).',
    ],
    explain: `Private repositories are given to those who may see them, gated ones to those who agreed to their terms. Who asks is told by a token, from
https://huggingface.co/settings/tokens:

    export HF_TOKEN=hf_...

or \`hf auth login\` of Hugging Face's own tools, which leaves it in \`HF_HOME/token\` (default \`~/.cache/huggingface/token\`). The token is sent to the server
of HF_ENDPOINT alone (default https://huggingface.co), never to where a download is redirected, and never printed.`,
  }),

  ESP1301: entry<{ what: string; reason: string }>({
    title: 'It cannot be fetched',
    message: (a) => `${a.what} cannot be fetched: ${a.reason}`,
    help: () => [
      'What came so far is kept, and the next command goes on with it. `espalier explain ESP1301` says how proxies, mirrors and machines without a network are told.',
    ],
    explain: `The server, or the way to it, failed several times in a row. What came of a file stays in the cache as a partial file, and the next
command that wants it goes on where it ends.

* \`HTTPS_PROXY\` (for http:// addresses \`HTTP_PROXY\`) is the proxy that is asked, \`NO_PROXY\` lists hosts that are not.
* \`HF_ENDPOINT\` is the server in place of https://huggingface.co: a mirror that answers as it does.
* \`NODE_EXTRA_CA_CERTS\` names a file of certificates of a network that has its own.
* \`--offline\` or \`HF_HUB_OFFLINE=1\` takes what the cache has.`,
  }),

  ESP1302: entry<{ name: string; file: string; hash: string; found: string; size: number; expected?: number }>({
    title: 'Other bytes came than were announced',
    message: (a) =>
      `\`${a.name}\`: what came of ${a.file} is not the file: its ${a.hash.length === 64 ? 'SHA-256' : 'SHA-1'} is ${a.found.slice(0, 16)}... (${a.size} bytes), announced was ${a.hash.slice(0, 16)}...${a.expected === undefined ? '' : ` (${a.expected} bytes)`}`,
    help: () => [
      'It was thrown away. Run the command again; where it goes wrong again, a proxy or a mirror on the way changes files.',
    ],
    explain: `The server announces the hash of each file: the SHA-256 of large ones, git's SHA-1 of others. What arrives is compared with it before it
takes its place in the cache, so that a file there is the file.`,
  }),

  ESP1303: entry<{ name: string }>({
    title: 'A page has no cache of Hugging Face',
    message: (a) => `\`${a.name}\` names a repository, and a page has no cache to take it from`,
    help: () => [
      'Name the address of a folder: `from "https://huggingface.co/org/name/resolve/main/"`, where its server lets pages read it, or put the files beside the page.',
    ],
    explain: `\`hf:org/name\` is read from a cache on a disk, and fetched into it; both take Node. In a page a location is an address: that of a folder with
\`config.json\` or \`adapter_config.json\` in it, or of a file that ends in \`.safetensors\` or \`.onnx\`.`,
  }),

  ESP1304: entry<{ location: string; variant: string; own: boolean; steps: string }>({
    title: 'Preprocessing that nothing says',
    severity: 'note',
    message: (a) =>
      `\`${a.location}\` has no preprocessor_config.json: pictures are preprocessed as ${a.own ? 'the image processor of its class does by itself' : `\`${a.variant}\` does`}: ${a.steps}`,
    help: () => [
      'Where the model was trained with other pictures, put its preprocessor_config.json into the folder, or write a variant with `preprocess = ...`.',
    ],
    explain: `Mean, size and filter of a picture are as much a part of a model as its weights, and wrong ones give worse answers without a word. Where a folder has a
\`config.json\` and no \`preprocessor_config.json\`, what is done is what the image processor of the model's class in transformers does when it is made without
one; where that does not give pictures of the model's size, what the variant of the library says. Either is said, once.

    variant mine = vit_auto() { preprocess = resize([224, 224], bilinear), normalize(mean: 0.5, std: 0.5) }`,
  }),

  ESP1326: entry<{ file: string; fields: readonly string[] }>({
    title: 'Pictures that would each get a shape of their own',
    message: (a) =>
      `${a.file}: ${a.fields.map((f) => `\`${f}\``).join(' and ')} cannot be followed: a program takes pictures of one shape`,
    help: () => [
      'Give the shape that most of the pictures have, `image: [224, 336]` say, as an option of the backbone: each is resized to it. Numbers then differ from Python’s for pictures of other shapes.',
    ],
    explain: `A processor may give each picture a shape of its own, the nearest to the picture's within so many patches. The sizes of a compiled program are fixed: all
pictures are resized to one shape, \`image\` of the backbone, and position tables are resampled to it. The spec has to say which.

    base = siglip2_naflex_auto(image: [224, 336]) from "./folder"`,
  }),
};
