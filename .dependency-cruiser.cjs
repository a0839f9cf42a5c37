/** The layering of DESIGN: arrows point one way. Run by `npm run layers`. */
const only = (from, to) => ({
  name: `${from}-imports`,
  severity: 'error',
  comment: `${from} may import only: ${to.join(', ')}`,
  from: { path: `^${from}/` },
  to: { path: '^(src|runtime)/', pathNot: [from, ...to].map((p) => `^${p}/`) },
});

module.exports = {
  forbidden: [
    {
      name: 'no-cycles',
      severity: 'error',
      from: {},
      to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } },
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
    // Programs are described by data types of the runtime; nothing else of it is seen below api.
    ...['dsl', 'passes', 'codegen', 'formats', 'prune'].map((layer) => ({
      name: `${layer}-to-runtime`,
      severity: 'error',
      from: { path: `^src/${layer}/` },
      to: { path: '^runtime/', pathNot: '^runtime/program/program\\.ts$' },
    })),
    only('src/dsl', ['src/ir', 'src/diagnostics', 'src/prune/types', 'runtime']),
    only('src/passes', ['src/ir', 'src/diagnostics', 'runtime']),
    only('src/codegen', ['src/ir', 'src/passes', 'src/diagnostics', 'runtime']),
    only('src/prune', ['src/ir', 'src/diagnostics', 'runtime']),
    only('src/formats', ['src/ir', 'src/diagnostics', 'runtime']),
    only('src/api', [
      'src/dsl',
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
        'a page never reaches a dynamic import of Node; files, processes and image decoding are behind src/formats/node, src/api/node, src/cli and runtime/node',
      from: {
        path: '^(src/(dsl|ir|passes|codegen|prune|formats|diagnostics)|runtime)/',
        pathNot: '(/node/|^src/codegen/host\\.ts$)',
      },
      to: { dependencyTypes: ['core'], dependencyTypesNot: ['type-import'], dynamic: false },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: { extensions: ['.ts', '.js'] },
  },
};
