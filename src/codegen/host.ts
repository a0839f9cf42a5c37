/**
 * The typed host module of a compiled folder: `index.js` and `index.d.ts`, made with ts-morph. It knows the program's class names
 * and outputs as types, and needs only the runtime beside it. Node alone: a page that compiles uses the runtime directly.
 */
import { ModuleKind, Project, ScriptTarget, VariableDeclarationKind } from 'ts-morph';
import { entryNamed, PREPARE, type Program, type StorageType, type TensorSpec } from '../../runtime/program/program.js';

const ARRAYS: Record<StorageType, string> = {
  f32: 'Float32Array',
  // Sessions widen halves.
  f16: 'Float32Array',
  i32: 'Int32Array',
  u32: 'Uint32Array',
};

/** What the module is checked against; the real runtime is bundled JavaScript beside it. */
const RUNTIME_TYPES = `
export declare function load(source: unknown, options?: object): Promise<never>;
export declare function isSupported(): boolean;
`;

/** What a page may give as an image. A project without the DOM's types, or WebGPU's, has to be able to read the declarations all the same. */
const IMAGES =
  'ImageData ImageBitmap Blob HTMLImageElement HTMLCanvasElement OffscreenCanvas HTMLVideoElement VideoFrame'.split(
    ' ',
  );

/** The first axis counts images. */
const shapeText = ({ shape: [first = 1, ...rest] }: TensorSpec) =>
  `[${[first === 1 ? 'n' : `${first}n`, ...rest].join(', ')}]`;

