/** UPSTREAM_HOSTS: what may be listed, and in which words the rest is refused. */
import assert from 'node:assert/strict';
import { ConfigError, loadConfig, reportSettings } from '../../../src/config.ts';

const shown = (text: string) =>
  reportSettings({ UPSTREAM_HOSTS: text }).find(({ name }) => name === 'UPSTREAM_HOSTS')?.value;

describe('UPSTREAM_HOSTS', () => {
  it('is empty when it is not set', () => {
    assert.deepEqual(loadConfig({}).upstreamHosts, []);
    assert.equal(shown(''), '');
  });

  it('takes names, suffixes, addresses and CIDRs, with a port or without', () => {
    const all =
      'Press.Inner.test, *.inner.test:8443,10.0.0.0/8,10.0.0.1:80,::1,[::1]:443,[fd00::/8]:80,fd00::/8';
    assert.equal(
      shown(all),
      'press.inner.test,*.inner.test:8443,10.0.0.0/8,10.0.0.1:80,::1,[::1]:443,[fd00::/8]:80,fd00::/8',
    );
    assert.equal(loadConfig({ UPSTREAM_HOSTS: all }).upstreamHosts.length, 8);
  });

  it('stops the start at what is none of them, such as an address in another spelling', () => {
    const wrong = [
      'http://a.test',
      'a.test/x',
      'a.test:0',
      'a.test:70000',
      '*',
      '*.',
      'a.*.test',
      '10.0.0.0/33',
    ];
    const spelt = [
      '127.1',
      '0x7f.1',
      '2130706433',
      '0177.0.0.1',
      '::ffff:10.0.0.1',
      'fe80::1%eth0',
      '[10.0.0.1]',
    ];
    for (const text of [...wrong, ...spelt, 'bücher.test', '[::1', 'a b'])
      assert.throws(
        () => loadConfig({ UPSTREAM_HOSTS: `a.test,${text}` }),
        (thrown) =>
          thrown instanceof ConfigError &&
          thrown.message.startsWith(`UPSTREAM_HOSTS: "${text}" is no host name, *.suffix, address or CIDR`),
        text,
      );
  });
});
