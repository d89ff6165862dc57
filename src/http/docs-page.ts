/** The page at /docs: every operation of the OpenAPI document by tag, and every error code under its own anchor. */
import { errorTable } from '../errors.ts';
import { schemaTable, typeText } from './docs-schema.ts';
import { type Html, type HtmlPart, html, withCode } from './html.ts';
import type { Content, OpenApiDocument, Operation, Parameter } from './openapi.ts';

interface Described extends Operation {
  method: string;
  path: string;
}

/** The whole page as text; everything from the document is escaped. */
export function docsPage(document: OpenApiDocument): string {
  const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]): Described => ({ ...operation, method, path })),
  );
  const sections = document.tags.map(({ name }) => ({
    id: `tag-${name.replace(/[^\w]+/g, '-')}`,
    name,
    operations: operations.filter(({ tags }) => tags.includes(name)),
  }));
  const { title, description } = document.info;
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${title} API</title>
<link rel="icon" href="/docs/icon.svg" type="image/svg+xml">
<link rel="stylesheet" href="/docs/page.css">
</head>
<body>
<a class="skip" href="#content">Skip to the content</a>
<header><img src="/docs/icon.svg" alt="" width="32" height="32"><h1>${title} API</h1><p>${description}</p></header>
<nav aria-label="Contents"><ul>
<li><a href="#basics">Basics</a></li>
${sections.map(({ id, name, operations: { length } }) => html`<li><a href="#${id}">${name}</a> <span class="count">${length}</span></li>\n`)}
<li><a href="#problem-details">Errors</a></li>
</ul></nav>
<main id="content">
${basics}
${sections.map(
  ({ id, name, operations: list }) => html`<section aria-labelledby="${id}">
<h2 id="${id}">${name}</h2>
${list.map(operationPart)}
</section>
`,
)}
<section aria-labelledby="problem-details">
<h2 id="problem-details">Errors</h2>
<p>Every error is <code>application/problem+json</code> (RFC 9457). Match on <code>code</code>; the texts are for people.</p>
${schemaTable('A problem', document.components.schemas.Problem ?? {})}
${errorCodes}
</section>
</main>
</body>
</html>
`.text;
}

const basics = html`<section aria-labelledby="basics">
<h2 id="basics">Basics</h2>
<ul>
<li>Bodies are JSON in UTF-8. The description that this page shows is at <a href="/openapi.json"><code>/openapi.json</code></a>.</li>
<li>Identify with <code>Authorization: Bearer &lt;token&gt;</code>; login answers the token. Browsers may use the cookie that
login sets, and then changes must come from the gateway’s own pages.</li>
<li>Lists take <code>limit</code> and <code>cursor</code> and answer <code>items</code> and <code>nextCursor</code>, which is null on the last page.</li>
<li><code>X-Request-Id</code> is echoed, or made where none is sent. <code>Castellan-Revision</code> says which revision of the policy decided.</li>
<li>For operators: <code>/livez</code>, <code>/readyz</code> and <code>/metrics</code>.</li>
</ul>
</section>`;

function operationPart(operation: Described): Html {
  const { method, path, summary, description, operationId, parameters, requestBody } = operation;
  return html`<details>
<summary><span class="method ${method}">${method.toUpperCase()}</span>
<h3><code>${withBreaks(path)}</code></h3> <span class="what">${summary}</span></summary>
<div class="operation" id="${operationId}">
<p>${withCode(description)} <a class="self" href="#${operationId}" aria-label="Link to ${summary}">#</a></p>
${parameters.length > 0 ? parameterTable(parameters) : undefined}
${requestBody && contentPart(requestBody.required ? 'Body' : 'Body, which may be left out', requestBody.content)}
${Object.entries(operation.responses)
  .filter(([status]) => status.startsWith('2'))
  .map(([status, reply]) =>
    contentPart(html`Reply ${status}: ${withCode(reply.description)}`, reply.content),
  )}
${errorList(operation.responses)}
</div>
</details>
`;
}

/** Long paths may be broken after a slash. */
function withBreaks(path: string): Html {
  return html`${path.split(/(?<=\/)/).map((part) => html`${part}<wbr>`)}`;
}

function parameterTable(parameters: readonly Parameter[]): Html {
  const properties = Object.fromEntries(
    parameters.map(({ name, in: place, description = '', schema }) => [
      name,
      {
        ...schema,
        description: [`in the ${place}`, description || schema.description].filter(Boolean).join('; '),
      },
    ]),
  );
  const required = parameters.filter((parameter) => parameter.required).map(({ name }) => name);
  return schemaTable('Parameters', { type: 'object', properties, required });
}

function contentPart(title: HtmlPart, content: Content | undefined): Html {
  const schema = content?.['application/json']?.schema;
  if (!schema) return html`<p><b>${title}</b></p>`;
  return schema.properties || schema.items
    ? schemaTable(title, schema)
    : html`<p><b>${title}</b>: ${typeText(schema)}</p>`;
}

function errorList(responses: Operation['responses']): Html | undefined {
  const failures = Object.entries(responses).filter(([status]) => /^[45]/.test(status));
  if (failures.length === 0) return undefined;
  return html`<h4>Errors</h4>
<ul class="errors">${failures.map(
    ([status, { description }]) =>
      html`<li>${status} ${[...description.matchAll(/\w+/g)].map(
        ([code]) => html` <a href="#${code}"><code>${code}</code></a>`,
      )}</li>`,
  )}</ul>`;
}

const errorCodes = html`<table>
<caption>Error codes</caption>
<thead><tr><th scope="col">Code</th><th scope="col">Status</th><th scope="col">Meaning</th></tr></thead>
<tbody>${Object.entries(errorTable).map(
  ([code, { status, title }]) =>
    html`<tr id="${code}"><th scope="row"><a href="#${code}"><code>${code}</code></a></th><td>${status}</td><td>${title}</td></tr>\n`,
)}</tbody>
</table>`;
