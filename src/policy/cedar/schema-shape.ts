/** What a Cedar schema declares, as far as requests and resource types are held against it. */
import { withCedar } from './engine.ts';

/** What a type of entities, or the context of an action, may hold. */
export interface EntityShape {
  attributes: ReadonlyMap<string, string>;
  memberOf: readonly string[];
}

export interface ActionShape {
  resources: readonly string[];
  principals: readonly string[];
  context: ReadonlyMap<string, string>;
}

export interface SchemaShape {
  entities: ReadonlyMap<string, EntityShape>;
  /** Those of no namespace: that is where Castellan's actions are. */
  actions: ReadonlyMap<string, ActionShape>;
}

/** The shape of a schema that was found valid. Throws where it is not. */
export function schemaShape(schema: string): SchemaShape {
  const read = withCedar((cedar) => cedar.schemaToJsonWithResolvedTypes(schema));
  if (read.type === 'failure') throw new Error(read.errors[0]?.message);
  const entities = new Map<string, EntityShape>();
  const types: Lookup = (name) => read.json[namespaceOf(name)]?.commonTypes?.[baseOf(name)];
  for (const [namespace, { entityTypes }] of Object.entries(read.json))
    for (const [name, declared] of Object.entries(entityTypes)) {
      const isPlain = !('enum' in declared);
      entities.set(namespace === '' ? name : `${namespace}::${name}`, {
        attributes: attributesOf(isPlain ? declared.shape : undefined, types),
        memberOf: (isPlain ? declared.memberOfTypes : undefined) ?? [],
      });
    }
  const actions = new Map<string, ActionShape>();
  for (const [name, { appliesTo }] of Object.entries(read.json['']?.actions ?? {}))
    actions.set(name, {
      resources: appliesTo?.resourceTypes ?? [],
      principals: appliesTo?.principalTypes ?? [],
      context: attributesOf(appliesTo?.context, types),
    });
  return { entities, actions };
}

type Lookup = (commonType: string) => object | undefined;

/** The kind of each attribute: String, Long, Boolean, Set, Record, Entity, or the name of an extension type. */
function attributesOf(shape: object | undefined, types: Lookup): Map<string, string> {
  const record = shape && resolved(shape, types);
  const attributes: unknown = record && 'attributes' in record ? record.attributes : {};
  if (typeof attributes !== 'object' || attributes === null) return new Map();
  return new Map(
    Object.entries(attributes).map(([name, declared]): [string, string] => [name, kindOf(declared, types)]),
  );
}

function kindOf(declared: unknown, types: Lookup): string {
  const type = typeof declared === 'object' && declared ? resolved(declared, types) : {};
  const named =
    'type' in type && type.type === 'Extension' && 'name' in type
      ? type.name
      : 'type' in type
        ? type.type
        : '';
  const kind = String(named).replace(/^__cedar::/, '');
  return kind === 'Bool' ? 'Boolean' : kind;
}

/** Follows names of common types; a schema that was found valid has no loop of them. */
function resolved(declared: object, types: Lookup): object {
  const common = 'type' in declared && typeof declared.type === 'string' ? types(declared.type) : undefined;
  return common ? resolved(common, types) : declared;
}

function namespaceOf(name: string): string {
  return name.includes('::') ? name.slice(0, name.lastIndexOf('::')) : '';
}

function baseOf(name: string): string {
  return name.slice(name.lastIndexOf('::') + 1).replace(/^:/, '');
}
