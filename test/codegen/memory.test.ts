import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { planMemory, type Tenant, TensorTooLarge } from '../../src/passes/memory.js';
import { describeMemory } from './plan-text.js';

const tenant = fc
  .record({ bytes: fc.integer({ min: 1, max: 5000 }), first: fc.nat(30), span: fc.nat(10) })
  .map(({ bytes, first, span }): Tenant => ({ name: 't', shape: [bytes], bytes, first, last: first + span }));

describe('memory plan', () => {
  it('never puts two tensors that live at the same time in one place', () => {
    fc.assert(
      fc.property(fc.array(tenant, { maxLength: 40 }), fc.constantFrom(5120, 8192, 1 << 20), (tenants, maxSlab) => {
        const plan = planMemory(tenants, { maxSlab, alignment: 256 });
        expect(plan.tenants.length).toBe(tenants.length);
        plan.tenants.forEach((a, i) => {
          expect(a).toMatchObject(tenants[i]!);
          expect(a.offset % 256).toBe(0);
          expect(a.offset + a.bytes).toBeLessThanOrEqual(plan.slabs[a.slab]!);
          for (const b of plan.tenants.slice(0, i)) {
            const together = a.first <= b.last && b.first <= a.last;
            const overlap = a.slab === b.slab && a.offset < b.offset + b.bytes && b.offset < a.offset + a.bytes;
            expect(together && overlap).toBe(false);
          }
        });
        for (const bytes of plan.slabs) expect(bytes).toBeLessThanOrEqual(maxSlab);
      }),
      { numRuns: 300 },
    );
  });

  it('reuses the place of what is dead', () => {
    const chain = Array.from(
      { length: 10 },
      (_, i): Tenant => ({ name: `${i}`, shape: [256], bytes: 1024, first: i, last: i + 1 }),
    );
    const plan = planMemory(chain, { maxSlab: 1 << 20, alignment: 256 });
    expect(plan.slabs).toEqual([2048]);
    expect(plan.live).toBe(2048);
  });

  it('lets a tensor lie where one before it lay, and nothing else there meanwhile', () => {
    const draw = fc.tuple(fc.array(tenant, { maxLength: 25 }), fc.array(fc.nat(), { maxLength: 25 }));
    fc.assert(
      fc.property(draw, ([given, picks]) => {
        const tenants: Tenant[] = [...given];
        const taken = new Set<Tenant>();
        for (const pick of picks) {
          const before = tenants[pick % Math.max(1, tenants.length)];
          if (!before || taken.has(before)) continue;
          taken.add(before);
          tenants.push({ ...before, over: before, first: before.last, last: before.last + (pick % 7) });
        }
        const plan = planMemory(tenants, { maxSlab: 1 << 20, alignment: 256 });
        /** What lies in one place, one over the other. */
        const stay = (t: Tenant): Tenant => (t.over ? stay(t.over) : t);
        plan.tenants.forEach((a, i) => {
          const before = a.over && plan.tenants[tenants.indexOf(a.over)]!;
          if (before) expect([a.slab, a.offset]).toEqual([before.slab, before.offset]);
          for (const b of plan.tenants.slice(0, i)) {
            if (stay(tenants[i]!) === stay(tenants[plan.tenants.indexOf(b)]!)) continue;
            const together = a.first <= b.last && b.first <= a.last;
            const overlap = a.slab === b.slab && a.offset < b.offset + b.bytes && b.offset < a.offset + a.bytes;
            expect(together && overlap).toBe(false);
          }
        });
        expect(plan.live).toBeLessThanOrEqual(plan.slabs.reduce((x, y) => x + y, 0));
      }),
      { numRuns: 200 },
    );
  });

  it('opens another slab where one is full, and refuses what no slab holds', () => {
    const two: Tenant[] = [0, 1].map((i) => ({ name: `${i}`, shape: [200], bytes: 800, first: 0, last: 1 }));
    expect(planMemory(two, { maxSlab: 1024, alignment: 256 }).slabs.length).toBe(2);
    expect(() => planMemory(two, { maxSlab: 512, alignment: 256 })).toThrow(TensorTooLarge);
  });

  it('prints as a table', () => {
    const plan = planMemory(
      [
        { name: 'base.norm (layer_norm)', shape: [2, 8], bytes: 64, first: 0, last: 1 },
        { name: 'head.fc (linear)', shape: [2, 1000], bytes: 8000, first: 1, last: 2 },
      ],
      { maxSlab: 1 << 20, alignment: 256 },
    );
    expect(describeMemory(plan)).toBe(`tensor                  shape      bytes  dispatches  slab:offset
base.norm (layer_norm)  [2, 8]        64  0..1        0:8192
head.fc (linear)        [2, 1000]   8000  1..2        0:0
1 slabs, 8448 bytes; 8064 bytes alive at most`);
  });
});
