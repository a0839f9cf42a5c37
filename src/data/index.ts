/** Data for training without files: all of it runs in a page. What reads files and starts threads is in node/. */
export {
  type ArrayOptions,
  datasetHash,
  datasetOfArrays,
  datasetOfImages,
  type Learnt,
  type PictureArray,
} from './arrays.js';
export { makeLoader } from './loader.js';
export { limited, withValidation } from './splits.js';
export type {
  Augment,
  Batch,
  BatchTargets,
  Dataset,
  Datasets,
  Loader,
  LoaderOptions,
  LoadReport,
  Pictures,
  Position,
  Raster,
  SkippedItem,
  Targets,
} from './types.js';
export { VTAB, type VtabGroup, type VtabMeans, vtabMeans, vtabTask, vtabText } from './vtab.js';
