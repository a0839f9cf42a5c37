/** Digits in a terminal. */

/** Two images beside each other as half blocks: 28 columns by 14 lines each. */
export function draw(images: readonly ArrayLike<number>[], captions: readonly string[]): string {
  const shades = ' ░▒▓█';
  const lines: string[] = [];
  for (let y = 2; y < 26; y += 2) {
    lines.push(
      images
        .map((rgba) => {
          let row = '';
          for (let x = 2; x < 26; x++) {
            const level = (rgba[4 * (28 * y + x)]! + rgba[4 * (28 * (y + 1) + x)]!) / 2;
            row += shades[Math.min(4, Math.floor(level / 52))];
          }
          return row;
        })
        .join('  '),
    );
  }
  return `${lines.join('\n')}\n${captions.map((c) => c.padEnd(26)).join('')}`;
}
