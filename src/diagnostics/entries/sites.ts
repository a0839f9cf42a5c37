/** Messages ESP033x to ESP038x: selectors, adapters on sites, pruning statements, sites that are read. */
import { entry } from './define.js';

export const SITES = {
  ESP0330: entry<{ selector: string }>({
    title: 'A selector matches nothing',
    message: (a) => `\`${a.selector}\` matches nothing`,
    explain: `A selector names sites: \`base.blocks[*].attn.qkv\`, \`blocks[0..6].{attn.*, mlp.fc1}\`, \`**.fc1\`. Ranges are half open. Inside of
\`in base.blocks[*] { ... }\` selectors begin at each block. In a \`tune\` the last name may be a parameter's: \`tune base.cls_token, base.**.bias\`.

    adapt base.blocks[*].attn.qvk with lora(rank: 4)       // qkv

\`espalier inspect\` prints the tree with all sites.`,
  }),
  ESP0331: entry<{ adapter: string; wants: string; site: string; is: string }>({
    title: 'The adapter does not fit the site',
    message: (a) => `\`${a.adapter}\` goes on ${a.wants}, and ${a.site} is ${a.is}`,
    explain: `An adapter says after \`on base:\` what it replaces: \`Linear(in -> out)\` takes linear layers and their row parts, \`Layer(in -> out)\` any
layer, \`(x: [b, n, dim])\` anything that takes such a tensor. Wildcards leave out what does not fit; a site that is named must fit.`,
  }),
  ESP0332: entry<{ site: string; why: string }>({
    title: 'No merged weight',
    message: (a) => `${a.site} has no merged weight here: ${a.why}`,
    explain: `\`base.weight\` of an adapter that sits on another one is the inner adapter's merged weight. Where the inner one is no affine map (there is a
non-linear operator in it, or the sequence gets longer), no such weight exists, and the outer adapter may only call \`base(x)\`. Put the
adapter that needs the weight first: adapters nest in statement order, the first innermost.`,
  }),
  ESP0333: entry<{ site: string; what: string }>({
    title: 'The base has no weight',
    message: (a) => `${a.site} has no ${a.what}: it is not one layer`,
    explain: `\`base.weight\`, \`base.bias\` and \`base(x, weight: V)\` exist where the adapter sits on a layer with a weight, not on a block or a labelled
stretch. Declare the adapter \`on base: Linear(in -> out)\`.`,
  }),
  ESP0334: entry<{ adapter: string; expected: string; found: string; site: string }>({
    title: 'The adapter changes the shape',
    message: (a) => `\`${a.adapter}\` turns the result of ${a.site} from ${a.expected} into ${a.found}`,
    explain: `An adapter replaces a site, so its result must have the shape and the element type that the site's result has.

    forward(x) { concat(base(x), x, axis: 1) }`,
  }),
  ESP0335: entry<{ param: string; first: string; second: string; site: string }>({
    title: 'A shared parameter has two shapes',
    message: (a) => `the shared parameter \`${a.param}\` is ${a.first}, and ${a.site} would need ${a.second}`,
    explain: `A \`shared param\` exists once for all sites of one \`adapt\` statement, so its shape must be the same at each. Use one statement for the sites
of each shape.`,
  }),
  ESP0336: entry<{ site: string; what: string }>({
    title: 'The site is never used',
    message: (a) => `${a.what} ${a.site}, which the model never calls`,
    explain: `The selector finds a module that no \`forward\` calls on the way from the input to the result, so the statement would do nothing.`,
  }),
  ESP0340: entry<{ site: string; is: string }>({
    title: 'Nothing to prune',
    message: (a) => `${a.site} is ${a.is}, which has no weight to prune`,
    explain: `\`prune\` takes layers with a weight matrix: Linear and Conv2d. Name the layers, for example \`prune mlp.fc1, mlp.fc2 with ...\`.`,
  }),
  ESP0341: entry<{ site: string; whole: string }>({
    title: 'A row part cannot be pruned alone',
    message: (a) => `${a.site} is a row part; prune ${a.whole} as a whole`,
    explain: `A mask belongs to a whole weight tensor. Name the fused layer instead of its part.`,
  }),
  ESP0342: entry<{ site: string }>({
    title: 'Pruned twice',
    message: (a) => `${a.site} is pruned by two statements`,
    explain: `Each weight has at most one mask. Keep one of the statements, or narrow the selectors.`,
  }),
  ESP0343: entry<{ criterion: string; needs: string }>({
    title: 'A criterion asks for what there is not',
    message: (a) => `\`${a.criterion}\` asks for \`${a.needs}\`, which nothing gives`,
    help: () => [
      'A criterion may ask for the weight, by any name, and then for `input`: what the layer reads, [tokens, in].',
    ],
    explain: `A criterion scores a weight by the weight itself, its first parameter, and by what the layer reads over calibration images, which is
called \`input\`: a matrix with a row for each token (or place of a picture) and a column for each input channel of the layer. There is nothing else that
it can ask for; gradients need labels and a loss, which \`prune\` does not have.

    criterion magnitude(weight) = abs(weight)
    criterion wanda(weight: [out, in], input) = abs(weight) * norm(input, axis: 0)

A mask that was found elsewhere can be given with \`from "./mask.safetensors"\`, whatever found it.`,
  }),
  ESP0344: entry<{ criterion: string; expected: string; found: string }>({
    title: 'A score for each weight',
    message: (a) => `\`${a.criterion}\` gives scores of shape ${a.found} for a weight of shape ${a.expected}`,
    explain: `A criterion gives each weight a score, so its result has the weight's shape.`,
  }),
  ESP0345: entry<{ what: string; size: number; by: number; site: string }>({
    title: 'The pattern does not divide the weight',
    message: (a) => `${a.what} ${a.by} does not divide ${a.size} of ${a.site}`,
    explain: `Blocks cover a weight without a rest, and N:M patterns cover its input axis without a rest.

    prune mlp.fc1 with magnitude(shape: 2:5)          // 768 inputs are no multiple of 5`,
  }),
  ESP0346: entry<{ why: string }>({
    title: 'How much to prune',
    message: (a) => a.why,
    explain: `\`sparsity\` is the share of weights that become zero; an N:M pattern fixes that share itself, and \`by\` searches for it while the
model is trained. Give exactly one of them.

    magnitude(sparsity: 50%)
    magnitude(shape: 2:4)                             // half of the weights
    magnitude(scope: global) by bisection(threshold: 0.9)`,
  }),
  ESP0347: entry<{ ratio: string; why: string }>({
    title: 'N:M pattern out of range',
    message: (a) => `\`${a.ratio}\`: ${a.why}`,
    explain: `N:M keeps N of every M consecutive weights along the input axis, 1 <= N < M.`,
  }),
  ESP0348: entry<{ site: string; is: string }>({
    title: 'Nothing to tune',
    message: (a) => `${a.site} is ${a.is}, which owns no parameters`,
    help: () => ['Tune the module or layer that owns them.'],
    explain: `\`tune\` trains the parameters that a module owns. A labelled stretch and the parts of a fused layer own none: they
are names for what other modules own.

    tune base.blocks[*].mlp             // not base.blocks[*].mlp_branch
    tune base.blocks[*].attn.qkv        // not base.blocks[*].attn.qkv.q`,
  }),
  ESP0349: entry<{ why: string }>({
    title: 'What a criterion is calibrated with',
    message: (a) => a.why,
    explain: `A criterion that asks for \`input\` looks at what each layer reads while the unpruned model sees some images. \`calibration\` names a folder of them,
relative to the spec, with or without folders in it; \`images\` is how many are taken at most, spread evenly over the folder (default: 32).

    prune base.blocks[*].mlp.fc1 with wanda(sparsity: 50%, scope: row, calibration: "./images", images: 64)

Labels are not needed. A criterion that asks for the weight alone has no use for images, and a statement with a mask file (\`from\`) has its mask.`,
  }),
  ESP0350: entry<{ criterion: string; op: string; why: 'rows' | 'again' }>({
    title: 'A criterion that cannot be gathered image by image',
    message: (a) =>
      a.why === 'rows'
        ? `\`${a.criterion}\` takes ${a.op} over all tokens of \`input\`, which cannot be gathered image by image`
        : `\`${a.criterion}\` goes through \`input\` a second time: this ${a.op} needs what was gathered of all tokens`,
    help: () => ['Over tokens, take sums, means, norms, the largest or the smallest, or input.T @ input.'],
    explain: `What a layer reads over all calibration images is more than fits into memory, so a criterion's formula is split: what it takes over the rows
of \`input\` (its tokens) is gathered image by image, and the rest is computed at the end. Sums, means, norms, largest and smallest elements over rows
(\`axis: 0\`, or all axes) and products of rows with rows can be gathered; an order of rows cannot, nor what needs such a result before it looks at
the rows again.

    criterion spread(weight: [out, in], input) = abs(weight) * norm(input - mean(input, axis: 0), axis: 0)      // twice through the rows

The same from what can be gathered in one go:

    criterion spread(weight: [out, in], input) =
      abs(weight) * sqrt(mean(input * input, axis: 0) - mean(input, axis: 0) * mean(input, axis: 0))`,
  }),
  ESP0380: entry<{ site: string; of: string }>({
    title: 'A site that is read is not called',
    message: (a) => `${a.site} cannot be read: a call of ${a.of} does not call it`,
    explain: `\`tapped(base, x, [base.blocks[5]])\` calls \`base\` with \`x\` and gives what the sites gave in that call. So each has to be a module, a layer or a
labelled stretch that the \`forward\` of \`base\` calls, directly or inside of others. What only holds other modules is not called, nor is what lies
outside.

    tapped(base, pixels, [head.fc])       // base does not call head.fc

\`espalier inspect\` prints the tree with all sites.`,
  }),
  ESP0381: entry<{ site: string; of: string; times: number }>({
    title: 'A site that is read is called several times',
    message: (a) => `${a.site} cannot be read: a call of ${a.of} calls it ${a.times} times`,
    explain: `\`tapped(base, x, [base.blocks[5]])\` gives one result of each site, and this one is called with several tensors: it is shared, or an adapter on what is
around it calls it again. Read what calls it, or what comes after.

    backbone twice(dim: int) {
      fc = Linear(dim -> dim)
      forward(x: [b, dim]) { fc(fc(x)) }   // tapped(base, x, [base.fc]): which of both?
    }`,
  }),

  ESP1294: entry<{ pattern: string; others: readonly string[] }>({
    title: 'A pattern of `ignore` that waives nothing',
    severity: 'warning',
    message: (a) =>
      a.others.length > 0
        ? `\`ignore "${a.pattern}"\` waives nothing: what it matches is read or passed over anyhow, such as ${a.others[0]}`
        : `\`ignore "${a.pattern}"\` matches no tensor of the files that the model names`,
    explain: `A file may hold tensors that the model has no use for. Each is an error (ESP0510), since what is not read may be what was meant; one that
nobody wants is waived by its name, in which \`*\` stands for any characters:

    model M {
      base = vit_auto() from "./vit"
      ignore "mask_token", "decoder.*"
    }

Names are those of the file. Of an adapter folder of \`peft\` they are also its modules, so that the half of an adapter that is on another encoder can be left
out. What the model takes is read whatever \`ignore\` says. \`merge\` copies what is waived as it stands.`,
  }),
};
