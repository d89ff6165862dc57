/** What is wrong with routes is told when they are written. */
import assert from 'node:assert/strict';
import { compile } from '../../../../src/policy/compile.ts';
import { reservedPrefixes } from '../../../../src/policy/routes/reserved-prefixes.ts';
import { shapeRoute } from '../../../../src/policy/routes/route-schema.ts';
import { compiled, policyOf } from '../sample-policy.ts';
import { codesOf, problemsOf, publicRoute, routeOf } from './sample-routes.ts';

const placesOf = (input: object) =>
  shapeRoute({ methods: ['GET'], path: '/a', resource: 'document', action: 'read', ...input }).problems.map(
    ({ pointer }) => pointer,
  );

describe('the shape of a route', () => {
  it('is taken as it is written, without what is null and without public: false', () => {
    const written = {
      id: 'a',
      host: 'app.example.com',
      methods: ['GET', 'HEAD'],
      path: '/a/:id',
      resource: 'document',
      action: 'read',
      resourceId: `$\{path.id}`,
      attributes: { pages: 3 },
      upstream: {
        targets: ['http://10.0.0.1:8080', 'https://[::1]'],
        healthCheck: { path: '/health?deep=1' },
        webSocket: true,
        origins: ['https://app.example.com'],
      },
      headers: ['principal'],
      rateLimit: { requests: 10, windowSeconds: 60 },
    };
    const { value, problems } = shapeRoute({ ...written, public: false });
    assert.deepEqual(problems, []);
    assert.deepEqual(value, { ...written, rateLimit: { requests: 10, windowSeconds: 60, per: 'principal' } });
    assert.deepEqual(shapeRoute({ ...value, host: null, headers: null }).value.host, undefined);
  });

  for (const [what, input, pointer] of [
    ['no method', { methods: [] }, '/methods'],
    ['a method in lower case', { methods: ['get'] }, '/methods/0'],
    ['an unknown method', { methods: ['QUERY'] }, '/methods/0'],
    ['a method twice', { methods: ['GET', 'GET'] }, '/methods/1'],
    ['a host in capitals', { host: 'App.example.com' }, '/host'],
    ['a host with a port', { host: 'app.example.com:80' }, '/host'],
    ['a wildcard host', { host: '*.example.com' }, '/host'],
    ['a target with a path', { upstream: 'http://a:1/b' }, '/upstream'],
    ['a target with a slash', { upstream: 'http://a:1/' }, '/upstream'],
    ['a target with a query', { upstream: 'http://a:1?b' }, '/upstream'],
    ['a target with credentials', { upstream: 'http://u:p@a:1' }, '/upstream'],
    ['a target with a fragment', { upstream: 'http://a:1#b' }, '/upstream'],
    ['a target of another scheme', { upstream: 'file://a' }, '/upstream'],
    ['a target with a tab', { upstream: 'http://a\t:1' }, '/upstream'],
    ['a target that hides its host', { upstream: 'http://%61:1' }, '/upstream'],
    ['no target', { upstream: { targets: [] } }, '/upstream/targets'],
    [
      'too many targets',
      { upstream: { targets: Array.from({ length: 17 }, (_, at) => `http://a:${at + 1}`) } },
      '/upstream/targets',
    ],
    ['no time', { upstream: { targets: ['http://a'], timeoutMs: 0 } }, '/upstream/timeoutMs'],
    ['too many retries', { upstream: { targets: ['http://a'], retries: 4 } }, '/upstream/retries'],
    [
      'an origin with a path',
      { upstream: { targets: ['http://a'], origins: ['https://a/'] } },
      '/upstream/origins/0',
    ],
    [
      'an origin as no browser sends it',
      { upstream: { targets: ['http://a'], origins: ['https://a:443'] } },
      '/upstream/origins/0',
    ],
    ['an unknown header', { headers: ['secret'] }, '/headers/0'],
    ['a limit of none', { rateLimit: { requests: 0, windowSeconds: 1 } }, '/rateLimit/requests'],
    ['a limit per moon', { rateLimit: { requests: 1, windowSeconds: 1, per: 'moon' } }, '/rateLimit/per'],
    ['an unknown key', { priority: 1 }, '/priority'],
  ] as const)
    it(`is refused where it is wrong: ${what}`, () => {
      assert.deepEqual(placesOf(input), [pointer]);
    });
});

