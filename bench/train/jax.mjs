/**
 * A step of fine-tuning a ViT by LoRA as one writes it in jax-js, for step.ts: loss, gradients and AdamW in one `jit`. In its own terms as its
 * documents advise: weights [in, out] as JAX's libraries keep them, `nn.dotProductAttention`, `nn.standardize`, `nn.gelu`; moments and weights stay on the GPU.
 *
 * jax-js frees an array when a function has taken it: what is used again is passed as `.ref`.
 */
const BETAS = [0.9, 0.999];
const EPS = 1e-8;

export async function openJax(gpu, request) {
  // It looks for a browser's: Node's own has no `gpu`.
  const { userAgent, platform } = globalThis.navigator ?? { userAgent: 'node', platform: process.platform };
  Object.defineProperty(globalThis, 'navigator', { value: { gpu, userAgent, platform }, configurable: true });
  iteratorHelpers();
  const jax = await import('@jax-js/jax');
  const { numpy: np, nn, tree } = jax;
  await jax.init('webgpu');
  jax.defaultDevice('webgpu');

  const arrayOf = ({ shape, data }) => np.array(data, { shape: [...shape] });
  const isMatrix = (name, { shape }) => name.endsWith('.weight') && shape.length === 2;
  const own = (name) => {
    const param = request.params.get(name);
    return isMatrix(name, param) && !request.trained.includes(name)
      ? arrayOf({ shape: [...param.shape].reverse(), data: transposed(param) })
      : arrayOf(param);
  };
  const frozenNames = [...request.params.keys()].filter((name) => !request.trained.includes(name));
  const all = (names, make) => Object.fromEntries(names.map((name) => [name, make(name)]));
  const frozen = all(frozenNames, own);
  let weights = all(request.trained, own);
  const zeros = () => all(request.trained, (name) => np.zeros([...request.params.get(name).shape]));
  let first = zeros();
  let second = zeros();
  const pixels = arrayOf(request.pixels);
  const target = arrayOf(request.target);

  const loss = (trained, fixed, images, wanted) =>
    crossEntropy(np, nn, forward({ np, nn }, request, { ...fixed, ...trained }, images), wanted);
  const step = jax.jit((trained, m, v, count, fixed, images, wanted) => {
    const [value, gradients] = jax.valueAndGrad(loss)(tree.ref(trained), fixed, images, wanted);
    const [next, m2, v2] = [{}, {}, {}];
    const correct = BETAS.map((beta) => np.subtract(1, np.exp(count.ref.mul(Math.log(beta)))));
    count.dispose();
    for (const name of request.trained) {
      const g = gradients[name];
      m2[name] = m[name].mul(BETAS[0]).add(g.ref.mul(1 - BETAS[0]));
      v2[name] = v[name].mul(BETAS[1]).add(g.ref.mul(g).mul(1 - BETAS[1]));
      const size = np.sqrt(v2[name].ref).div(np.sqrt(correct[1].ref)).add(EPS);
      const by = m2[name].ref.div(size).div(correct[0].ref).mul(request.adamw.lr);
      next[name] = trained[name].mul(1 - request.adamw.lr * request.adamw.decay).sub(by);
    }
    for (const c of correct) c.dispose();
    return [value, next, m2, v2];
  });

  let count = 0;
  return {
    device: jax.getWebGPUDevice(),
    async step() {
      count += 1;
      const made = step(weights, first, second, np.array(count), tree.ref(frozen), pixels.ref, target.ref);
      [weights, first, second] = made.slice(1);
      return (await made[0].data())[0];
    },
    async moments() {
      const found = new Map();
      for (const name of request.trained) found.set(name, new Float32Array(await first[name].ref.data()));
      return found;
    },
  };
}

/** What jax-js calls on iterators, and Node has from 22 on. */
function iteratorHelpers() {
  const iterator = Object.getPrototypeOf(Object.getPrototypeOf([][Symbol.iterator]()));
  const helpers = {
    *map(by) {
      for (const x of this) yield by(x);
    },
    *filter(by) {
      for (const x of this) if (by(x)) yield x;
    },
    toArray() {
      return [...this];
    },
  };
  for (const [name, value] of Object.entries(helpers))
    if (!(name in iterator)) Object.defineProperty(iterator, name, { value, configurable: true, writable: true });
}

/** [out, in] as [in, out]. */
function transposed({ shape: [rows, columns], data }) {
  const out = new Float32Array(data.length);
  for (let i = 0; i < rows; i++) for (let j = 0; j < columns; j++) out[j * rows + i] = data[i * columns + j];
  return out;
}

/** The mean over the batch. */
function crossEntropy(np, nn, logits, wanted) {
  const each = nn.logSoftmax(logits, -1).mul(wanted);
  return np.sum(each).div(-logits.shape[0]);
}

/** Logits [b, classes]. @param p Every parameter; each is used once, but for those that are asked for twice. */
function forward({ np, nn }, { depth, heads, trained }, p, images) {
  const [b, channels, size] = images.shape;
  const [dim, , patch] = p['base.patch_embed.weight'].shape;
  const grid = size / patch;
  const norm = (path, x) => nn.standardize(x, -1, { epsilon: 1e-6 }).mul(p[`${path}.weight`]).add(p[`${path}.bias`]);
  const linear = (path, x) => {
    const [A, B] = [p[`${path}@lora.A`], p[`${path}@lora.B`]];
    const y = np.matmul(A ? x.ref : x, p[`${path}.weight`]).add(p[`${path}.bias`]);
    // Of rank 8 with alpha 8: its scale is 1.
    return A ? y.add(np.matmul(np.matmul(x, A.transpose()), B.transpose())) : y;
  };
  // Patches as rows: a convolution whose stride is its kernel is one product.
  const patches = images
    .reshape([b, channels, grid, patch, grid, patch])
    .transpose([0, 2, 4, 1, 3, 5])
    .reshape([b, grid * grid, channels * patch * patch]);
  const kernel = p['base.patch_embed.weight'].reshape([dim, channels * patch * patch]).transpose();
  const embedded = np.matmul(patches, kernel).add(p['base.patch_embed.bias']);
  const cls = np.broadcastTo(p['base.cls_token'], [b, 1, dim]);
  let x = np.concatenate([cls, embedded], 1).add(p['base.pos_embed']);
  const tokens = 1 + grid * grid;
  for (let i = 0; i < depth; i++) {
    const block = `base.blocks.${i}`;
    const qkv = linear(`${block}.attn.qkv`, norm(`${block}.norm1`, x.ref)).reshape([b, tokens, 3, heads, dim / heads]);
    const [q, k, v] = [0, 1, 2].map((part) => (part < 2 ? qkv.ref : qkv).slice([], [], part));
    const attended = nn.dotProductAttention(q, k, v).reshape([b, tokens, dim]);
    x = x.add(linear(`${block}.attn.proj`, attended));
    const hidden = nn.gelu(linear(`${block}.mlp.fc1`, norm(`${block}.norm2`, x.ref)), { approximate: false });
    x = x.add(linear(`${block}.mlp.fc2`, hidden));
  }
  const token = norm('base.norm', x).slice([], 0);
  const head = p['head.fc.weight'];
  const weight = trained.includes('head.fc.weight') ? head.transpose() : head;
  return np.matmul(token, weight).add(p['head.fc.bias']);
}
