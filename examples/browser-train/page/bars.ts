/** Probabilities of the classes as bars: in gray those of the model before it was tuned, in blue those of the tuned one. */

/** Draws them in place of what is there. `before` and `after` have one for each class. */
export function drawBars(
  place: HTMLElement,
  classes: readonly string[],
  before: readonly number[],
  after: readonly number[] | undefined,
): void {
  const shown = after ?? before;
  const top = shown.indexOf(Math.max(...shown));
  place.replaceChildren(
    ...classes.map((name, i) => {
      const row = document.createElement('div');
      row.className = after && i === top ? 'bar top' : 'bar';
      const label = document.createElement('span');
      label.textContent = name;
      const track = document.createElement('div');
      track.className = 'track';
      track.append(meter(`${name}, before`, before[i]!), meter(`${name}, after`, after?.[i]));
      const figure = document.createElement('output');
      figure.textContent = `${(100 * shown[i]!).toFixed(1)}%`;
      row.append(label, track, figure);
      return row;
    }),
  );
}

function meter(label: string, share: number | undefined): HTMLElement {
  const bar = document.createElement('i');
  bar.setAttribute('role', 'meter');
  bar.setAttribute('aria-label', label);
  bar.setAttribute('aria-valuemin', '0');
  bar.setAttribute('aria-valuemax', '1');
  bar.setAttribute('aria-valuenow', String(share ?? 0));
  bar.style.setProperty('--share', String(share ?? 0));
  return bar;
}
