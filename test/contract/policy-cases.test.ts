/** Policies and what they must decide, as data: every file of cases/, put to every evaluator that can say it. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import type { Evaluator, Verdict } from '../../src/decision/evaluator.ts';
import { evaluatorNames } from '../../src/evaluators/index.ts';
import { compile } from '../../src/policy/compile.ts';
import type { Snapshot } from '../../src/policy/snapshot.ts';
import { type Case, readCaseFiles, requestIn } from './case-files.ts';
import { type EvaluatorUnderTest, evaluatorsUnderTest, type Opened } from './evaluators-under-test.ts';

const files = readCaseFiles();
const DEFAULT_AT = '2026-06-01T12:00:00Z';

/** By evaluator and file: what of a case is not asked, and why. */
const notSaid: Record<string, Record<string, Record<string, string>>> = parse(
  readFileSync(join(import.meta.dirname, 'not-said.yaml'), 'utf8'),
);

/** What an evaluator that decides as a whole has no words for. */
function partsNotSaid({ isWhole }: EvaluatorUnderTest, { fields, possible }: Case): string[] {
  if (!isWhole) return [];
  return [
    ...(fields ? ['its fields: all or none'] : []),
    ...(possible === false ? ['that it is impossible: what could be is told in doubt'] : []),
  ];
}

async function check(
  under: EvaluatorUnderTest,
  evaluator: Evaluator,
  snapshot: Snapshot,
  asked: Case,
): Promise<void> {
  const request = requestIn(snapshot, asked);
  const verdict = await evaluator.evaluate(snapshot, request);
  assert.equal(verdict.allow ? 'allow' : 'deny', asked.expect);
  const { ruleIdOf = (rule) => rule } = under;
  if (asked.rule !== undefined) assert.equal(verdict.ruleId, asked.rule && ruleIdOf(asked.rule));
  if (asked.fields) {
    const names = Object.keys(asked.fields);
    const permitted = await evaluator.permittedFields(snapshot, request, names);
    const expected = under.isWhole
      ? names.filter(() => verdict.allow)
      : names.filter((name) => asked.fields?.[name]);
    assert.deepEqual([...permitted], expected);
  }
  const { principal, action, resource } = request;
  const possible = await evaluator.possible(snapshot, principal, action.name, resource.type);
  assert.ok(possible || !verdict.allow, 'what is allowed is possible');
  if (asked.possible !== undefined && (asked.possible || !under.isWhole))
    assert.equal(possible, asked.possible);
}

describe('policy cases', () => {
  it('are put to every evaluator there is', () => {
    assert.deepEqual(
      evaluatorsUnderTest.map(({ name }) => name),
      evaluatorNames,
    );
  });

  for (const { name, cases } of files)
    it(`of ${name} allow something and deny something: a file that only knows one answer proves nothing`, () => {
      assert.deepEqual(new Set(cases.map(({ expect }) => expect)), new Set(['allow', 'deny']));
    });
});

for (const under of evaluatorsUnderTest) {
  describe(`policy cases, decided by ${under.name}`, () => {
    let opened: Opened;
    before(async () => {
      opened = await under.open();
    });
    after(() => opened.close?.());

    const found: Record<string, Record<string, string>> = {};
    for (const file of files) {
      describe(file.name, () => {
        const { snapshot, problems } = compile(under.policyOf(file), {
          revision: 1,
          evaluators: evaluatorNames,
        });
        before(() => opened.take?.(file));

        it('have a policy that compiles', () => assert.deepEqual(problems, undefined));
        if (!snapshot) return;

        for (const written of file.cases) {
          const asked = under.caseOf?.(written) ?? written;
          const ask = async () => {
            await opened.know?.(asked);
            return opened.evaluatorAt(Date.parse(asked.at ?? DEFAULT_AT));
          };
          const whyNot = under.whyNot?.(file, snapshot, written);
          const whys = whyNot === undefined ? partsNotSaid(under, written) : [whyNot];
          if (whys.length > 0) found[file.name] = { ...found[file.name], [written.name]: whys.join('; ') };
          if (whyNot === undefined)
            it(`${asked.expect}: ${asked.name}`, async () => check(under, await ask(), snapshot, asked));
          else if (under.isNeverWider)
            it(`never wider: ${asked.name} (${whyNot})`, async () => {
              const verdict = await verdictOf(await ask(), snapshot, asked);
              assert.ok(!verdict.allow || asked.expect === 'allow');
            });
        }
      });
    }

    it('are all asked but those named in not-said.yaml, each for the reason that stands there', () => {
      assert.deepEqual(found, notSaid[under.name] ?? {});
    });
  });
}

/** What is in doubt is denied. */
async function verdictOf(evaluator: Evaluator, snapshot: Snapshot, asked: Case): Promise<Verdict> {
  try {
    return await evaluator.evaluate(snapshot, requestIn(snapshot, asked));
  } catch {
    return { allow: false, ruleId: null };
  }
}
