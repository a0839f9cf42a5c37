/** What each controller finds on landscapes that are formulas, what it takes for that, and going on with it from any candidate. */
import { describe, expect, it } from 'vitest';
import { EspalierError } from '../../src/diagnostics/types.js';
import { makeController, type SearchForm } from '../../src/search/index.js';
import { knee, landscape, searched, tables } from './landscape.js';

const { layers } = landscape(knee);
const make = (form: string, options: SearchForm['options'] = {}, seed = 1) =>
  makeController({ form, options }, { layers, networks: tables, seed });

const code = async (f: () => Promise<unknown>): Promise<string> => {
  try {
    await f();
  } catch (e) {
    if (e instanceof EspalierError) return e.diagnostics.map((d) => d.code).join();
    throw e;
  }
  return '';
};

describe('what is found', () => {
  it('a rate that is known, without a candidate', async () => {
    const env = landscape(knee);
    const { result } = await searched(env, make('fixed', { rate: 0.63 }), { budget: { steps: 0 } });
    expect(result).toMatchObject({ rates: [0.63], candidates: 0, steps: 0 });
    expect(env.asked).toEqual([]);
  });

  it('of some rates the largest that is similar enough, or the best score', async () => {
    const rates = [0.2, 0.6, 0.4, 0.52];
    const largest = await searched(landscape(knee), make('grid', { rates, threshold: 0.85 }));
    expect(largest.result).toMatchObject({ rates: [0.52], candidates: 4, steps: 12, images: 96, seconds: 2 });
    expect(largest.result!.lines.map((l) => l.accepted)).toEqual([true, false, true, true]);
    // 0.894 + 0.2 * 0.52 is less than 0.98 + 0.2 * 0.4.
    const score = await searched(landscape(knee), make('grid', { rates, threshold: 0.85, choose: 'score' }));
    expect(score.result).toMatchObject({ rates: [0.4] });
    expect(score.result!.lines[2]!.score).toBeCloseTo(1.06, 12);
  });

  it('by halving, the largest rate to within the tolerance', async () => {
    // 1 - 0.05 r - 4 (r - 0.5) = 0.9 at r = 2.1 / 4.05.
    const { result } = await searched(landscape(knee), make('bisection', { threshold: 0.9, tolerance: 0.005 }));
    const exact = 2.1 / 4.05;
    expect(result!.rates![0]).toBeLessThanOrEqual(exact);
    expect(result!.rates![0]).toBeGreaterThan(exact - 0.005);
    expect(result!.candidates).toBe(1 + Math.ceil(Math.log2(0.95 / 0.005)));
    const flat = await searched(
      landscape(() => 1),
      make('bisection', { to: 0.8 }),
    );
    expect(flat.result).toMatchObject({ rates: [0.8], candidates: 1 });
  });

  it('by an agent on a walk, the last rate that pays', async () => {
    const env = landscape(knee);
    const { result } = await searched(env, make('recoverability', { explore: 52 }));
    // 0.775 + 0.2 * 0.55 is below 0.9, 0.975 + 0.2 * 0.5 above.
    expect(result).toMatchObject({ rates: [0.5] });
    // Each of the 13 rates once, however often it came.
    expect(env.asked).toHaveLength(13);
    expect(result).toMatchObject({ candidates: 13, steps: 39 });
    const choosing = result!.lines.slice(52);
    expect(choosing.map((l) => [l.rates[0], l.action, l.accepted])).toEqual([
      ...[0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5].map((r) => [r, 'prune', true]),
      [0.55, 'retain', false],
    ]);
    expect(choosing.every((l) => l.again !== undefined && l.steps === 0 && l.epsilon === 0)).toBe(true);
    const first = result!.lines[0]!;
    expect(first).toMatchObject({ number: 1, epsilon: 1, similarity: 0.995, zeros: 500, elements: 5000 });
    expect(first.reward! * (first.action === 'prune' ? 1 : -1)).toBeCloseTo(0.995 - 0.9 + 0.2 * 0.1, 12);
  });

  it('by an agent on draws, one that pays', async () => {
    const options = { candidates: 'random', explore: 40, choose: 20, discount: 0 };
    const { result } = await searched(landscape(knee), make('recoverability', options));
    expect(result!.lines.length).toBeGreaterThan(40);
    expect(result!.lines.at(-1)).toMatchObject({ accepted: true, action: 'prune', rates: result!.rates });
    expect(knee(result!.rates!) + 0.2 * result!.rates![0]!).toBeGreaterThan(0.9);
  });

  it('a rate for each layer, all together what was asked for', async () => {
    // Only the middle layer can bear it.
    const bears = ([a, b, c]: readonly number[]) => 1 - 0.5 * a! - 0.1 * b! - 0.5 * c!;
    const options = { rate: 0.4, to: 0.8, episodes: 40, warmup: 10, threshold: 0.8 };
    const { result } = await searched(landscape(bears), make('amc', options));
    const [a, b, c] = result!.rates!;
    expect((1000 * a! + 3000 * b! + 1000 * c!) / 5000).toBeCloseTo(0.4, 9);
    for (const line of result!.lines) {
      for (const r of line.rates) expect(r).toBeGreaterThanOrEqual(-1e-12);
      for (const r of line.rates) expect(r).toBeLessThanOrEqual(0.8 + 1e-12);
    }
    // The best there is has 0, 2/3, 0: 0.933. Rates that are the same everywhere have 0.56.
    expect(bears(result!.rates!)).toBeGreaterThan(0.88);
    const mean = (some: readonly { similarity?: number }[]) =>
      some.reduce((sum, l) => sum + l.similarity!, 0) / some.length;
    expect(mean(result!.lines.slice(-10))).toBeGreaterThan(mean(result!.lines.slice(0, 10)));
  });
});

