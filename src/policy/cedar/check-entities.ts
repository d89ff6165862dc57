/** Entities that are stored with the policy, put to Cedar's own reader: each for itself, and all of them together. */
import type { Problem } from '../../errors.ts';
import type { CedarEntity, CedarPart } from '../policy.ts';
import { withCedar } from './engine.ts';
import { textProblem } from './statements.ts';

interface Named {
  entity: CedarEntity;
  name: string;
  pointer: string;
}

/** Everything that is wrong with them, with pointers into the policy. Throws CedarBrokeError. */
export function checkEntities(parts: readonly CedarPart[], schema: string | undefined): Problem[] {
  const all = parts.flatMap(({ entities = [] }, part) =>
    entities.map((entity, index): Named => {
      const name = `${entity.uid.type}::${JSON.stringify(entity.uid.id)}`;
      return { entity, name, pointer: `/cedar/${part}/entities/${index}` };
    }),
  );
  const first = new Map<string, string>();
  const found = all.flatMap((one): Problem[] => {
    const { entity, name, pointer } = one;
    const known = first.get(name);
    if (known !== undefined)
      return [
        {
          pointer: `${pointer}/uid`,
          code: 'duplicate',
          message: `${name} is there twice (first at ${known})`,
        },
      ];
    first.set(name, pointer);
    const without = valuesWithout(entity.attrs ?? {}, `${pointer}/attrs`);
    if (without.length > 0) return without;
    return messagesOf([one], schema).map((message) => ({ pointer, code: 'cedar', message }));
  });
  return found.length > 0 ? found : checkTogether(all, schema);
}

/** Values of JSON that Cedar has none of, and of which its reader says no more than that. */
function valuesWithout(value: unknown, pointer: string): Problem[] {
  const problem = (message: string): Problem[] => [{ pointer, code: 'cedar', message }];
  if (value === null) return problem('is null, which Cedar has not: leave it out');
  if (typeof value === 'number') {
    if (!Number.isInteger(value))
      return problem(
        `is no whole number; Cedar has only these: write {"__extn": {"fn": "decimal", "arg": "${value}"}}`,
      );
    if (!Number.isSafeInteger(value))
      return problem('is too large for a number that every reader of JSON takes for the same');
  }
  if (typeof value !== 'object') return [];
  return Object.entries(value).flatMap(([key, item]) =>
    valuesWithout(item, `${pointer}/${key.replaceAll('~', '~0').replaceAll('/', '~1')}`),
  );
}

/**
 * Those that are right each for itself may still be within each other in a ring. Cedar is handed all of them with every
 * request, and would take none.
 */
function checkTogether(all: readonly Named[], schema: string | undefined): Problem[] {
  return messagesOf(all, schema).map((message) => {
    const place = all.find(({ name }) => message.includes(`\`${name}\``));
    return { pointer: place ? `${place.pointer}/parents` : '/cedar', code: 'cedar', message };
  });
}

/** What Cedar has against them. */
function messagesOf(given: readonly Named[], schema: string | undefined): string[] {
  if (given.length === 0) return [];
  const text = JSON.stringify(given.map(({ entity }) => ({ attrs: {}, parents: [], ...entity })));
  const answer = withCedar((cedar) =>
    cedar.checkParseEntities({ entities: JSON.parse(text), ...(schema !== undefined && { schema }) }),
  );
  return answer.type === 'success' ? [] : answer.errors.map((error) => textProblem(error, '').message);
}
