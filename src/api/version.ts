/** The version that programs are stamped with; the package's own, checked by a test. */
export const version = '0.1.0';
