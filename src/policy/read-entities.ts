/** Many entities as they are sent or lie in a file: a document, or a line of JSON for each. */
import { AppError, type FieldError } from '../errors.ts';
import { parseStrictJson } from '../http/strict-json.ts';
import { shapeEntity } from './entity.ts';
import { badEntities, type GivenEntity, placed } from './put-entities.ts';

/** The entities of `{entities: […]}`, or of the list itself. Throws `invalid_request` with everything that is wrong with their shape. */
export function readEntityDocument(body: unknown): GivenEntity[] {
  const [list, base] = Array.isArray(body) ? [body, ''] : [entitiesOf(body), '/entities'];
  if (!Array.isArray(list))
    throw new AppError('invalid_request', {
      message: 'the body must be {"entities": […]}, or lines of application/x-ndjson',
      errors: [{ pointer: '/entities', message: 'must be a list of entities' }],
    });
  return shaped(list.map((value, index) => ({ value, pointer: `${base}/${index}` })));
}

/** The other keys of a policy document are no business of an import of entities. */
function entitiesOf(body: unknown): unknown {
  return typeof body === 'object' && body !== null && 'entities' in body ? body.entities : undefined;
}

/** The entities of lines, each of which is one as JSON; empty lines are none. Throws as above, and `malformed_json` with the line. */
export function readEntityLines(text: string): GivenEntity[] {
  const found: Found[] = [];
  let line = 0;
  for (const written of text.split('\n')) {
    line += 1;
    if (written.trim() === '') continue;
    const where = `line ${line}`;
    found.push({ value: parseLine(written, where), pointer: `/${line - 1}`, where: () => where });
  }
  return shaped(found);
}

/** The value in a line. Throws `malformed_json` with its number. */
function parseLine(text: string, where: string): unknown {
  try {
    return parseStrictJson(text);
  } catch (cause) {
    if (!(cause instanceof AppError)) throw cause;
    throw new AppError('malformed_json', { message: `${where}: ${cause.publicMessage}`, cause });
  }
}

interface Found extends Omit<GivenEntity, 'entity'> {
  value: unknown;
}

function shaped(found: readonly Found[]): GivenEntity[] {
  const errors: FieldError[] = [];
  const given = found.map(({ value, ...place }): GivenEntity => {
    const { value: entity, problems } = shapeEntity(value, place.pointer);
    const one = { entity, ...place };
    if (problems.length > 0) errors.push(...placed(problems, one));
    return one;
  });
  if (errors.length > 0) throw badEntities(errors);
  return given;
}
