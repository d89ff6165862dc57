/** The examples of docs/policy-language.md that have cases: each a small policy that decides as its cases say. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parse } from 'yaml';
import { checkFiles } from '../../src/cli/check-files.ts';
import { problemLine } from '../../src/cli/problem-lines.ts';
import { type CaseResult, runCases } from '../../src/decision/run-cases.ts';
import { decisionsAt } from '../../src/evaluators/decisions-at.ts';
import { evaluatorNames } from '../../src/evaluators/index.ts';
import { ACCOUNT_TYPE, builtInTypes } from '../../src/policy/built-in.ts';
import { compile } from '../../src/policy/compile.ts';
import { operators } from '../../src/policy/operators.ts';
import type { Case, CaseMatrix, Policy, ResourceType, SingleCase } from '../../src/policy/policy.ts';
import { readDocument } from '../../src/policy/policy-document.ts';

const page = readFileSync(join(resolve(import.meta.dirname, '../..'), 'docs/policy-language.md'), 'utf8');

/** A fenced block, and where it stands. */
interface Example {
  place: string;
  policy: Policy;
}

const blocks = [...page.matchAll(/^```ya?ml\n(.*?)^```$/gms)].map(({ 1: text = '', index }) => ({
  place: placeOf(index),
  written: parse(text) as Record<string, unknown>,
}));
const types = sampleTypes();
const examples = blocks
  .filter(({ written }) => 'cases' in written)
  .map(({ place, written }): Example => ({ place, policy: policyOf(written) }));

/** The heading above, and the line. */
function placeOf(index: number): string {
  const before = page.slice(0, index);
  const heading = [...before.matchAll(/^#+ (.+)$/gm)].at(-1)?.[1];
  return `${heading} (line ${before.split('\n').length})`;
}

/** The built-in types, with what the page declares first: the type of the examples, and more about accounts. */
function sampleTypes(): ResourceType[] {
  const declared = blocks
    .map(({ written }) => written)
    .filter(({ type }) => type === ACCOUNT_TYPE || type === 'thing');
  const { policy, problems } = readDocument({ version: 1, resourceTypes: declared });
  assert.deepEqual(problems, []);
  const account = policy.resourceTypes.find(({ type }) => type === ACCOUNT_TYPE);
  return [
    ...builtInTypes.map((type) =>
      type.type === ACCOUNT_TYPE
        ? { ...type, attributes: { ...type.attributes, ...account?.attributes } }
        : type,
    ),
    ...policy.resourceTypes.filter((type) => type !== account),
  ];
}

function policyOf(written: object): Policy {
  const { policy, problems } = readDocument({ version: 1, ...written });
  assert.deepEqual(problems, []);
  return { ...policy, resourceTypes: [...types, ...policy.resourceTypes] };
}

async function resultsOf(policy: Policy): Promise<CaseResult[]> {
  const { snapshot, problems } = compile(policy, { revision: 1, evaluators: evaluatorNames });
  assert.ok(snapshot, JSON.stringify(problems));
  return runCases(policy.cases, snapshot, decisionsAt);
}

const failuresIn = (results: readonly CaseResult[]) => results.filter(({ passed }) => !passed);

/** The case with the opposite answer; of a matrix one for each cell. */
function turnedRound(written: Case): Case[] {
  if (!('principals' in written))
    return [withoutTheRest({ ...written, expect: written.expect === 'allow' ? 'deny' : 'allow' })];
  return cellsOf(written).map(([who, what, action]) => {
    const allowed = written.allow[who]?.[what] ?? [];
    const turned = allowed.includes(action) ? allowed.filter((one) => one !== action) : [...allowed, action];
    return { ...written, allow: { ...written.allow, [who]: { ...written.allow[who], [what]: turned } } };
  });
}

/** Only the answer is left to fail by. */
function withoutTheRest({ rule: _rule, fields: _fields, ...rest }: SingleCase): SingleCase {
  return rest;
}

function cellsOf({ principals, resources, actions }: CaseMatrix): [string, string, string][] {
  return Object.keys(principals).flatMap((who) =>
    Object.keys(resources).flatMap((what) =>
      actions.map((action): [string, string, string] => [who, what, action]),
    ),
  );
}

/** Every operator in a query, at any depth. */
function operatorsIn(query: unknown): string[] {
  if (Array.isArray(query)) return query.flatMap(operatorsIn);
  if (typeof query !== 'object' || query === null) return [];
  return Object.entries(query).flatMap(([key, value]) => [
    ...(key.startsWith('$') ? [key] : []),
    ...operatorsIn(value),
  ]);
}

describe('the examples of the policy language', () => {
  it('are found', () => assert.ok(examples.length >= 15, `${examples.length}`));

  for (const { place, policy } of examples) {
    it(`${place}: every case holds`, async () => {
      assert.deepEqual(failuresIn(await resultsOf(policy)), []);
    });

    it(`${place}: a case with its answer turned round fails`, async () => {
      for (const turned of policy.cases.flatMap(turnedRound)) {
        const failed = failuresIn(await resultsOf({ ...policy, cases: [turned] }));
        assert.equal(failed.length, 1, JSON.stringify(turned));
      }
    });

    it(`${place}: each rule is needed: without it a case fails`, async () => {
      const cases = policy.cases.map((one) => ('principals' in one ? one : { ...one, rule: undefined }));
      for (const { id } of policy.rules) {
        const rules = policy.rules.filter((rule) => rule.id !== id);
        const failed = failuresIn(await resultsOf({ ...policy, rules, cases: cases as Case[] }));
        assert.ok(failed.length > 0, id);
      }
    });
  }

  for (const operator of [...Object.keys(operators), '$elemMatch', '$and', '$or', '$nor', '$not'])
    it(`have ${operator}, allowed by it and not`, async () => {
      const using = examples.filter(({ policy }) =>
        policy.rules.some(({ conditions, when }) => operatorsIn([conditions, when]).includes(operator)),
      );
      const answers = await Promise.all(
        using.map(async ({ policy }) => (await resultsOf(policy)).map(({ got }) => got)),
      );
      assert.ok(answers.some((got) => got.includes('allow') && got.includes('deny')));
    });

  it('castellan check says of the wrong file what the page says', async () => {
    const [, file = '', said = ''] =
      /`wrong\.yaml`,\n\n```yml\n(.*?)^```\n\nit says\n\n```\n(.*?)^```$/ms.exec(page) ?? [];
    const folder = await mkdtemp(join(tmpdir(), 'castellan-wrong-'));
    try {
      const path = join(folder, 'wrong.yaml');
      await writeFile(path, file);
      const { problems } = await checkFiles([path], 'auto');
      const lines = problems.map((problem) => problemLine(problem).replaceAll(path, 'wrong.yaml'));
      assert.deepEqual(lines, said.trimEnd().split('\n'));
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});
