/** HTML from templates, in which everything put in is escaped unless it is HTML already. */

class Html {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

export type { Html };
export type HtmlPart = Html | string | number | undefined | readonly HtmlPart[];

/** A template tag: ``html`<p>${anything}</p>` ``. Lists are joined; undefined is left out. */
export function html(strings: TemplateStringsArray, ...parts: HtmlPart[]): Html {
  return new Html(String.raw({ raw: strings }, ...parts.map(toText)));
}

/** Text with `code` between backticks. */
export function withCode(text: string): Html {
  return html`${text.split('`').map((part, index) => (index % 2 ? html`<code>${part}</code>` : part))}`;
}

function toText(part: HtmlPart): string {
  if (part === undefined) return '';
  if (part instanceof Html) return part.text;
  if (typeof part === 'object') return part.map(toText).join('');
  return String(part).replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
