/** FORWARD_AUTH: which proxies are answered. */
import assert from 'node:assert/strict';
import { ConfigError, loadConfig, reportSettings } from '../../../src/config.ts';

const read = (text: string) => loadConfig({ FORWARD_AUTH: text }).forwardAuth;

describe('FORWARD_AUTH', () => {
  it('is every proxy when it is not set, those that it names, and none when it is empty', () => {
    assert.deepEqual(loadConfig({}).forwardAuth, ['nginx', 'traefik', 'caddy', 'haproxy', 'envoy']);
    assert.deepEqual(read('caddy, nginx,caddy'), ['caddy', 'nginx']);
    assert.deepEqual(read(''), []);
    const shown = reportSettings({ FORWARD_AUTH: '' }).find(({ name }) => name === 'FORWARD_AUTH');
    assert.deepEqual([shown?.value, shown?.source], ['', 'environment']);
  });

  it('stops the start at a proxy that there is no contract with, and says which there are', () => {
    for (const text of ['ngnix', 'nginx,Caddy', 'toString', 'nginx caddy'])
      assert.throws(
        () => read(text),
        (thrown) =>
          thrown instanceof ConfigError &&
          /^FORWARD_AUTH: ".+" is none of nginx, traefik, caddy, haproxy, envoy/.test(thrown.message),
        text,
      );
  });
});
