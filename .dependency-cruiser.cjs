/** The layering of DESIGN: arrows point one way. Run by `npm run layers`. */
const only = (from, to) => ({
  name: `${from}-imports`,
  severity: 'error',
  comment: `${from} may import only: ${to.join(', ')}`,
  from: { path: `^${from}/` },
  to: { path: '^(src|runtime)/', pathNot: [from, ...to].map((p) => `^${p}/`) },
});

/** Rooms of one folder in a row: each may import the rooms before it, and of the rest of the folder only what `shared` names. */
const rooms = (folder, shared, row) =>
  row.map((room, i) => ({
    name: `${room}-in-${folder.split('/').at(-1)}`,
    severity: 'error',
    comment: `${folder}/${room} may import only: ${[...row.slice(0, i), ...shared].join(', ')}`,
    from: { path: `^${folder}/${room}/` },
    to: {
      path: `^${folder}/`,
      pathNot: [...row.slice(0, i + 1).map((r) => `^${folder}/${r}/`), ...shared.map((s) => `^${folder}/${s}$`)],
    },
  }));

/** What a page can have, and what of it is Node's all the same. */
const BROWSER =
  '^(src/(api|dsl|onnx|ir|passes|codegen|prune|formats|data|counting|segmentation|search|diagnostics)|runtime)/';
const NODE = '(/node/|^src/(codegen/host|api/index)\\.ts$)';

module.exports = {
  forbidden: [
    {
      name: 'no-cycles',
      severity: 'error',
      from: {},
      to: { circular: true },
    },
    only('src/ir', []),
    only('src/diagnostics', []),
    {
      name: 'runtime-imports',
      severity: 'error',
      comment: 'what runs in a page knows a program as data and nothing of the compiler',
      from: { path: '^runtime/' },
      to: { path: '^src/' },
    },
    // Programs are described by data types of the runtime; nothing else of it is seen below api, but what makes of a file the bits that a page has.
    ...['dsl', 'onnx', 'passes', 'codegen', 'formats', 'prune'].map((layer) => ({
      name: `${layer}-to-runtime`,
      severity: 'error',
      from: { path: `^src/${layer}/` },
      to: { path: '^runtime/', pathNot: '^runtime/(program/program|images/gif|images/colour/[a-z]+)\\.ts$' },
    })),
    only('src/dsl', ['src/ir', 'src/diagnostics', 'src/prune/types', 'runtime']),
    // A name is found, then worked out; built-ins and the tree of sites know how that is done, and not of each other.
    ...rooms('src/dsl/semantics', ['report\\.ts'], ['names', 'evaluate', 'builtins', 'sites', 'models']),
    {
      name: 'sites-and-builtins',
      severity: 'error',
      from: { path: '^src/dsl/semantics/sites/' },
      to: { path: '^src/dsl/semantics/builtins/' },
    },
    ...rooms('src/dsl/semantics/sites', ['(memo|walk)\\.ts'], ['modules', 'adapters', 'masks']),
    only('src/passes', ['src/ir', 'src/diagnostics', 'runtime']),
    only('src/codegen', ['src/ir', 'src/passes', 'src/diagnostics', 'runtime']),
    only('src/prune', ['src/ir', 'src/diagnostics', 'runtime']),
    only('src/formats', ['src/ir', 'src/diagnostics', 'runtime']),
    only('src/data', ['src/ir', 'src/formats', 'src/diagnostics', 'runtime']),
    only('src/counting', ['src/data', 'src/formats', 'src/diagnostics', 'runtime']),
    only('src/segmentation', ['runtime']),
    // What searches knows neither training nor specs: environments and networks are handed to it.
    only('src/search', ['src/data', 'src/ir', 'src/diagnostics', 'runtime']),
    only('src/onnx', ['src/dsl', 'src/formats', 'src/ir', 'src/diagnostics', 'runtime']),
    only('src/api', [
      'src/data',
      'src/counting',
      'src/segmentation',
      'src/search',
      'src/dsl',
      'src/onnx',
      'src/ir',
      'src/passes',
      'src/codegen',
      'src/prune',
      'src/formats',
      'src/diagnostics',
      'runtime',
    ]),
    {
      name: 'core-runs-in-a-browser',
      severity: 'error',
      comment:
        'a page never reaches a dynamic import of Node; files, processes and image decoding are behind src/formats/node, src/data/node, src/api/node, src/cli and runtime/node',
      from: { path: BROWSER, pathNot: NODE },
      to: { dependencyTypes: ['core'], dependencyTypesNot: ['type-import'], dynamic: false },
    },
    {
      name: 'core-leaves-node-alone',
      severity: 'error',
      comment: 'what a page bundles imports nothing of the folders called node, nor packages that only Node runs',
      from: { path: BROWSER, pathNot: NODE },
      to: {
        path: `(${NODE}|node_modules/(sharp|ts-morph|webgpu|csv-parse|commander|undici)/)`,
        dependencyTypesNot: ['type-import', 'type-only'],
      },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: { extensions: ['.ts', '.js'] },
  },
};
