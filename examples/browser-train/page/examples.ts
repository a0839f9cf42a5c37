/** What the model is to learn: classes, the one that is chosen, and the examples of each; shown as a row of small pictures for each class. */
import type { Example, Picture } from './messages.js';
import { thumbnail } from './pad.js';

export class Examples {
  private readonly classes: string[] = [];
  private readonly list: Example[] = [];
  private chosen = '';

  /** `changed` is called after a class was chosen or added, with whether examples were added or taken away. */
  constructor(
    private readonly choices: HTMLElement,
    private readonly rows: HTMLElement,
    private readonly changed: (examples: boolean) => void,
  ) {}

  /** All of them, in the order of their classes. */
  get all(): readonly Example[] {
    return this.used.flatMap((name) => this.of(name));
  }

  /** Classes that have examples: the model learns these. */
  get used(): readonly string[] {
    return this.classes.filter((name) => this.of(name).length > 0);
  }

  get selected(): string {
    return this.chosen;
  }

  /** A class that is there already is chosen. */
  addClass(name: string): void {
    if (!this.classes.includes(name)) this.classes.push(name);
    this.chosen = name;
    this.draw(false);
  }

  add(pictures: readonly Picture[], label = this.chosen): void {
    for (const { data, width, height } of pictures) this.list.push({ data, width, height, label });
    this.draw(true);
  }

  private of(name: string): Example[] {
    return this.list.filter(({ label }) => label === name);
  }

  private draw(examples: boolean): void {
    const focused = this.choices.contains(document.activeElement);
    this.choices.replaceChildren(...this.classes.map((name) => this.choice(name)));
    if (focused) this.choices.querySelector<HTMLInputElement>(':checked')?.focus();
    this.rows.replaceChildren(...this.used.map((name) => this.row(name)));
    this.changed(examples);
  }

  private choice(name: string): HTMLElement {
    const label = document.createElement('label');
    const input = document.createElement('input');
    Object.assign(input, { type: 'radio', name: 'class', value: name, checked: name === this.chosen });
    input.addEventListener('change', () => {
      this.chosen = name;
      this.changed(false);
    });
    const count = document.createElement('small');
    const examples = this.of(name).length;
    count.textContent = examples > 0 ? String(examples) : '';
    count.title = `${examples} examples`;
    label.append(input, name, count);
    return label;
  }

  private row(name: string): HTMLElement {
    const row = document.createElement('div');
    row.className = 'class-row';
    const title = document.createElement('b');
    title.textContent = name;
    const shots = document.createElement('div');
    shots.className = 'shots';
    const examples = this.of(name);
    shots.append(
      ...examples.map((example, i) => {
        const button = document.createElement('button');
        Object.assign(button, { type: 'button', title: 'Take this example away' });
        button.setAttribute('aria-label', `Take example ${i + 1} of ${name} away`);
        button.append(thumbnail(example));
        button.addEventListener('click', () => {
          this.list.splice(this.list.indexOf(example), 1);
          this.draw(true);
        });
        return button;
      }),
    );
    row.append(title, shots);
    return row;
  }
}
