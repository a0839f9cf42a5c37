/** Models by name: each once, and `train` and `deploy` for one of the file, each at most once. */
import { nearest } from '../../../diagnostics/suggest.js';
import type { ModelDecl, SettingsDecl, SourceFile } from '../../ast.js';
import type { Report } from '../report.js';

export function checkModels(file: SourceFile, report: Report): void {
  const models = new Map<string, ModelDecl>();
  for (const d of file.decls) {
    if (d.kind !== 'model') continue;
    const { name, span } = d.name;
    const before = models.get(name);
    if (before) {
      const secondary = [{ span: before.name.span, text: 'declared here' }];
      report.add('ESP0214', { name }, { primary: { span, text: 'declared again' }, secondary });
    } else models.set(name, d);
  }
  const seen = new Map<string, SettingsDecl>();
  for (const d of file.decls) {
    if (d.kind !== 'train' && d.kind !== 'deploy') continue;
    const { name, span } = d.model;
    if (!models.has(name) && !file.damage?.names.includes(name)) {
      const near = nearest(name, models.keys());
      const help = near ? [`Did you mean \`${near}\`?`] : [];
      report.add('ESP0238', { name }, { primary: { span, text: 'no such model' }, help });
    }
    const key = `${d.kind} ${name}`;
    const before = seen.get(key);
    if (before) {
      const secondary = [{ span: before.model.span, text: 'first' }];
      report.add('ESP0253', { block: d.kind, model: name }, { primary: { span, text: 'again' }, secondary });
    } else seen.set(key, d);
  }
}
