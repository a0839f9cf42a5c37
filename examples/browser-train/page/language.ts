/** Before uPlot, which asks Intl for the browser's language when it is imported: a Chromium in the C locale has one (`en-US@posix`) that Intl refuses. */
try {
  new Intl.NumberFormat(navigator.language);
} catch {
  Object.defineProperty(navigator, 'language', { value: 'en-US' });
}
