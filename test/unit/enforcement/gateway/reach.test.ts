/** Where routes may lead: what is listed, and never by accident where clouds keep credentials. */
import assert from 'node:assert/strict';
import { loadConfig } from '../../../../src/config.ts';
import { makeReach } from '../../../../src/enforcement/gateway/reach.ts';

const reach = (hosts: string) => makeReach(loadConfig({ UPSTREAM_HOSTS: hosts }).upstreamHosts);
const mayReach = (hosts: string, target: string) => reach(hosts).refusalOf(new URL(target)) === undefined;

describe('the reach of routes', () => {
  it('SSRF to metadata: link-local, unspecified and multicast addresses are closed in every spelling of a URL', () => {
    for (const host of [
      ...[
        '169.254.169.254',
        '2852039166',
        '0xa9fea9fe',
        '0251.0376.0251.0376',
        '169.254.43518',
        '0xA9.254.169.0xfe',
      ],
      ...['[::ffff:169.254.169.254]', '[::ffff:a9fe:a9fe]', '[0:0:0:0:0:ffff:a9fe:a9fe]', '[::a9fe:a9fe]'],
      ...[
        '[64:ff9b::169.254.169.254]',
        '[64:ff9b:1::a9fe:a9fe]',
        '[2002:a9fe:a9fe::1]',
        '[::ffff:0:a9fe:a9fe]',
      ],
      ...['169。254。169。254', '①⑥⑨.254.169.254', '169.254.169.254.'],
      ...['[fe80::1]', '[febf::1]', '[fd00:ec2::254]', '[FD00:EC2:0::254]', '100.100.100.200'],
      ...['0.0.0.0', '0', '0.1.2.3', '[::]', '[::ffff:0.0.0.0]', '224.0.0.1', '239.255.255.250', '[ff02::1]'],
      ...['255.255.255.255', '4294967295'],
    ])
      for (const scheme of ['http', 'https'])
        assert.ok(!mayReach('', `${scheme}://${host}:8080`), `${scheme}://${host}`);
  });

  it('is everything else where nothing is listed', () => {
    for (const host of [
      '127.0.0.1',
      'localhost',
      '[::1]',
      '10.0.0.1',
      'a.test',
      '[fd00::1]',
      '100.100.100.201',
    ])
      assert.ok(mayReach('', `http://${host}`), host);
  });

  it('opens what is closed only to what lists it as narrowly: 0.0.0.0/0 does not', () => {
    const metadata = 'http://169.254.169.254';
    for (const wide of ['0.0.0.0/0,::/0', '169.0.0.0/8', '*.test,169.254.169.253'])
      assert.ok(!mayReach(wide, metadata));
    for (const listed of ['169.254.169.254', '169.254.0.0/16', '169.254.169.254:80'])
      assert.ok(mayReach(listed, metadata), listed);
    assert.ok(!mayReach('169.254.169.254:8080', metadata));
    assert.ok(mayReach('169.254.169.254', 'http://2852039166'));
  });

  it('is what is listed, by name, suffix, address and port', () => {
    const listed = 'press.test,*.inner.test:8443,10.0.0.0/8:80,[fd00::/8]:80';
    for (const [target, may] of [
      ['http://press.test:1234', true],
      ['http://PRESS.test.', true],
      ['http://a.press.test:81', false],
      ['https://a.b.inner.test:8443', true],
      ['https://inner.test:8443', false],
      ['https://notinner.test:8443', false],
      ['https://a.inner.test:8444', false],
      ['http://10.255.0.1', true],
      ['http://10.255.0.1:81', false],
      ['http://11.0.0.1', false],
      ['http://0x0a000001', true],
      ['http://[::ffff:10.0.0.1]', true],
      ['http://[fd12::1]', true],
      ['http://[fe12::1]', false],
    ] as const)
      assert.equal(mayReach(listed, target), may, target);
    assert.ok(!mayReach('press.test', 'http://10.0.0.1'));
    assert.ok(!mayReach('press.test', 'http://other.test'));
  });

  it('DNS rebinding: a name is what it resolves to, listed or closed', () => {
    const { refusalOf, refusalOfAddress } = reach('press.test,10.0.0.0/8');
    // What it resolves to is not known yet, and an address that it may be is listed.
    assert.equal(refusalOf(new URL('http://other.test')), undefined);
    assert.equal(refusalOfAddress('10.0.0.1', 80, 'other.test'), undefined);
    assert.match(
      String(refusalOfAddress('127.0.0.1', 80, 'other.test')),
      /other\.test \(127\.0\.0\.1\) .*UPSTREAM_HOSTS/,
    );
    assert.equal(refusalOfAddress('127.0.0.1', 80, 'press.test'), undefined);
    for (const address of ['169.254.169.254', '::ffff:169.254.169.254', 'fe80::1%eth0', '0.0.0.0'])
      assert.match(String(refusalOfAddress(address, 80, 'press.test')), /UPSTREAM_HOSTS/, address);
  });
});