describe('routes of a policy', () => {
  it('a sound route has no problem', () => {
    const attributes = {
      title: `$\{query.title}`,
      body: `$\{header.x-body}`,
      tags: `$\{body/tags}`,
      pages: 7,
      status: 'draft',
      ownerId: `$\{path.owner}`,
    };
    assert.deepEqual(codesOf(routeOf('/a/:id/:owner', { resourceId: `$\{path.id}`, attributes })), []);
    assert.deepEqual(codesOf(publicRoute('/a')), []);
  });

  it('a path that is no template is refused where it is', () => {
    assert.deepEqual(codesOf(routeOf('/ok'), routeOf('/a/../b')), ['/routes/1/path route_path']);
  });

  it('a resource type or action that is not there is refused, with the one that was meant', () => {
    const [type] = problemsOf(routeOf('/a', { resource: 'documnet' }));
    assert.deepEqual(
      [type?.pointer, type?.code, type?.suggestion],
      ['/routes/0/resource', 'unknown_type', 'document'],
    );
    const [action] = problemsOf(routeOf('/a', { action: 'raed' }));
    assert.deepEqual(
      [action?.pointer, action?.code, action?.suggestion],
      ['/routes/0/action', 'unknown_action', 'read'],
    );
    for (const action of ['manage', ''])
      assert.deepEqual(codesOf(routeOf('/a', { action })), ['/routes/0/action unknown_action']);
    assert.deepEqual(codesOf(routeOf('/a', { resource: 'all' })), ['/routes/0/resource unknown_type']);
  });

  it('types that the gateway keeps itself are behind no route', () => {
    assert.deepEqual(codesOf(routeOf('/a', { resource: 'castellan.rule' })), ['/routes/0/resource reserved']);
  });

  it('a route decides on something, or is public and decides on nothing', () => {
    assert.deepEqual(codesOf({ id: 'a', methods: ['GET'], path: '/a' }), [
      '/routes/0/resource shape',
      '/routes/0/action shape',
    ]);
    assert.deepEqual(codesOf(routeOf('/a', { public: true, resourceId: 'x', attributes: {} })), [
      '/routes/0/resource shape',
      '/routes/0/action shape',
      '/routes/0/resourceId shape',
      '/routes/0/attributes shape',
    ]);
  });

  for (const [what, attributes, code, says] of [
    ['an attribute that is not there', { titel: 'x' }, 'unknown_attribute', /did you mean title/],
    ['one that objects inherit', { ['__proto__x']: 'x' }, 'unknown_attribute', /./],
    ['the id among them', { id: 'x' }, 'reserved', /resourceId/],
    ['a value of another type', { pages: 'x' }, 'value', /an integer/],
    ['a value outside the list', { status: 'gone' }, 'value', /one of/],
    ['a text with U+0000', { title: 'a\0' }, 'value', /U\+0000/],
    ['half a surrogate pair', { title: '\ud800' }, 'value', /surrogate/],
    ['text beside a template', { title: `a-$\{path.id}` }, 'template', /whole value/],
    ['a parameter that the path has not', { title: `$\{path.ib}` }, 'template', /did you mean id/],
    ['an unknown source', { title: `$\{cookie.a}` }, 'template', /there are/],
    ['a header in capitals', { title: `$\{header.X-A}` }, 'template', /lower case/],
    ['a header with _', { title: `$\{header.x_a}` }, 'template', /lower case/],
    ['a pointer that is none', { title: `$\{body/a~2}` }, 'template', /JSON pointer/],
    ['a list out of a query', { tags: `$\{query.tags}` }, 'template', /only a body/],
  ] as const)
    it(`attributes are checked: ${what}`, () => {
      const [problem, ...more] = problemsOf(routeOf('/a/:id', { attributes }));
      assert.deepEqual(more, []);
      assert.equal(problem?.pointer, `/routes/0/attributes/${Object.keys(attributes)[0]}`);
      assert.equal(problem?.code, code);
      assert.match(problem?.message ?? '', says);
    });

  it('attack: no attribute is read from a header that says who asks, or that a hop sets', () => {
    for (const name of [
      'authorization',
      'cookie',
      'castellan-principal',
      'forwarded',
      'x-forwarded-host',
      'x-real-ip',
      'x-original-url',
      'connection',
      'te',
      'transfer-encoding',
      'proxy-authorization',
      'upgrade',
      'keep-alive',
      'trailer',
    ])
      assert.deepEqual(
        codesOf(routeOf('/a', { attributes: { title: `\${header.${name}}` } })),
        ['/routes/0/attributes/title template'],
        name,
      );
  });

  it('two routes for the same requests are refused, whatever their parameters are called', () => {
    const problems = problemsOf(
      routeOf('/a/:x'),
      routeOf('/a/:y', { methods: ['POST'] }),
      routeOf('/a/:z', { methods: ['GET', 'POST'] }),
    );
    assert.deepEqual(
      problems.map(({ pointer, code }) => `${pointer} ${code}`),
      ['/routes/2/path route_overlap'],
    );
    assert.match(problems[0]?.message ?? '', /the route any-\/a\/:x \(GET \/a\/:x\)/);
    assert.deepEqual(codesOf(routeOf('/a'), routeOf('/a', { host: 'b' }), routeOf('/A')), []);
  });

  it('a route that no request can reach is refused, and names those that take its requests', () => {
    const covering = [routeOf('/a/:x'), routeOf('/a/:x/:y'), routeOf('/a/:x/:y/*rest')];
    const problems = problemsOf(routeOf('/a/*all'), ...covering);
    assert.deepEqual(
      problems.map(({ pointer, code }) => `${pointer} ${code}`),
      ['/routes/0/path route_unreachable'],
    );
    assert.match(problems[0]?.message ?? '', /any-\/a\/:x\/:y\/\*rest/);
    assert.deepEqual(codesOf(routeOf('/a/*all', { methods: ['GET', 'PUT'] }), ...covering), []);
    assert.deepEqual(codesOf(routeOf('/a/*all', { host: 'b' }), ...covering), []);
    for (const left of covering)
      assert.deepEqual(
        codesOf(routeOf('/a/*all'), ...covering.filter((route) => route !== left)),
        [],
        left.path,
      );
  });

  it('attack: the paths of Castellan itself are refused, in whatever case', () => {
    const upstream = 'http://127.0.0.1:9';
    for (const prefix of reservedPrefixes)
      for (const path of [prefix, `${prefix.toUpperCase()}/:x`]) {
        assert.deepEqual(codesOf(routeOf(path)), ['/routes/0/path route_reserved'], path);
        assert.deepEqual(
          codesOf(routeOf(path, { host: 'a', upstream })),
          ['/routes/0/path route_reserved'],
          path,
        );
        assert.deepEqual(codesOf(routeOf(path, { host: 'a' })), [], path);
      }
    assert.deepEqual(codesOf(routeOf('/api/:v/admin'), routeOf('/api/v1/:x'), routeOf('/documents')), []);
  });
});

describe('routes in a snapshot', () => {
  const routes = [routeOf('/a')];

  it('are compiled with the policy, and once as long as neither they nor the types change', () => {
    const first = compiled(policyOf([], { routes }));
    assert.equal(first.routes.match(undefined, 'GET', ['a'])?.route.route.id, 'any-/a');
    const next = compiled({ ...first.policy, rules: [] }, { revision: 2, previous: first });
    assert.equal(next.routes, first.routes);
    const other = compiled({ ...first.policy, routes: [...routes] }, { revision: 2, previous: first });
    assert.notEqual(other.routes, first.routes);
  });

  it('what is wrong with them keeps a policy from being compiled', () => {
    const { problems } = compile(policyOf([], { routes: [...routes, ...routes] }), {
      revision: 1,
      evaluators: ['casl'],
    });
    assert.deepEqual(
      problems
        ?.filter(({ pointer }) => pointer.startsWith('/routes'))
        .map(({ pointer, code }) => `${pointer} ${code}`),
      ['/routes/1/id duplicate', '/routes/1/path route_overlap'],
    );
  });
});
