/** The README and docs/ against the code: tables, links, rules, the diagram of the tables, and every answer shown. */
import assert from 'node:assert/strict';
import { execFile, spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { dirname, join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { parse as parseYaml } from 'yaml';
import { invoiceApp } from '../../docs/examples/invoices.ts';
import { demoAccounts } from '../../seeds/demo.ts';
import { settings } from '../../src/config.ts';
import { principalOf, resourceOf } from '../../src/decision/access-request.ts';
import { DocumentRow } from '../../src/demo/models.ts';
import { startPress } from '../../src/demo/press-process.ts';
import { accessibleBy } from '../../src/enforcement/sql-filter.ts';
import { errorTable } from '../../src/errors.ts';
import { makeMetrics } from '../../src/http/metrics.ts';
import type { OpenApiDocument } from '../../src/http/openapi.ts';
import { makeAbility } from '../../src/policy/ability.ts';
import { builtInTypes } from '../../src/policy/built-in.ts';
import { checkRule, type Vocabulary } from '../../src/policy/check-rule.ts';
import { ALWAYS, NEVER } from '../../src/policy/condition.ts';
import { mergeAll, readPolicyFiles, shippedPolicies } from '../../src/policy/files.ts';
import { compileCondition } from '../../src/policy/matcher.ts';
import { operators } from '../../src/policy/operators.ts';
import type { Query, ResourceType, Rule } from '../../src/policy/policy.ts';
import { checkRoutes } from '../../src/policy/routes/check-routes.ts';
import { shapeRoute } from '../../src/policy/routes/route-schema.ts';
import { shapeResourceType, shapeRole, shapeRule } from '../../src/policy/rule-schema.ts';
import { settle } from '../../src/policy/settle.ts';
import type { Snapshot } from '../../src/policy/snapshot.ts';
import { anonymousClient, logIn, startGateway, type TestGateway } from '../harness.ts';

const root = resolve(import.meta.dirname, '../..');
const read = (path: string) => readFileSync(join(root, path), 'utf8');
const pages = [
  'README.md',
  ...readdirSync(join(root, 'docs'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.md'))
    .map((name) => `docs/${name}`),
];

/** A fenced block, and whether it follows the block before it with nothing between. */
interface Block {
  language: string;
  text: string;
  follows: boolean;
}

function blocksOf(markdown: string): Block[] {
  const fences = [...markdown.matchAll(/^```(\w*)\n(.*?)^```$/gms)];
  return fences.map(({ 0: whole, 1: language = '', 2: text = '', index }, at) => {
    const before = fences[at - 1];
    const end = before ? before.index + before[0].length : 0;
    return {
      language,
      text,
      follows: before !== undefined && whole !== '' && !markdown.slice(end, index).trim(),
    };
  });
}

function proseOf(markdown: string): string {
  return markdown.replace(/^```.*?^```$/gms, '');
}

/** The part of a page below a heading, up to the next one of any level. */
function below(markdown: string, heading: string): string {
  const at = markdown.search(new RegExp(`^#+ ${heading}$`, 'm'));
  assert.ok(at >= 0, `no heading ${heading}`);
  const rest = markdown.slice(markdown.indexOf('\n', at) + 1);
  const end = rest.search(/^#+ /m);
  return end < 0 ? rest : rest.slice(0, end);
}

/** The cells of every table row, without heads. */
function rowsOf(markdown: string): string[][] {
  const lines = proseOf(markdown).split('\n');
  const isRule = (line: string | undefined) => /^\|[ |-]+\|$/.test(line ?? '');
  return lines
    .filter((line, index) => line.startsWith('|') && !isRule(line) && !isRule(lines[index + 1]))
    .map((line) =>
      line
        .slice(1, -1)
        .split('|')
        .map((cell) => cell.trim()),
    );
}

/** What stands between backticks. */
function codesIn(text = ''): string[] {
  return [...text.matchAll(/`([^`]+)`/g)].map(([, code = '']) => code);
}

/** As a code host makes anchors of headings. */
function anchorsOf(markdown: string): string[] {
  return [...proseOf(markdown).matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-'),
  );
}

describe('the docs', () => {
  for (const page of pages)
    it(`${page}: every relative link leads somewhere`, () => {
      const links = [...proseOf(read(page)).matchAll(/\]\((?!https?:)([^)]+)\)/g)].map(
        ([, target = '']) => target,
      );
      const broken = links.filter((link) => {
        const [path = '', anchor] = link.split('#');
        const file = path === '' ? join(root, page) : resolve(root, dirname(page), path);
        if (!existsSync(file)) return true;
        return anchor !== undefined && !anchorsOf(readFileSync(file, 'utf8')).includes(anchor);
      });
      assert.deepEqual(broken, []);
    });

  it('have the table of settings that config.ts has', () => {
    const computed: Record<string, string> = {
      HOST: '`127.0.0.1`; in production `0.0.0.0`',
      DEMO: '`true`; in production `false`',
      PASSWORD_HASH_CONCURRENCY: 'the number of cores, at most 4',
    };
    const expected = Object.entries(settings).map(([name, setting]) => {
      const value = 'default' in setting ? setting.default : '';
      const shown = value === '' ? '' : `\`${value}\``;
      return [`\`${name}\``, typeof value === 'function' ? computed[name] : shown, setting.meaning];
    });
    assert.deepEqual(
      rowsOf(below(read('README.md'), 'Run it for real')).filter(([name]) => name?.startsWith('`')),
      expected,
    );
  });

  it('name no setting that is not there', () => {
    const elsewhere = new Set(read('docker-compose.yml').match(/\b[A-Z]+_[A-Z_]+\b/g));
    for (const page of pages) {
      const named = read(page).match(/\b[A-Z]+(_[A-Z]+)+\b/g) ?? [];
      assert.deepEqual(
        named.filter((name) => !(name in settings) && !elsewhere.has(name)),
        [],
        page,
      );
    }
  });

  it('have the errors that errors.ts has', () => {
    const shown = read('docs/errors.md').matchAll(/^### `(\w+)`\n\n(\d+) (.+)\n\n\S/gm);
    assert.deepEqual(
      [...shown].map(([, code, status, title]) => [code, Number(status), title]),
      Object.entries(errorTable).map(([code, { status, title }]) => [code, status, title]),
    );
  });

  it('have the problems that a policy can have', () => {
    const shown = rowsOf(below(read('docs/errors.md'), 'Problems of a policy')).flatMap(([codes]) =>
      codesIn(codes),
    );
    const sources = ['src/policy', 'src/admin'].flatMap((folder) =>
      readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
        .filter((name) => name.endsWith('.ts'))
        .map((name) => read(`${folder}/${name}`)),
    );
    const given = sources
      .join()
      .matchAll(
        /(?:code: |refuse\(\s*reading,\s*\w+,\s*)'(\w+)'|unknownName\([^;]*?'(role|type|action|rule|principal|resource)'/g,
      );
    const codes = [...given].map(([, code, what]) => code ?? `unknown_${what}`);
    assert.deepEqual(shown.sort(), [...new Set([...codes, 'unknown_field', 'unknown_attribute'])].sort());
  });

  it('have the accounts that the demo has', () => {
    const rows = rowsOf(below(read('README.md'), 'The demo accounts'));
    assert.deepEqual(
      rows.map(([email, password, role, department]) => [email, password, role?.split(',')[0], department]),
      demoAccounts.map(({ email, password, roles, attributes }) => [
        `\`${email}\``,
        `\`${password}\``,
        roles.join(),
        attributes?.department ?? '',
      ]),
    );
  });

  it('have the metrics that the gateway has', async () => {
    const { registry: _own, ...metrics } = makeMetrics();
    const made = Object.values(metrics).map((metric) => Reflect.get(metric, 'name'));
    const rows = rowsOf(below(read('docs/operations.md'), 'Metrics'));
    assert.deepEqual(rows.map(([name]) => codesIn(name)[0]).sort(), made.sort());
  });

  it('show the example as it is', () => {
    const [shown] = blocksOf(read('README.md')).filter(({ language }) => language === 'ts');
    assert.ok(shown && read('docs/examples/invoices.ts').includes(shown.text));
  });
});

describe('the page on the policy language', () => {
  const page = read('docs/policy-language.md');
  const yaml = [page, read('README.md')]
    .flatMap(blocksOf)
    .filter(({ language }) => language === 'yaml')
    .map(({ text }) => parseYaml(text));
  let demo: Vocabulary;

  before(async () => {
    const folder = shippedPolicies();
    const files = [join(folder, 'base.yaml'), join(folder, 'demo')];
    const { resourceTypes, roles } = mergeAll(await Promise.all(files.map(readPolicyFiles)));
    demo = {
      types: new Map(resourceTypes.map((type) => [type.type, type])),
      roles: new Set(roles.map(({ key }) => key)),
    };
  });

  it('shows rules, roles and resource types that are accepted', () => {
    const rules = yaml.filter((part) => 'subject' in part);
    assert.ok(rules.length >= 7);
    for (const rule of rules) {
      const { value, problems } = shapeRule(rule);
      assert.deepEqual([...problems, ...checkRule(value, demo).problems], [], JSON.stringify(rule));
    }
    const routes = yaml.filter((part) => 'path' in part);
    assert.ok(routes.length >= 2);
    for (const route of routes) {
      const { value, problems } = shapeRoute(route);
      assert.deepEqual(
        [...problems, ...checkRoutes([value], demo.types).problems],
        [],
        JSON.stringify(route),
      );
    }
    for (const part of yaml.filter((other) => !('subject' in other) && !('path' in other)))
      assert.deepEqual(('key' in part ? shapeRole(part) : shapeResourceType(part)).problems, []);
  });

  it('has every operator, as has the README', () => {
    const names = [...Object.keys(operators), '$elemMatch', '$and', '$or', '$nor', '$not'];
    for (const text of [page, read('README.md')])
      assert.deepEqual(
        names.filter((name) => !new RegExp(`\\${name}\\b`).test(text)),
        [],
      );
  });

  /** The resource type of the examples, and principals with a department and a team. */
  function exampleVocabulary(): { thing: ResourceType; vocabulary: Vocabulary } {
    const { value: thing } = shapeResourceType(yaml.find((part) => part.type === 'thing'));
    const [user] = builtInTypes;
    assert.ok(user);
    const attributes = {
      ...user.attributes,
      department: { type: 'string' },
      team: { type: 'string' },
    } as const;
    const types = new Map([thing, { ...user, attributes }].map((type) => [type.type, type]));
    return { thing, vocabulary: { types, roles: new Set() } };
  }

  function conditionOf(written: string, vocabulary: Vocabulary) {
    const conditions: Query = parseYaml(written);
    const { value } = shapeRule({ role: 'everyone', action: 'read', subject: 'thing', conditions });
    const { condition, problems } = checkRule(value, vocabulary);
    assert.deepEqual(problems, [], written);
    return condition;
  }

  it('says what each condition is met by, and by what not', () => {
    const { thing, vocabulary } = exampleVocabulary();
    const rows = rowsOf(below(page, 'Conditions'));
    assert.ok(rows.length > 20);
    for (const [, example, met, notMet] of rows) {
      const [written = ''] = codesIn(example);
      const matches = compileCondition(conditionOf(written, vocabulary));
      const asked = (resource: string) => {
        const { attributes, misfits } = resourceOf(thing, parseYaml(resource));
        assert.deepEqual(misfits, [], resource);
        return matches(attributes);
      };
      assert.ok(codesIn(met).length > 0 && codesIn(notMet).length > 0, written);
      for (const resource of codesIn(met)) assert.equal(asked(resource), true, `${written} on ${resource}`);
      for (const resource of codesIn(notMet))
        assert.equal(asked(resource), false, `${written} on ${resource}`);
    }
  });

  it('says what templates become', () => {
    const { vocabulary } = exampleVocabulary();
    const rows = rowsOf(below(page, 'Templates'));
    assert.ok(rows.length > 5);
    const meant = (cell = '') => {
      if (cell === 'never') return NEVER;
      return cell === 'always' ? ALWAYS : conditionOf(codesIn(cell)[0] ?? '', vocabulary);
    };
    for (const [written, allow, deny] of rows) {
      const condition = conditionOf(codesIn(written)[0] ?? '', vocabulary);
      const facts = { department: 'sales' };
      assert.deepEqual(settle(condition, facts, 'allow'), meant(allow), `${written} in an allow`);
      assert.deepEqual(settle(condition, facts, 'deny'), meant(deny), `${written} in a deny`);
    }
  });

  it('says what is refused, and in which words', () => {
    const rows = rowsOf(below(page, 'Refused when written'));
    assert.ok(rows.length > 15);
    for (const [fragment, code, message] of rows) {
      const written: object = parseYaml(codesIn(fragment)[0] ?? '');
      const { value, problems } = shapeRule({
        role: 'editor',
        action: 'read',
        subject: 'document',
        ...written,
      });
      const found = [...problems, ...checkRule(value, demo).problems];
      const isSaid = found.some((problem) => {
        return problem.code === codesIn(code)[0] && problem.message.includes(codesIn(message)[0] ?? '?');
      });
      assert.ok(isSaid, `${fragment}: ${JSON.stringify(found)}`);
    }
  });
});

describe('what the docs show of a gateway', function () {
  this.timeout(60_000);
  let gateway: TestGateway;
  beforeEach(async () => {
    gateway = await startGateway();
  });
  afterEach(() => gateway.close());

  it('the endpoints', async () => {
    const { body }: { body: OpenApiDocument } = await anonymousClient(gateway).get('/openapi.json');
    const who = (description: string) => {
      if (description === 'Open to everybody.') return 'everybody';
      if (description === 'For whoever is identified.') return 'identified';
      return description === 'For whoever is logged in.' ? 'logged in' : codesIn(description).join(' ');
    };
    const served = Object.entries(body.paths).flatMap(([path, methods]) =>
      Object.entries(methods).map(([method, { description, responses }]) => {
        const name = `${method.toUpperCase()} ${path.replace(/\{(\w+)\}/g, ':$1')}`;
        return `${name} ${Object.keys(responses)[0]} ${who(description)}`;
      }),
    );
    const rows = rowsOf(read('docs/http-api.md')).filter(([endpoint]) =>
      /\/api\/v1\/|\/access\/v1\/|\/\.well-known\//.test(endpoint ?? ''),
    );
    const shown = rows.map(
      ([endpoint, , reply, access = '']) =>
        `${codesIn(endpoint)[0]} ${reply?.slice(0, 3)} ${access.replaceAll('`', '')}`,
    );
    assert.deepEqual(shown.sort(), served.sort());
    for (const [endpoint] of rowsOf(below(read('docs/http-api.md'), 'Operations')))
      assert.equal((await anonymousClient(gateway).get(codesIn(endpoint)[0]?.slice(4) ?? '')).status, 200);
  });

  it('the WHERE of the rule in the README', async () => {
    const { services } = gateway;
    const [rule, , statement] = blocksOf(below(read('README.md'), 'A list is the same rule'));
    const { snapshot } = services.live;
    const written = shapeRule(parseYaml(rule?.text ?? '')).value as Rule;
    const { subject, role, action, conditions } =
      snapshot.policy.rules.find(({ id }) => id === written.id) ?? {};
    assert.deepEqual({ subject, role, action, conditions }, pick(written));
    const only = {
      ...snapshot,
      rulesByRole: new Map([['user', [snapshot.rules.get(written.id)]]]),
    } as Snapshot;
    const [, owner = ''] = /'([0-9a-f-]{36})'/.exec(statement?.text ?? '') ?? [];
    const input = { type: 'user', id: owner, roles: ['user'], attributes: {}, accessVersion: 1 };
    const ability = makeAbility(only, principalOf(input, snapshot.types.get('user')), Date.now());
    const { db } = services;
    const mine = accessibleBy(ability, 'read', DocumentRow, { types: snapshot.types, db });
    assert.equal(mine.toKnexQuery().toString(), statement?.text.trim());
  });

  it('the diagram of the tables, and the triggers', async () => {
    const page = read('docs/architecture.md');
    const diagram = blocksOf(page).find(({ text }) => text.startsWith('erDiagram'))?.text ?? '';
    const shown = [...diagram.matchAll(/^ {2}(\w+) \{\n(.*?)^ {2}\}/gms)].flatMap(([, table, columns = '']) =>
      [...columns.matchAll(/^ +(\w+) (\w+)((?:,? [PFU]K)*)/gm)].map(
        ([, type, column, keys = '']) => `${table}.${column} ${type} ${keys.match(/\w+/g)?.sort() ?? ''}`,
      ),
    );
    const { rows } = await gateway.services.db.raw(columnsAndKeys);
    const there = rows.map(({ name, type, keys }: Record<string, string>) => `${name} ${type} ${keys}`);
    assert.deepEqual(shown.sort(), there.sort());
    const triggers = await gateway.services.db.raw('SELECT tgname FROM pg_trigger WHERE NOT tgisinternal');
    assert.deepEqual(
      rowsOf(below(page, 'Triggers and the change log'))
        .flatMap(([name]) => codesIn(name))
        .sort(),
      triggers.rows.map(({ tgname }: { tgname: string }) => tgname).sort(),
    );
  });

  for (const page of [
    'README.md',
    'docs/errors.md',
    'docs/http-api.md',
    'docs/operations.md',
    'docs/authzen.md',
  ])
    it(`${page}: every command answers as it says`, async function () {
      if (spawnSync('curl', ['--version']).error) this.skip();
      const own = createServer(invoiceApp(gateway.services));
      await new Promise<void>((done) => own.listen(0, '127.0.0.1', done));
      const press = await startPress(gateway.services.live.snapshot.policy, { gatewayUrl: gateway.url });
      await runCommands(page, gateway, own).finally(() => own.close());
      await press?.close();
    });
});

/** Runs the `sh` blocks of a page one after the other in one shell; the block that follows one is its output. */
async function runCommands(page: string, gateway: TestGateway, own: Server): Promise<void> {
  const blocks = blocksOf(read(page));
  const asked = blocks.flatMap((block, at) => {
    const next = blocks[at + 1];
    return block.language === 'sh' ? [{ command: block.text, output: next?.follows ? next.text : '' }] : [];
  });
  assert.ok(asked.length > 0);
  const [admin, superadmin] = [await logIn(gateway, 'admin'), await logIn(gateway, 'superadmin')];
  const script = [
    `as_admin='authorization: Bearer ${admin.token}'`,
    `as_superadmin='authorization: Bearer ${superadmin.token}'`,
    ...asked.flatMap(({ command }) => [command, `printf '${SEPARATOR}'`]),
  ].join('\n');
  const { host, port } = new URL(gateway.url);
  const { stdout } = await promisify(execFile)('bash', [
    '-euc',
    script
      .replaceAll('localhost:8080', host)
      .replaceAll('localhost:3000', `127.0.0.1:${(own.address() as AddressInfo).port}`),
  ]);
  const outputs = stdout.split(SEPARATOR);
  for (const [index, { command, output }] of asked.entries())
    assert.match(
      outputs[index]?.replace(/\s/g, '') ?? '',
      patternOf(output.replaceAll('localhost:8080', `localhost:${port}`)),
      command,
    );
}

function pick({ subject, role, action, conditions }: Rule) {
  return { subject, role, action, conditions };
}

const SEPARATOR = '<the next command>';

/** The output as shown: `…` stands for anything, and where lines break does not matter. */
function patternOf(shown: string): RegExp {
  const parts = shown.replace(/\s/g, '').split('…');
  return new RegExp(`^${parts.map((part) => part.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&')).join('.*')}$`);
}

/** Every column with its type as SQL writes it, and the keys it is a part of. */
const columnsAndKeys = `
  SELECT c.relname || '.' || a.attname AS name,
    CASE t.typname WHEN 'int4' THEN 'integer' WHEN 'int8' THEN 'bigint' WHEN 'bool' THEN 'boolean' ELSE t.typname END AS type,
    coalesce((
      SELECT string_agg(DISTINCT upper(k.contype::text) || 'K', ',' ORDER BY upper(k.contype::text) || 'K') FROM pg_constraint k
      WHERE k.conrelid = c.oid AND a.attnum = ANY (k.conkey) AND k.contype IN ('p', 'f', 'u')
    ), '') AS keys
  FROM pg_class c
    JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname = 'public'
    JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    JOIN pg_type t ON t.oid = a.atttypid
  WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relname NOT LIKE 'knex%'`;