/** Files of the module by name. */
export function hostModule(program: Program): { readonly 'index.js': string; readonly 'index.d.ts': string } {
  const project = new Project({
    useInMemoryFileSystem: true,
    skipLoadingLibFiles: true,
    compilerOptions: {
      target: ScriptTarget.ES2022,
      module: ModuleKind.ESNext,
      declaration: true,
      removeComments: false,
      noLib: true,
    },
  });
  project.createSourceFile('/runtime.d.ts', RUNTIME_TYPES);
  const file = project.createSourceFile('/index.ts');
  const entry = program.entries[0]!;
  const labelled = program.labels !== undefined;
  const names = ['program.json', ...program.files.map(({ name }) => name)];

  file.addStatements(
    `/** ${program.name}, compiled by Espalier ${program.compiler}. Needs WebGPU and nothing else. */`,
  );
  file.addImportDeclaration({
    moduleSpecifier: './runtime.js',
    namedImports: [
      { name: 'isSupported', alias: 'supported' },
      { name: 'load', alias: 'loadProgram' },
    ],
  });
  if (program.labels) {
    file.addVariableStatement({
      isExported: true,
      declarationKind: VariableDeclarationKind.Const,
      docs: ['The classes, in the order of the output.'],
      declarations: [{ name: 'labels', initializer: `${JSON.stringify(program.labels)} as const` }],
    });
    file.addTypeAlias({ isExported: true, name: 'Label', type: '(typeof labels)[number]' });
  }
  file.addInterface({
    isExported: true,
    name: 'RgbaImage',
    docs: ['A decoded image: four bytes a pixel, rows from the top.'],
    properties: [
      { name: 'data', type: 'Uint8Array | Uint8ClampedArray', isReadonly: true },
      { name: 'width', type: 'number', isReadonly: true },
      { name: 'height', type: 'number', isReadonly: true },
    ],
  });
  file.addTypeAlias({
    name: 'Global',
    typeParameters: [{ name: 'Name', constraint: 'string' }, 'Otherwise'],
    type: '(typeof globalThis) extends { readonly [name in Name]: { readonly prototype: infer T } } ? T : Otherwise',
    docs: ['A type of the page, where it is declared.'],
  });
  file.addTypeAlias({
    isExported: true,
    name: 'Image',
    type: ['RgbaImage', ...IMAGES.map((name) => `Global<'${name}', never>`)].join(' | '),
    docs: [
      'Files (Blob, <img>) give the pixels that they give in Node; what a page has drawn has to be opaque. Taken as it is when `run` is called.',
    ],
  });
  const tensors = `{ ${entry.inputs.map((i) => `readonly ${JSON.stringify(i.name)}: ${ARRAYS[i.dtype]}`).join('; ')} }`;
  if (labelled) {
    file.addInterface({
      isExported: true,
      name: 'Prediction',
      properties: [
        { name: 'label', type: 'Label', isReadonly: true },
        { name: 'index', type: 'number', isReadonly: true },
        { name: 'probability', type: 'number', isReadonly: true },
      ],
    });
  }
  file.addInterface({
    isExported: true,
    name: 'Result',
    properties: [
      {
        name: 'outputs',
        type: `{ ${entry.outputs.map((o) => `readonly ${JSON.stringify(o.name)}: ${ARRAYS[o.dtype]}`).join('; ')} }`,
        isReadonly: true,
        docs: [`Row-major: ${entry.outputs.map((o) => `${o.name} ${shapeText(o)}`).join(', ')}.`],
      },
      ...(labelled
        ? [
            {
              name: 'classes',
              type: 'readonly Prediction[]',
              isReadonly: true,
              docs: ['The five likeliest classes of the (first) image, best first.'],
            },
          ]
        : []),
    ],
  });
  file.addInterface({
    isExported: true,
    name: 'Session',
    methods: [
      ...(program.preprocess
        ? [
            {
              name: 'run',
              parameters: [{ name: 'input', type: '{ readonly image: Image }' }],
              returnType: 'Promise<Result>',
              docs: ['One image; it is resized, cropped and normalised on the GPU.'],
            },
            {
              name: 'run',
              parameters: [{ name: 'input', type: '{ readonly images: readonly Image[] }' }],
              returnType: 'Promise<Result[]>',
              docs: [`Any number of images, up to ${entry.samples} at a time.`],
            },
          ]
        : []),
      {
        name: 'run',
        parameters: [{ name: 'input', type: `{ readonly tensors: ${tensors} }` }],
        returnType: 'Promise<Result>',
        docs: [`Row-major: ${entry.inputs.map((i) => `${i.name} ${shapeText(i)}`).join(', ')}.`],
      },
      ...(entryNamed(program, PREPARE)
        ? [
            {
              name: 'replace',
              parameters: [
                {
                  name: 'parameters',
                  type: 'Readonly<Record<string, Float32Array | Int32Array | Uint32Array>> | Uint8Array',
                },
              ],
              returnType: 'Promise<void>',
              docs: [
                'Puts an adapter’s other numbers in place and merges again: whole tensors by parameter, or the bytes of a safetensors file of them.',
              ],
            },
            {
              name: 'read',
              parameters: [{ name: 'parameter', type: 'string' }],
              returnType: 'Promise<Float32Array | Int32Array | Uint32Array>',
              docs: ['A parameter that can be replaced, as it is.'],
            },
          ]
        : []),
      {
        name: 'warmup',
        returnType: 'Promise<void>',
        docs: ['Runs once, so that the first real run is as quick as the others.'],
      },
      { name: 'dispose', returnType: 'void', docs: ['Frees everything on the GPU.'] },
    ],
  });
  file.addInterface({
    isExported: true,
    name: 'LoadOptions',
    properties: [
      {
        name: 'device',
        type: "Global<'GPUDevice', object>",
        isReadonly: true,
        hasQuestionToken: true,
        docs: ['A device to share; otherwise one is requested.'],
      },
      {
        name: 'golden',
        type: 'boolean',
        isReadonly: true,
        hasQuestionToken: true,
        docs: ['Run the golden input at load (default: true).'],
      },
      {
        name: 'samples',
        type: 'number',
        isReadonly: true,
        hasQuestionToken: true,
        docs: [`The most items of one pass (default: ${entry.samples}): memory is made for the largest pass.`],
      },
      {
        name: 'from',
        type: 'string | { readonly href: string }',
        isReadonly: true,
        hasQuestionToken: true,
        docs: [
          'The folder with the program’s files, where a bundler moved this module and not them (default: beside it).',
        ],
      },
    ],
  });
  file.addFunction({
    isExported: true,
    name: 'load',
    parameters: [{ name: 'options', type: 'LoadOptions', initializer: '{}' }],
    returnType: 'Promise<Session>',
    docs: ['Loads the program. Its files lie beside this module, or where a bundler has put them.'],
    statements: [
      'if (options.from !== undefined) return loadProgram(options.from, options);',
      // Bundlers look for this very expression, with a literal in it, and take along the file that it names.
      `return loadProgram({ urls: { ${names.map((name) => `${JSON.stringify(name)}: new URL('./${name}', import.meta.url)`).join(',\n')} } }, options);`,
    ],
  });
  file.addFunction({
    isExported: true,
    name: 'isSupported',
    returnType: 'boolean',
    docs: ['Whether this page (or process) has WebGPU at all; `load` may still find no adapter.'],
    statements: ['return supported();'],
  });
  file.formatText();

  const files = new Map<string, string>();
  for (const output of project.emitToMemory({ targetSourceFile: file }).getFiles())
    files.set(output.filePath, output.text);
  return { 'index.js': files.get('/index.js')!, 'index.d.ts': files.get('/index.d.ts')! };
}
