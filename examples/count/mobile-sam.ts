/** MobileSAM as two compiled programs, encoder and prompt decoder, and everything that it finds in a picture. The same in Node and in a page. */
import type { ImageInput, Session, TensorData } from '../../runtime/index.js';
import {
  type AutomaticOptions,
  type Decoded,
  findThings,
  type Prompts,
  type Things,
} from '../../src/segmentation/index.js';

export interface MobileSam {
  readonly encoder: Session;
  readonly decoder: Session;
}

export interface Found extends Things {
  /** Milliseconds of the encoder. */
  readonly encoder: number;
}

/** What the decoder takes besides embeddings and points: no earlier mask to go on from. */
const NO_MASK = { mask_input: new Float32Array(256 * 256), has_mask_input: new Float32Array(1) };

/** A picture's embeddings, [256, 64, 64]. Throws InputError for a picture that is none; RuntimeError if the GPU is lost. */
export async function embed({ encoder }: MobileSam, image: ImageInput): Promise<TensorData> {
  const { outputs } = await encoder.run({ image });
  return outputs.output!;
}

/** What the decoder says of prompts on a picture with these embeddings, in one pass. Throws RuntimeError if the GPU is lost. */
export async function prompted({ decoder }: MobileSam, embeddings: TensorData, prompts: Prompts): Promise<Decoded> {
  const { coords, labels } = prompts;
  const { outputs } = await decoder.run({
    tensors: { image_embeddings: embeddings, point_coords: coords, point_labels: labels, ...NO_MASK },
  });
  return { logits: outputs.low_res_masks as Float32Array, iou: outputs.iou_predictions as Float32Array };
}

/** Everything in a picture. Throws as `embed` and `findThings` do. */
export async function findAll(
  sam: MobileSam,
  image: ImageInput,
  size: { readonly width: number; readonly height: number },
  options: AutomaticOptions = {},
): Promise<Found> {
  const began = performance.now();
  const embeddings = await embed(sam, image);
  const encoder = performance.now() - began;
  return { ...(await findThings(size, (prompts) => prompted(sam, embeddings, prompts), options)), encoder };
}
