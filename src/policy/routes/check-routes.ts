/** The routes of a policy against its resource types and against each other: put into a table, or every problem with them. */
import type { Problem } from '../../errors.ts';
import { escapePointer } from '../parse-condition.ts';
import type { ResourceType } from '../policy.ts';
import { unknownName } from '../suggest.ts';
import { checkReach } from './check-reach.ts';
import { type CompiledRoute, compileRoute, specOf } from './compile-route.ts';
import { namesIn, type PathTemplate, readPath } from './path-template.ts';
import { reservedPrefixOf } from './reserved-prefixes.ts';
import type { Route, RouteValue } from './route.ts';
import { makeRouteTable, type PlacedRoute, type RouteTable } from './route-table.ts';
import { isFromText, literalMisfit, readTemplate } from './route-value.ts';

export interface CheckedRoutes {
  /** Of those whose path can be read; meant for use where there is no problem. */
  table: RouteTable;
  problems: Problem[];
}

type Types = ReadonlyMap<string, ResourceType>;

/** Checks routes of the right shape; pointers are into the policy document. */
export function checkRoutes(routes: readonly Route[], types: Types): CheckedRoutes {
  const problems: Problem[] = [];
  const placed = routes.map((route, index): PlacedRoute | undefined => {
    const base = `/routes/${index}`;
    const { segments, problem } = readPath(route.path);
    if (problem !== undefined)
      problems.push({ pointer: `${base}/path`, code: 'route_path', message: problem });
    else problems.push(...checkReserved(route, segments, base));
    problems.push(...checkWhat(route, types, segments, base));
    return problem === undefined ? { compiled: compiledOf(route, types), segments } : undefined;
  });
  const table = makeRouteTable(placed.filter((one) => one !== undefined));
  problems.push(...checkReach(placed, table));
  return { table, problems };
}

function compiledOf(route: Route, types: Types): CompiledRoute {
  return compileRoute(route, route.resource === undefined ? undefined : types.get(route.resource));
}

function checkReserved({ host, upstream }: Route, segments: PathTemplate, base: string): Problem[] {
  if (host !== undefined && upstream === undefined) return [];
  const end = segments.findIndex(({ kind }) => kind !== 'literal');
  const literals = segments
    .slice(0, end < 0 ? undefined : end)
    .map((segment) => (segment.kind === 'literal' ? segment.text : ''));
  const prefix = reservedPrefixOf(literals);
  if (prefix === undefined) return [];
  const message = `${prefix} is a path of Castellan itself, where no route is asked; choose another one`;
  return [{ pointer: `${base}/path`, code: 'route_reserved', message }];
}

/** What is decided on: nothing on a public route, an action on a resource type on every other. */
function checkWhat(route: Route, types: Types, segments: PathTemplate, base: string): Problem[] {
  if (route.public)
    return (['resource', 'action', 'resourceId', 'attributes'] as const)
      .filter((key) => route[key] !== undefined)
      .map((key) => ({
        pointer: `${base}/${key}`,
        code: 'shape',
        message: 'must be left out of a public route: nothing is decided there',
      }));
  const missing = (['resource', 'action'] as const).filter((key) => route[key] === undefined);
  const problems = missing.map((key) => ({
    pointer: `${base}/${key}`,
    code: 'shape',
    message: `is required: which ${key === 'action' ? 'action' : 'resource type'} is decided on, unless the route is public`,
  }));
  if (route.resource === undefined) return problems;
  return [...problems, ...checkResource(route, route.resource, types, segments, base)];
}

const isOwn = (name: string) => name.startsWith('castellan.');

function checkResource(
  route: Route,
  name: string,
  types: Types,
  segments: PathTemplate,
  base: string,
): Problem[] {
  const pointer = `${base}/resource`;
  if (isOwn(name))
    return [
      {
        pointer,
        code: 'reserved',
        message: `${name} is a type that the gateway keeps itself, not behind a route`,
      },
    ];
  const type = types.get(name);
  if (!type)
    return [
      unknownName(
        pointer,
        'type',
        name,
        [...types.keys()].filter((known) => !isOwn(known)),
      ),
    ];
  const { action } = route;
  const isKnown = action === undefined || type.actions.includes(action);
  return [
    ...(isKnown ? [] : [unknownName(`${base}/action`, 'action', action, type.actions, ` of ${name}`)]),
    ...checkValues(route, type, segments, base),
  ];
}

function checkValues(
  { resourceId, attributes = {} }: Route,
  type: ResourceType,
  segments: PathTemplate,
  base: string,
): Problem[] {
  const names = namesIn(segments);
  const given = Object.entries(attributes).map(([name, value]): [string, string, RouteValue] => [
    `${base}/attributes/${escapePointer(name)}`,
    name,
    value,
  ]);
  if (resourceId !== undefined) given.push([`${base}/resourceId`, 'id', resourceId]);
  return given.flatMap(([pointer, name, value]): Problem[] => {
    if (name === 'id' && pointer !== `${base}/resourceId`)
      return [{ pointer, code: 'reserved', message: 'is given as resourceId' }];
    if (!specOf(type, name))
      return [unknownName(pointer, 'attribute', name, Object.keys(type.attributes), ` of ${type.type}`)];
    return checkValue(pointer, name, value, type, names);
  });
}

function checkValue(
  pointer: string,
  name: string,
  value: RouteValue,
  type: ResourceType,
  names: readonly string[],
): Problem[] {
  const spec = specOf(type, name);
  if (!spec) return [];
  const template = readTemplate(value);
  if (!template) {
    const message = literalMisfit(value, spec);
    return message === undefined ? [] : [{ pointer, code: 'value', message }];
  }
  const { source, problem } = template;
  if (!source) return [{ pointer, code: 'template', message: problem }];
  if (source.from === 'path' && !names.includes(source.name))
    return [unknownParameter(pointer, source.name, names)];
  if (source.from === 'body' || isFromText(spec)) return [];
  const message = `${name} is an ${spec.type}: only a body can hold one, as in \${body/${name}}`;
  return [{ pointer, code: 'template', message }];
}

function unknownParameter(pointer: string, name: string, names: readonly string[]): Problem {
  const { message, suggestion } = unknownName(pointer, 'parameter', name, names, ' of the path');
  return { pointer, code: 'template', message, ...(suggestion !== undefined && { suggestion }) };
}
