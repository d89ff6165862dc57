/** Every configuration of docs/proxies against what the endpoints read and answer; those of Traefik and Envoy are run nowhere else. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parse } from 'yaml';
import { noIdentity } from '../../../src/enforcement/gateway/identity-headers.ts';
import { isOurs } from '../../../src/enforcement/gateway/upstream-headers.ts';

const folder = resolve(import.meta.dirname, '../../../docs/proxies');
const read = (file: string) => readFileSync(join(folder, file), 'utf8');
const identity = Object.keys(noIdentity);
const inLowerCase = identity.map((name) => name.toLowerCase());

describe('the configurations of docs/proxies', () => {
  it('missing identity header (CVE-2026-30851): name each of them', () => {
    for (const file of ['nginx.conf', 'Caddyfile', 'haproxy.lua', 'traefik.yaml', 'envoy.yaml'])
      for (const name of inLowerCase)
        assert.ok(read(file).toLowerCase().includes(name), `${file} does not name ${name}`);
  });

  it('traefik.yaml: asks its own endpoint before the application, believes no client, and takes the headers from the answer', () => {
    const { routers, middlewares } = parse(read('traefik.yaml')).http;
    assert.deepEqual(routers.application.middlewares, ['castellan-first', 'castellan']);
    const { address, trustForwardHeader, authResponseHeaders, ...others } = middlewares.castellan.forwardAuth;
    assert.equal(new URL(address).pathname, '/forward-auth/traefik');
    assert.equal(trustForwardHeader, false);
    assert.deepEqual(authResponseHeaders, identity);
    // With authRequestHeaders, what is left out would be decided on without it.
    assert.deepEqual(others, {});
    const taken: Record<string, string> = middlewares['castellan-first'].headers.customRequestHeaders;
    for (const [name, value] of Object.entries(taken)) assert.ok(value === '' && isOurs(name), name);
    for (const name of identity) assert.equal(taken[name.replace('-', '_')], '', name);
  });

  it('envoy.yaml: asks its own endpoint last before the application, and refuses when it cannot', () => {
    const { filters } = parse(read('envoy.yaml')).static_resources.listeners[0].filter_chains[0];
    const manager = filters[0].typed_config;
    assert.equal(manager.use_remote_address, true);
    assert.equal(manager.common_http_protocol_options.headers_with_underscores_action, 'REJECT_REQUEST');
    const removed = manager.early_header_mutation_extensions[0].typed_config.mutations.map(
      ({ remove }: { remove: string }) => remove,
    );
    for (const name of removed) assert.ok(isOurs(name), name);
    for (const name of inLowerCase) assert.ok(removed.includes(name), name);
    const [asks, sends, ...others] = manager.http_filters;
    assert.equal(sends.name, 'envoy.filters.http.router');
    assert.deepEqual(others, []);
    const { failure_mode_allow, http_service } = asks.typed_config;
    assert.equal(failure_mode_allow, false);
    assert.equal(http_service.path_prefix, '/forward-auth/envoy');
    const set = http_service.authorization_response.allowed_upstream_headers.patterns;
    assert.deepEqual(
      set.map(({ exact }: { exact: string }) => exact),
      inLowerCase,
    );
  });
});
