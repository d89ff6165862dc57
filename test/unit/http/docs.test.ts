import assert from 'node:assert/strict';
import Joi from 'joi';
import { errorTable } from '../../../src/errors.ts';
import { docsRouter } from '../../../src/http/docs.ts';
import { html } from '../../../src/http/html.ts';
import { openApiDocument } from '../../../src/http/openapi.ts';
import { sendRaw } from './raw-socket.ts';
import { type SmallApp, startSmallApp } from './small-app.ts';

const attack = `<script>alert("1")</script>'&`;
const escaped = '&#60;script&#62;alert(&#34;1&#34;)&#60;/script&#62;&#39;&#38;';

describe('the page at /docs', () => {
  let app: SmallApp;
  let page: string;

  before(async () => {
    const shape = Joi.object({
      [attack]: Joi.string().valid(attack).default(attack).description(attack),
      parts: Joi.array().items(Joi.object({ size: Joi.number().min(1).max(1000).required() })),
      names: Joi.object().pattern(Joi.string(), Joi.object({ first: Joi.string() })),
    });
    const document = openApiDocument([
      {
        method: 'post',
        path: '/api/v1/things/:id',
        summary: attack,
        access: { action: attack, resource: 'thing' },
        query: Joi.object({ limit: Joi.number().default(50).description(attack) }),
        body: shape,
        reply: { status: 201, description: attack, shape },
        errors: ['conflict'],
      },
    ]);
    app = await startSmallApp({ router: docsRouter(() => document) });
    page = (await app.client.get('/docs')).body;
  });
  after(() => app.close());

  it('escapes everything that comes from the document', () => {
    assert.doesNotMatch(page, /<script/i);
    // Who may, the summary and its link, the parameter, the field twice with its description, the reply.
    assert.ok(page.split(escaped).length > 8);
  });

  it('fetches nothing from anywhere else, and needs no script', async () => {
    assert.doesNotMatch(page, /(src|href|action|url)\s*[=(]\s*["']?(\w+:)?\/\//i);
    assert.doesNotMatch(page, /<script|<style|\son\w+=|\sstyle=/i);
    const style: string = (await app.client.get('/docs/page.css')).body;
    assert.doesNotMatch(style, /url\(|@import/);
    for (const [, path = ''] of page.matchAll(/(?:src|href)="(\/[^"#]*)"/g))
      assert.equal((await app.client.get(path)).status, 200, path);
  });

  it('may load only its own files, and over plain http as well', async () => {
    const policy = (await app.client.get('/docs')).headers.get('content-security-policy') ?? '';
    assert.match(policy, /default-src 'none'; style-src 'self'/);
    assert.doesNotMatch(policy, /upgrade-insecure-requests|unsafe|script-src/);
    assert.match((await app.client.get('/docs')).headers.get('content-type') ?? '', /^text\/html/);
    assert.match((await app.client.get('/docs/page.css')).headers.get('content-type') ?? '', /^text\/css/);
    assert.match(
      (await app.client.get('/docs/icon.svg')).headers.get('content-type') ?? '',
      /^image\/svg\+xml/,
    );
  });

  it('explains every error code under its anchor, where the type of a problem points', async () => {
    for (const code of Object.keys(errorTable)) assert.ok(page.includes(`<tr id="${code}">`), code);
    const { type } = (await app.client.get('/nowhere')).body;
    const [path, anchor] = type.split('#');
    assert.ok((await app.client.get(path)).body.includes(`id="${anchor}"`));
  });

  it('links only to anchors that are there, each once', () => {
    const ids = [...page.matchAll(/\sid="([^"]*)"/g)].map(([, id]) => id);
    assert.equal(new Set(ids).size, ids.length);
    for (const [, anchor] of page.matchAll(/href="#([^"]*)"/g)) assert.ok(ids.includes(anchor), anchor);
  });

  it('shows method, path, who may, parameters, nested fields, limits and errors', () => {
    const text = page
      .replace(/<wbr>/g, '')
      .replace(/<[^>]+>/g, ' ')
      .replace(/\s+/g, ' ');
    for (const part of [
      'POST /api/v1/things/{id}',
      'For those whom a rule allows to',
      'id required string in the path',
      'limit number in the query',
      'parts[]. size required number 1 to 1,000',
      'names.&#60;name&#62;. first string',
      'Reply 201',
      '409 conflict',
    ])
      assert.ok(text.includes(part), `${part} is not in ${text}`);
  });

  it('has a language, a title, landmarks, one h1, and a label for each of them', () => {
    for (const part of [
      '<html lang="en">',
      '<title>Castellan API</title>',
      '<main id="content">',
      '<header>',
    ])
      assert.ok(page.includes(part), part);
    assert.equal(page.match(/<h1/g)?.length, 1);
    assert.match(page, /<nav aria-label=/);
    for (const [table] of page.matchAll(/<table[\s\S]*?<\/table>/g))
      assert.match(table, /<caption>.+<\/caption>/);
  });

  it('is not sent again to whoever has it', async () => {
    for (const path of ['/docs', '/openapi.json', '/docs/page.css']) {
      const etag = (await app.client.get(path)).headers.get('etag') ?? '';
      // Not by fetch, which adds Cache-Control: no-cache to a condition of one's own.
      const ask = async (tag: string) => {
        const head = `GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nIf-None-Match: ${tag}\r\n\r\n`;
        return (await sendRaw(app.port, head)).text.slice(9, 12);
      };
      assert.deepEqual([await ask(etag), await ask('"another"')], ['304', '200'], path);
    }
  });
});

describe('the html tag', () => {
  it('escapes what is put in, but not HTML that it made', () => {
    const inner = html`<b title="${attack}">${attack}</b>`;
    assert.equal(inner.text, `<b title="${escaped}">${escaped}</b>`);
    assert.equal(html`<p>${[inner, 1, undefined, ['<']]}</p>`.text, `<p>${inner.text}1&#60;</p>`);
  });

  it('takes an object that looks like HTML for text', () => {
    assert.throws(() => html`${JSON.parse('{"text":"<script>"}')}`.text);
  });
});
