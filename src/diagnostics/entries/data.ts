/** Messages ESP10xx: data sets, their splits and labels, and how batches are made of them. */
import { entry } from './define.js';

const few = (list: readonly string[], most = 5): string =>
  `${list.slice(0, most).join(', ')}${list.length > most ? `, ... (${list.length} in all)` : ''}`;

const percent = (share: number): string => `${Number((100 * share).toFixed(2))}%`;

const outsideText = (a: {
  readonly left: number;
  readonly all: number;
  readonly pictures: readonly { readonly id: string; readonly count: number }[];
}): string =>
  `${a.left} of ${a.all} points lie outside of their picture (${few(a.pictures.map(({ id, count }) => `${id}: ${count}`))})`;

export const DATA = {
  ESP1001: entry<{ path: string; found: string }>({
    title: 'Not data that Espalier reads',
    message: (a) => `${a.path} is no data set that Espalier reads: ${a.found}`,
    help: () => [
      'Give a folder with a folder for each class, or with train, val and test folders of them; a .csv; a folder with metadata.csv, with IDX files, or with lists of files; or a .safetensors.',
    ],
    explain: `What data is is found by looking at it:

    flowers/rose/1.jpg                     a folder for each class
    flowers/train/rose/1.jpg               the same in train, val and test
    flowers.csv, flowers/train.csv         lines of paths and labels, with a header
    flowers/metadata.csv                   Hugging Face's imagefolder: file_name and a label
    train-images-idx3-ubyte(.gz)           MNIST's files, with train-labels-idx1-ubyte beside
    digits.safetensors                     tensors \`images\` and \`labels\`
    cifar/train800.txt, test.txt           VTAB-1k: lines of \`path label\`
    cub/train.json, val.json, test.json    FGVC: labels by path
    pets/annotations/train_meta.list       lists of few-shot splits

Where several fit, or the files are called otherwise, say which with \`format\` and name them.`,
  }),

  ESP1002: entry<{ name: string; label: string }>({
    title: 'Only one class',
    message: (a) => `all items of ${a.name} are of one class, ${a.label}: there is nothing to tell apart`,
    help: () => ['Check that the folder is the one that holds the folders of the classes, or the column of labels.'],
    explain: `A classifier learns to tell classes apart, so its data needs at least two of them. A path that leads one folder too deep or too high is the
commonest cause:

    data/train/cat/1.jpg      // \`data\` has the folder \`train\`; \`data/train\` has the classes`,
  }),

  ESP1003: entry<{ name: string; absent: readonly string[] }>({
    title: 'A class without items',
    severity: 'warning',
    message: (a) =>
      `${a.name} has nothing to train on of ${a.absent.length === 1 ? 'the class' : 'the classes'} ${few(a.absent)}`,
    explain: `The head has classes, or other splits have labels, of which the training split has no item. The model will hardly ever predict them.`,
  }),

  ESP1005: entry<{ size: number; name: string; items: number }>({
    title: 'A batch is larger than the data',
    message: (a) => `a batch of ${a.size} is larger than ${a.name}, which has ${a.items} items`,
    help: (a) => [`Give a batch of at most ${a.items}.`],
    explain: `No batch could be full: with \`dropLast\` an epoch would have none, without it each step would see all of the data. Usually the path leads to
a part of the data, or a limit on its items is too low.`,
  }),

  ESP1006: entry<{ file: string; problem: string }>({
    title: 'Arrays that are no data set',
    message: (a) => `${a.file}: ${a.problem}`,
    explain: `Pictures in arrays are U8 or F32, [n, height, width] or [n, channels, height, width] with 1 or 3 channels; labels are whole numbers [n]; yes and no
of each class, [n, classes] of U8 or BOOL; or numbers to be learnt, F32 [n] or [n, width]. There are as many of one as of the other.

U8 is pixels, which are preprocessed as files are. F32 is what the model takes, as it is.`,
  }),

  ESP1007: entry<{
    name: string;
    size: number;
    share: number;
    items: readonly { readonly id: string; readonly why: string }[];
  }>({
    title: 'Too many items cannot be read',
    message: (a) =>
      `${a.items.length} of the ${a.size} items of ${a.name} cannot be read, more than the ${percent(a.share)} allowed:${a.items
        .slice(0, 12)
        .map(({ id, why }) => `\n    ${id}: ${why}`)
        .join('')}${a.items.length > 12 ? `\n    ... and ${a.items.length - 12} more` : ''}`,
    help: () => ['Put the files in order, or allow a larger share: `corrupt = 20%`.'],
    explain: `A picture that cannot be read is named, and left out of its batch. A few do no harm; where it is many, something else is wrong (a download that broke
off, a disk that is not there), and what is trained on is no longer the data that was meant.`,
  }),

  ESP1008: entry<{ file: string; problem: string }>({
    title: 'A line of a list cannot be used',
    message: (a) => `${a.file}: ${a.problem}`,
    explain: `Each line names a picture and its label:

    file,label              rose/1.jpg 0
    rose/1.jpg,rose         rose/2.jpg 0
    lily/7.jpg,lily         lily/7.jpg 1

A line without a label is no item: it is refused, not passed over, since its label may be in a column that another line lacks.`,
  }),

  ESP1009: entry<{ option: string; value: string; allowed: string }>({
    title: 'An option of the data is out of range',
    message: (a) => `\`${a.option}\` of the data cannot be ${a.value}`,
    help: (a) => [`It is ${a.allowed}.`],
    explain: `How batches are made (their size, the seed, augmentation, how much is kept in memory) is said with options, each of which has a range.`,
  }),

  ESP1010: entry<{ what: string; name: string; kind: string }>({
    title: 'Items have no single class',
    message: (a) =>
      `${a.what} takes items of one class each, and those of ${a.name} have ${a.kind === 'classes' ? 'several labels' : a.kind}`,
    help: () => ['Leave it out, or take the items in shuffled order.'],
    explain: `Balanced sampling takes of each class as many items as of any other. An item with several labels is of several classes, and one with numbers or points of none.`,
  }),

  ESP1011: entry<{ name: string; why: string }>({
    title: 'The data cannot be divided so',
    message: (a) => `${a.name} cannot be divided: ${a.why}`,
    explain: `A validation split takes a share of the items of each class out of the training split, at random by the seed; a limit keeps some of each class. Of a class
with a single item none can be spared.`,
  }),

  ESP1012: entry<{ name: string; id: string; splits: readonly string[] }>({
    title: 'A picture in two splits',
    message: (a) => `${a.name}: ${a.id} is in ${a.splits.join(' and in ')}`,
    help: () => ['Take it out of one of them.'],
    explain: `Figures on pictures that were trained on say nothing about others. Of VTAB-1k, \`train800val200.txt\` holds what \`val200.txt\` does: trained on all
1000, there is no validation split.`,
  }),

  ESP1013: entry<{ file: string; column: string; columns: readonly string[] }>({
    title: 'A column is missing',
    message: (a) => `${a.file} has no column ${a.column}`,
    help: (a) => [`Its columns are: ${few(a.columns, 20)}.`],
    explain: `The first line of a .csv names its columns. Unless told, the paths are in \`file_name\`, \`file\`, \`path\`, \`image\` or \`filename\`, and the labels
in \`label\`, \`labels\` or \`class\`; \`split\`, where there is one, says train, val or test.`,
  }),

  ESP1014: entry<{ name: string; others: readonly string[] }>({
    title: 'Nothing to train on',
    message: (a) =>
      `${a.name} has no items to train on${a.others.length > 0 ? `, only a split ${a.others.join(' and ')}` : ''}`,
    explain: `The training split is empty: no file of a list, no picture in the folders of classes, or no line of \`split\` = train.`,
  }),

  ESP1020: entry<{ name: string; option: 'randAugment' | 'mixup' | 'cutmix' }>({
    title: 'Augmentation that points cannot follow',
    message: (a) =>
      a.option === 'randAugment'
        ? `\`rand_augment\` turns, shears and moves pictures, and the points of ${a.name} would stay where they are`
        : `\`${a.option}\` lays pictures over one another, and the points of ${a.name} belong to one picture each`,
    help: (a) => [
      a.option === 'randAugment'
        ? 'Write `rand_augment(colors: true)`: it then changes colors alone.'
        : 'Leave it out.',
    ],
    explain: `Where objects are counted, what is learnt is where they are. Points go with their picture through resizes, crops, \`cut\` and mirror images. Of
RandAugment's operations those that change colors alone can be had; a mixture of two pictures has no points of its own.

    augment = [cut, flip(50%), rand_augment(colors: true)]`,
  }),

  ESP1021: entry<{ name: string; points: boolean; gives: readonly number[] }>({
    title: 'Points and a model that gives no density',
    message: (a) =>
      a.points
        ? `${a.name} has points to be counted, and the first result of the model is [b, ${a.gives.join(', ')}], no density [b, 1, height, width]`
        : `the first result of the model is a density [b, ${a.gives.join(', ')}], and ${a.name} has no points to be counted`,
    help: (a) => [
      a.points
        ? 'Give the model a head that counts.'
        : 'Read the data as `points("./folder")`, or give the model another head.',
    ],
    explain: `Objects are counted by a density: a map of one number for each place, whose sum is how many there are. It is learnt from points, one for each
object. A model that tells classes apart, or gives numbers, learns from \`images\`.

    train Crowd { data = points("./crowd", sigma: 4, kernel: 15) ... }`,
  }),

  ESP1022: entry<{ name: string; items: number }>({
    title: 'Nothing to count',
    message: (a) => `no picture that is trained on has a point: ${a.name} has ${a.items} of them`,
    help: () => ['Check that the annotations are those of these pictures, and the names of their columns or fields.'],
    explain: `A picture without objects is as good as any other: its count is 0. If all of them are such, a model learns to say 0, and the annotations were probably
not found where they were looked for.`,
  }),

  ESP1023: entry<{ id: string; count: number; most: number }>({
    title: 'More points than a picture has objects',
    message: (a) => `${a.id} has ${a.count} points, and at most ${a.most} are taken`,
    help: () => ['Check that the points are objects, one each, not pixels of masks or outlines.'],
    explain: `The largest annotated crowds have some 25,000 people in a picture. Far more points are usually something else: every pixel of a mask, or the points of
outlines.`,
  }),

  ESP1024: entry<{ file: string; problem: string }>({
    title: 'Annotations that cannot be read',
    message: (a) => `${a.file}: ${a.problem}`,
    explain: `Points of pictures are read from these, and everything in a file has to be as it says:

    ShanghaiTech   ground-truth/GT_IMG_1.mat beside images/IMG_1.jpg: MATLAB 5 to 7 with image_info{1}.location, [n, 2]
    CARPK, PUCPR+  Annotations/NAME.txt beside Images/NAME.png: a line \`x1 y1 x2 y2 class\` for each box
    COCO           \`images\`, \`annotations\` with \`bbox\`: [x, y, width, height]; those with \`iscrowd\` are left out
    CSV            a header with \`image\`, \`x\`, \`y\` (and \`split\`); a line for each point, and for a picture without any one with x and y empty
    JSON           { "images": [{ "file": "a.jpg", "points": [[x, y]], "split": "train" }] }

Of a box the point is its centre. MATLAB counts pixels from 1: half a pixel is taken off. Points are in pixels from the top left corner of the picture; the centre of the first pixel is (0.5, 0.5).`,
  }),

  ESP1025: entry<{ name: string; missing: readonly string[] }>({
    title: 'Annotated pictures that are not there',
    message: (a) => `${a.name} has annotations of pictures that are not there: ${few(a.missing)}`,
    help: () => ['Paths are relative to the file that names them, or to the folder `images` beside it.'],
    explain: `What is known of a picture is of no use without it, and a path that is wrong once is usually wrong throughout. Take the lines out of pictures that were
left out on purpose.`,
  }),

  ESP1026: entry<{ name: string; left: number; all: number; pictures: readonly { id: string; count: number }[] }>({
    title: 'Points outside of their picture',
    severity: 'warning',
    message: (a) => `${a.name}: ${outsideText(a)}; they are left out, and not counted`,
    explain: `A point has to lie in its picture: from 0 to its width and its height, in pixels. One less than a pixel outside is moved onto the border, since
people click there; others are left out and named. More than a tenth of them is an error (ESP1027).`,
  }),

  ESP1027: entry<{
    name: string;
    left: number;
    all: number;
    pictures: readonly { id: string; count: number }[];
    share: number;
  }>({
    title: 'Too many points outside of their pictures',
    message: (a) => `${a.name}: ${outsideText(a)}, more than ${percent(a.share)} of them`,
    help: () => ['Check that the annotations are of these pictures, in pixels of their present size, x before y.'],
    explain: `A few points that lie outside of their picture are left out. Where they are many, the pictures were resized after they were annotated, x and y
changed places, or points are shares of the sides.`,
  }),

  ESP1028: entry<{ path: string; format: string | undefined; found: string }>({
    title: 'No points that Espalier reads',
    message: (a) =>
      `${a.path} holds no points that Espalier reads${a.format === undefined ? '' : ` in the format \`${a.format}\``}: ${a.found}`,
    help: () => [
      "Give a part of ShanghaiTech, a folder of CARPK or PUCPR+, one with COCO's annotations, or a .csv or .json of points.",
    ],
    explain: `What data is is found by looking at it:

    part_A/train_data/images, ground-truth     ShanghaiTech, with test_data beside
    CARPK/Images, Annotations, ImageSets       also PUCPR+, also in a folder \`data\`
    crowd/annotations/instances_train.json     COCO; also train/_annotations.coco.json
    crowd/train.json, val.json, test.json      points as JSON, or COCO
    crowd/points.json, crowd/points.csv        with a field or column \`split\`; also annotations.json, annotations.csv
    crowd/train/points.json                    in folders of splits

\`espalier explain ESP1024\` shows what is in these files.`,
  }),
};
