/** Runs something with little of the stack left, so that a recursion over a graph overflows at hundreds of levels, not tens of thousands. */

/** Share of the stack that is left to the work. */
const LEFT = 0.25;

function descend(levels: number, work: () => void): number {
  if (levels <= 0) {
    work();
    return 0;
  }
  return descend(levels - 1, work) + 1;
}

/** How many calls of `descend` the stack holds from here. */
function room(): number {
  let depth = 0;
  const fall = (): void => {
    depth++;
    descend(1, fall);
  };
  try {
    fall();
  } catch {
    // The stack is full: that is the answer.
  }
  return depth * 2;
}

export function withLittleStack(work: () => void): void {
  descend(Math.floor(room() * (1 - LEFT)), work);
}