const FORMS: readonly (readonly [string, SearchForm['options']])[] = [
  ['grid', { rates: [0.2, 0.4, 0.6] }],
  ['bisection', { tolerance: 0.1 }],
  ['recoverability', { explore: 9, from: 0.3, step: 0.1, fit: 4 }],
  ['recoverability', { candidates: 'random', explore: 5, choose: 4, fit: 4 }],
  ['amc', { rate: 0.4, episodes: 6, warmup: 2 }],
];

describe('a search that is killed', () => {
  it.each(FORMS)('%s goes on to the same bits from any candidate: %o', async (form, options) => {
    const whole = await searched(landscape(knee), make(form, options));
    const { lines } = whole.result!;
    expect(lines.length).toBeGreaterThan(2);
    for (let at = 1; at < lines.length; at++) {
      const part = await searched(landscape(knee), make(form, options), { stopAfter: at });
      expect(part.result).toBeUndefined();
      const rest = await searched(landscape(knee), make(form, options), { saved: part.saved! });
      expect(rest.result).toEqual(whole.result);
      expect(rest.saved).toEqual(whole.saved);
    }
  });

  it('has other candidates with another seed, and the same with the same', async () => {
    const options = { candidates: 'random', explore: 3, choose: 2 };
    const rates = async (seed: number) =>
      (await searched(landscape(knee), make('recoverability', options, seed))).result!.lines.map((l) => l.rates);
    expect(await rates(1)).toEqual(await rates(1));
    expect(await rates(1)).not.toEqual(await rates(2));
  });

  it('refuses what another controller saved', async () => {
    const { saved } = await searched(landscape(knee), make('grid', { rates: [0.1, 0.2] }), { stopAfter: 1 });
    expect(await code(() => searched(landscape(knee), make('bisection'), { saved: saved! }))).toBe('ESP1123');
    expect(await code(() => searched(landscape(knee), make('amc', { rate: 0.4 }), { saved: saved! }))).toBe('ESP1123');
  });
});

