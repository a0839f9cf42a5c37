/** Messages of what `torch.save` wrote. */
import { entry } from '../define.js';

export const TORCH_FILES = {
  ESP1280: entry<{ file: string; problem: string }>({
    title: 'A file of PyTorch that cannot be read',
    message: (a) => `${a.file} is not a state dict that can be read: ${a.problem}`,
    explain: `\`.bin\`, \`.pt\` and \`.pth\` files are read without running anything in them. What is read is what \`torch.save(model.state_dict(), path)\`
writes: a dictionary of tensors, at the top or below a name such as \`state_dict\`, \`model\` or \`model_ema\`.

    checkpoint.pth is not a state dict that can be read: it is a ZIP archive without its end: it was cut off

Download or write the file again; in PyTorch, \`torch.save({k: v.contiguous() for k, v in model.state_dict().items()}, path)\`.`,
  }),

  ESP1281: entry<{ file: string; name: string }>({
    title: 'A pickle that asks for more than tensors',
    message: (a) => `${a.file} asks Python for ${a.name}, and only tensors are read from such a file`,
    help: () => [
      'If you trust the file, take its tensors out of it in Python: `torch.save(model.state_dict(), "weights.pth")`, or `safetensors.torch.save_file`.',
    ],
    explain: `Files of \`torch.save\` are pickles: programs, which may name any function of Python and call it. Espalier runs none of that. Its reader
knows tensors, parameters, storages and dictionaries; a file that names anything else is refused at that name, before anything is done with it.

    torch.save(model, "model.pth")                            // asks for the class of the model
    torch.save({"model": ..., "args": args}, "model.pth")     // asks for argparse.Namespace
    torch.save(model.state_dict(), "model.pth")               // is read

A name like \`os.system\` or \`builtins.eval\` means that somebody wants to run code on your machine: delete the file.`,
  }),

  ESP1282: entry<{ file: string; name: string; others: readonly string[] }>({
    title: 'A state dict below a name',
    severity: 'note',
    message: (a) =>
      `${a.file}: the weights are those below \`${a.name}\`${a.others.length > 0 ? `; ${a.others.slice(0, 8).join(', ')}${a.others.length > 8 ? ` and ${a.others.length - 8} more are` : a.others.length > 1 ? ' are' : ' is'} not read` : ''}`,
    explain: `Training scripts save a state dict beside epochs and optimisers: \`{"model": ..., "optimizer": ..., "epoch": 299}\`. Averaged weights
(\`model_ema\`, \`state_dict_ema\`) are taken where there are any, as timm takes them, then \`state_dict\`, \`model_state_dict\` and \`model\`.`,
  }),

  ESP1283: entry<{ file: string; prefix: string }>({
    title: 'A prefix of all tensors',
    severity: 'note',
    message: (a) =>
      `${a.file}: the names of its tensors are read without \`${a.prefix}\`, which stands in front of each`,
    explain: `A model that was wrapped when it was saved has the wrapper's name in front of each tensor: \`module.\` is that of
\`DataParallel\`, \`_orig_mod.\` that of \`torch.compile\`, \`model.\` that of many training scripts. It is left out where all tensors have it and the model wants
the names without.`,
  }),
};
