/** Many changes at once are no way round what the policy says of each: every part is asked about as if it came alone. */
import { resourceOf } from '../decision/access-request.ts';
import { accessDenied } from '../decision/decision.ts';
import { AppError } from '../errors.ts';
import type { PolicyDiff } from '../policy/diff.ts';
import {
  type Collection,
  nameOf,
  type Part,
  type ResourceType,
  type Role,
  type Rule,
  roleAttributes,
  ruleAttributes,
  typeAttributes,
} from '../policy/policy.ts';
import type { Publication } from '../policy/publish.ts';
import { type Route, routeAttributes } from '../policy/routes/route.ts';
import type { Giver } from './giver.ts';

/** How a part of the policy is a resource of its own. Cases and what Cedar decides by are a part of `castellan.policy`. */
const resources: {
  [C in Exclude<Collection, 'cases' | 'cedar'>]: { type: string; attributesOf(part: Part): object };
} = {
  resourceTypes: {
    type: 'castellan.resource-type',
    attributesOf: (part) => typeAttributes(part as ResourceType),
  },
  roles: { type: 'castellan.role', attributesOf: (part) => roleAttributes(part as Role) },
  rules: { type: 'castellan.rule', attributesOf: (part) => ruleAttributes(part as Rule) },
  routes: { type: 'castellan.route', attributesOf: (part) => routeAttributes(part as Route) },
};

/** Throws `access_denied` for the first part that the giver may not create, update (before and after) or delete. */
export async function requirePartActions(giver: Giver, { before, diff }: Publication): Promise<void> {
  for (const [collection, { type, attributesOf }] of Object.entries(resources)) {
    const declared = before.types.get(type);
    for (const [action, part] of actionsIn(diff, collection as Collection)) {
      const what = `${action} ${type} ${nameOf(collection as Collection, part)}`;
      if (!declared)
        throw new AppError('access_denied', { message: `you may not ${what}: ${type} is not there` });
      const request = {
        principal: giver.principal,
        action: { name: action },
        resource: resourceOf(declared, attributesOf(part)),
        context: giver.context,
      };
      const decision = await giver.decisions.decide(before, request, 'denied');
      if (!decision.allow) throw accessDenied(decision, `you may not ${what}: ${decision.reason}`);
    }
  }
}

function actionsIn(diff: PolicyDiff, collection: Collection): [action: string, part: Part][] {
  const { added, changed, removed } = diff[collection];
  return [
    ...added.map((part): [string, Part] => ['create', part]),
    ...changed.flatMap(({ before, after }): [string, Part][] => [
      ['update', before],
      ['update', after],
    ]),
    ...removed.map((part): [string, Part] => ['delete', part]),
  ];
}
