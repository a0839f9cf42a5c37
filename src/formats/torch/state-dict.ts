/** Which dictionary of a file is the state dict: training scripts save it below a name of theirs, beside epochs and optimisers. */
import { diagnostic } from '../../diagnostics/catalogue.js';
import type { Diagnostic } from '../../diagnostics/types.js';
import { type Dict, isTensor, type TorchTensor } from './pickle.js';
import { torchError } from './zip.js';

/** Names that training scripts use; averaged weights first, as timm's `load_state_dict` takes them. */
const WRAPPERS = ['state_dict_ema', 'model_ema', 'state_dict', 'model_state_dict', 'model'];

/**
 * The tensors of the state dict in a file, and notes on where it was and what was beside it.
 * @throws EspalierError ESP1280 where there is none, or several of which none is named as usual
 */
export function stateDict(
  file: string,
  value: unknown,
): { tensors: ReadonlyMap<string, TorchTensor>; warnings: readonly Diagnostic[] } {
  if (!(value instanceof Map)) throw torchError(file, 'it holds something else than a dictionary of tensors');
  if (holdsTensors(value)) return { tensors: tensorsOf(value), warnings: [] };
  const whole = value as Dict;
  const inside = [...whole].filter((e): e is [string, Dict] => typeof e[0] === 'string' && isStateDict(e[1]));
  const names = inside.map(([name]) => name);
  const chosen = WRAPPERS.find((name) => names.includes(name)) ?? (names.length === 1 ? names[0] : undefined);
  if (chosen === undefined) {
    throw torchError(
      file,
      names.length === 0
        ? 'it holds no dictionary of tensors'
        : `it holds several dictionaries of tensors, ${names.join(', ')}, and none is called ${WRAPPERS.join(', ')}`,
    );
  }
  const others = [...whole.keys()].filter((key) => key !== chosen).map(String);
  return {
    tensors: tensorsOf(new Map(inside).get(chosen)!),
    warnings: [diagnostic('ESP1282', { file, name: chosen, others })],
  };
}

const holdsTensors = (dict: Dict): boolean => [...dict.values()].some(isTensor);
const isStateDict = (value: unknown): value is Dict => value instanceof Map && holdsTensors(value);

/** Beside tensors a state dict may have what a module keeps of its own (`_extra_state`), which is no weight. */
function tensorsOf(dict: Dict): Map<string, TorchTensor> {
  const tensors = new Map<string, TorchTensor>();
  for (const [name, tensor] of dict) if (typeof name === 'string' && isTensor(tensor)) tensors.set(name, tensor);
  return tensors;
}
