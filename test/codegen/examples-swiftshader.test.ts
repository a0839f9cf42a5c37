/** The text of every variant of every kernel of the examples and of ViT-S/16 and ViT-B/16: valid WGSL, without a warning. */
import { expect, it } from 'vitest';
import { needs } from '../needs.js';
import { modelOf } from './kernel/group-kernels.js';
import { MODELS } from './kernel/models.js';
import { withDriver } from './suite.js';

await withDriver('swiftshader', (run) => {
  it('is valid', { timeout: 300_000 }, async (context) => {
    const { device } = run.open;
    needs(context, 'subgroups', device.features.has('subgroups' as GPUFeatureName));
    const texts = new Set<string>();
    for (const { spec, adapters, weights } of MODELS) {
      for (const text of (await modelOf(spec, adapters, weights)).texts) texts.add(text);
    }
    const found: string[] = [];
    for (const code of texts) {
      const { messages } = await device.createShaderModule({ code }).getCompilationInfo();
      found.push(...messages.map((m) => `${m.type}: ${m.message} in ${code.split('\n')[m.lineNum - 1]}`));
    }
    expect(found).toEqual([]);
    expect(texts.size).toBeGreaterThan(600);
  });
});
