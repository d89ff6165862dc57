/** A JSON schema as a table that people read: a row per field, nested ones by their path. */
import { type Html, type HtmlPart, html } from './html.ts';
import type { JsonSchema } from './json-schema.ts';

/** A table of the fields of an object, or of the objects in a list. */
export function schemaTable(caption: HtmlPart, schema: JsonSchema): Html {
  return html`<table>
<caption>${caption}</caption>
<thead><tr><th scope="col">Name</th><th scope="col">Type</th><th scope="col">Meaning</th></tr></thead>
<tbody>${fieldRows(schema, '')}</tbody>
</table>`;
}

/** What kind of value it is, in a few words. */
export function typeText(schema: JsonSchema): string {
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(' | ');
  if (schema.anyOf) return [...new Set(schema.anyOf.map(typeText))].join(' or ');
  const types = [schema.type ?? []].flat();
  const named = types.map((type) => {
    if (type === 'array') return schema.items ? `list of ${typeText(schema.items)}` : 'list';
    return schema.format && type === 'string' ? schema.format : type;
  });
  return named.join(' or ') || 'any JSON';
}

function fieldRows(schema: JsonSchema, path: string): Html[] {
  const { properties = {}, required = [], additionalProperties, items, anyOf = [] } = schema;
  return [
    ...Object.entries(properties).flatMap(([name, field]) => [
      fieldRow(path, name, field, required.includes(name)),
      ...fieldRows(field, `${path}${name}.`),
    ]),
    ...(typeof additionalProperties === 'object'
      ? [
          fieldRow(path, '<name>', additionalProperties, false),
          ...fieldRows(additionalProperties, `${path}<name>.`),
        ]
      : []),
    ...(items ? fieldRows(items, path.replace(/\.?$/, '[].')) : []),
    ...anyOf.flatMap((variant) => fieldRows(variant, path)),
  ];
}

function fieldRow(path: string, name: string, field: JsonSchema, required: boolean): Html {
  const meaning = [field.description, ...limitsOf(field)].filter((part) => part !== undefined);
  return html`<tr><th scope="row"><code><span class="path">${path}</span>${name}</code>${
    required ? html` <span class="required">required</span>` : undefined
  }</th><td>${typeText(field)}</td><td>${meaning.map((part, index) => (index > 0 ? html`; ${part}` : part))}</td></tr>\n`;
}

function limitsOf(field: JsonSchema): HtmlPart[] {
  return [
    range(field.minimum, field.maximum, ''),
    // An empty text is refused nearly everywhere: that goes without saying.
    range(field.minLength === 1 ? undefined : field.minLength, field.maxLength, ' characters'),
    range(field.minItems, field.maxItems, ' items'),
    field.pattern === undefined ? undefined : html`matches <code>${field.pattern}</code>`,
    field.default === undefined ? undefined : html`default <code>${JSON.stringify(field.default)}</code>`,
  ];
}

function range(least: number | undefined, most: number | undefined, unit: string): string | undefined {
  const [from, to] = [least?.toLocaleString('en'), most?.toLocaleString('en')];
  if (from === undefined) return to === undefined ? undefined : `at most ${to}${unit}`;
  return to === undefined ? `at least ${from}${unit}` : `${from} to ${to}${unit}`;
}
