/** Policy cases for Cedar: the rules of a file exported, and which cases that leaves out. */
import assert from 'node:assert/strict';
import { cedarPoliciesOf } from '../../src/evaluators/cedar-policies.ts';
import { cedarRequest } from '../../src/evaluators/cedar-request.ts';
import { type CedarExport, exportRules } from '../../src/policy/cedar/export-rules.ts';
import { compile } from '../../src/policy/compile.ts';
import { ANY_ACTION, ANY_TYPE, type Policy } from '../../src/policy/policy.ts';
import type { CompiledRule, Snapshot } from '../../src/policy/snapshot.ts';
import { type Case, type CaseFile, policyOf, requestIn } from './case-files.ts';

interface Exported extends CedarExport {
  rules: Snapshot['rules'];
}

const known = new WeakMap<CaseFile, Exported>();

function exported(file: CaseFile): Exported {
  const found = known.get(file);
  if (found) return found;
  const { snapshot, problems } = compile(policyOf(file, 'casl'), { revision: 1, evaluators: ['casl'] });
  assert.ok(snapshot, JSON.stringify(problems));
  const made = { ...exportRules(snapshot), rules: snapshot.rules };
  known.set(file, made);
  return made;
}

/** It has no rules beside Cedar's policies, so that nothing else could allow. */
export function cedarPolicyOf(file: CaseFile): Policy {
  return {
    ...policyOf(file, 'cedar'),
    rules: [],
    cedar: [{ id: 'rules', policies: exported(file).text }],
  };
}

/** The rule that the export could not say and the case is about, or what of the request Cedar has no value for. */
export function whyNotInCedar(file: CaseFile, snapshot: Snapshot, asked: Case): string | undefined {
  const { omitted, rules } = exported(file);
  for (const { ruleId, why } of omitted) {
    const rule = rules.get(ruleId);
    // One that is switched off is not there for anybody.
    if (rule?.source.enabled && isAbout(rule, asked)) return `the rule ${ruleId} ${why}`;
  }
  try {
    cedarRequest(snapshot, requestIn(snapshot, asked), cedarPoliciesOf(snapshot));
    return undefined;
  } catch (cause) {
    return cause instanceof Error ? cause.message : String(cause);
  }
}

function isAbout({ actions, subjects }: CompiledRule, { action, resource }: Case): boolean {
  const has = (names: readonly string[], name: string, any: string) =>
    names.includes(name) || names.includes(any);
  return has(actions, action, ANY_ACTION) && has(subjects, resource.type, ANY_TYPE);
}