describe('budgets', () => {
  const grid = () => make('grid', { rates: [0.1, 0.2, 0.3, 0.4] });

  it.each([
    ['candidates', { candidates: 2 }, 2],
    ['steps', { steps: 8 }, 2],
    ['seconds', { seconds: 1.9 }, 3],
  ])('%s end a search before the candidate that goes beyond', async (of, budget, count) => {
    let now = 0;
    const env = landscape(knee);
    const slow = {
      ...env,
      tryOut: async (...args: Parameters<typeof env.tryOut>) => {
        now += 0.5;
        return env.tryOut(...args);
      },
    };
    const { result } = await searched(slow, grid(), { budget, clock: () => now });
    expect(result).toMatchObject({ candidates: count, rates: [count / 10] });
    expect(result!.why).toContain(`the budget of ${Object.values(budget)[0]} ${of} is spent`);
  });

  it('count what was spent before a kill', async () => {
    const part = await searched(landscape(knee), grid(), { stopAfter: 2 });
    const rest = await searched(landscape(knee), grid(), { saved: part.saved!, budget: { candidates: 3 } });
    expect(rest.result).toMatchObject({ candidates: 3, rates: [0.3] });
  });

  it('of an agent that has not explored to the end: it learns from what there is', async () => {
    const options = { fallback: 'none', fit: 200 };
    const budget = { candidates: 8 };
    const { result } = await searched(landscape(knee), make('recoverability', options), { budget });
    // Of the eight rates that it saw all pay; that it prunes at each follows from what it learnt.
    expect(result!.rates).toEqual([0.45]);
    expect(result!.candidates).toBe(8);
    expect(result!.why).toContain('the budget of 8 candidates is spent');
  });

  it('that allow no candidate are refused', async () => {
    expect(await code(() => searched(landscape(knee), grid(), { budget: { steps: 2 } }))).toBe('ESP1120');
    expect(await code(() => searched(landscape(knee), grid(), { budget: { candidates: 0 } }))).toBe('ESP1120');
  });
});

describe('what goes wrong', () => {
  it.each(FORMS)('%s keeps the model as it is if no candidate is good enough: %o', async (form, options) => {
    const own = form === 'recoverability' ? { ...options, fallback: 'none' } : options;
    const { result, events } = await searched(
      landscape(() => 0.3),
      make(form, own),
    );
    expect(result!.rates).toBeUndefined();
    expect(result!.lines.some((l) => l.accepted)).toBe(false);
    const warnings = events.flatMap((e) => (e.kind === 'warning' ? [e.diagnostic] : []));
    expect(warnings.map((d) => d.code)).toEqual(['ESP1121']);
    expect(warnings[0]!.message).toMatch(/none of \d+ candidates was accepted, so the model stays as it is/);
  });

  it.each(FORMS)('%s reports candidates that fail, and ends: %o', async (form, options) => {
    const env = landscape(() => Number.NaN);
    const { result, events } = await searched(env, make(form, options));
    expect(result!.rates).toBeUndefined();
    const codes = events.flatMap((e) => (e.kind === 'warning' ? [e.diagnostic.code] : []));
    expect(codes.filter((c) => c === 'ESP1122')).toHaveLength(env.asked.length);
    expect(codes.at(-1)).toBe('ESP1121');
    expect(result!.lines[0]).toMatchObject({ accepted: false, problem: 'its similarity is NaN' });
  });

  it('one candidate that fails is none of the others', async () => {
    const env = landscape(knee);
    const some = {
      ...env,
      async tryOut(rates: readonly number[], signal: AbortSignal | undefined) {
        if (rates[0] === 0.4) throw new Error('the loss is not finite');
        return env.tryOut(rates, signal);
      },
    };
    const { result, events } = await searched(some, make('grid', { rates: [0.2, 0.4, 0.3] }));
    expect(result).toMatchObject({ rates: [0.3], candidates: 3 });
    expect(events.flatMap((e) => (e.kind === 'warning' ? [e.diagnostic.message] : []))).toEqual([
      'the candidate 40% failed: the loss is not finite',
    ]);
  });

  it('rates that are out of order are refused', async () => {
    expect(await code(async () => make('recoverability', { from: 0.7, to: 0.2 }))).toBe('ESP1124');
    expect(await code(async () => make('amc', { rate: 0.9 }))).toBe('ESP1124');
    expect(await code(async () => make('amc', { rate: 0.1, from: 0.2 }))).toBe('ESP1124');
    expect(() => make('luck')).toThrow('no search is called luck');
  });
});
