/** Where the gateway connects to for a route: where UPSTREAM_HOSTS says, and never by accident where clouds keep credentials. */
import { isIP } from 'node:net';
import ipaddr from 'ipaddr.js';
import type { Range, UpstreamHost } from '../../config/upstream-hosts.ts';

export interface Reach {
  /** Why a target of a route is not connected to, as far as that shows before its name is resolved; undefined: it may be. */
  refusalOf(target: URL): string | undefined;
  /** Why an address is not: the one that was asked for, or one that this name resolved to. */
  refusalOfAddress(address: string, port: number, name?: string): string | undefined;
}

type Address = ipaddr.IPv4 | ipaddr.IPv6;

/** What no service is at. Only what is listed as narrowly as this, or more so, opens one of them: 0.0.0.0/0 does not. */
const closed: readonly { range: Range; what: string }[] = (
  [
    ['169.254.0.0/16', 'link-local, where clouds keep credentials'],
    ['fe80::/10', 'link-local'],
    ['fd00:ec2::254/128', 'where a cloud keeps credentials'],
    ['fd20:ce::254/128', 'where a cloud keeps credentials'],
    ['100.100.100.200/32', 'where a cloud keeps credentials'],
    ['0.0.0.0/8', 'no address of another host'],
    ['::/128', 'no address of another host'],
    ['224.0.0.0/4', 'multicast'],
    ['ff00::/8', 'multicast'],
    ['255.255.255.255/32', 'broadcast'],
  ] as const
).map(([range, what]) => ({ range: ipaddr.parseCIDR(range), what }));

/** Reads the setting; an empty one is anywhere but what is closed. */
export function makeReach(hosts: readonly UpstreamHost[]): Reach {
  const atPort = (port: number) => hosts.filter((host) => host.port === undefined || host.port === port);
  const rangesAt = (port: number) =>
    atPort(port).flatMap((host) => (host.kind === 'range' ? [host.range] : []));
  const hasName = (name: string, port: number) => atPort(port).some((host) => isNamed(host, name));
  const refusalOfAddress: Reach['refusalOfAddress'] = (text, port, name) => {
    const address = ipaddr.process(text.replace(/%.*$/, ''));
    const ranges = rangesAt(port);
    for (const { range, what } of closedAt(address))
      if (
        !ranges.some(
          (listed) => isWithin(listed, range) && readingsOf(address).some((one) => isIn(one, listed)),
        )
      )
        return `${text} is ${what}: it is connected to only where UPSTREAM_HOSTS lists it by address`;
    if (hosts.length === 0 || ranges.some((range) => isIn(address, range))) return undefined;
    if (name !== undefined && hasName(name, port)) return undefined;
    return notListed(name === undefined ? text : `${name} (${text})`, port);
  };
  return {
    refusalOfAddress,
    refusalOf: (target) => {
      const host = bareHost(target.hostname);
      const port = Number(target.port) || (target.protocol === 'https:' ? 443 : 80);
      if (isIP(host)) return refusalOfAddress(host, port);
      // Where addresses are listed, only what it resolves to can tell.
      if (hosts.length === 0 || hasName(host, port) || rangesAt(port).length > 0) return undefined;
      return notListed(host, port);
    },
  };
}

/** Of an IPv6 address without its brackets; of a name without the dot that may end it. */
export function bareHost(host: string): string {
  return host.replace(/^\[(.*)\]$/, '$1').replace(/\.$/, '');
}

function notListed(what: string, port: number): string {
  return `${what} at port ${port} is not among UPSTREAM_HOSTS`;
}

function isNamed(host: UpstreamHost, given: string): boolean {
  const name = bareHost(given).toLowerCase();
  if (host.kind === 'name') return name === host.name;
  return host.kind === 'below' && name.endsWith(host.suffix) && name.length > host.suffix.length;
}

function closedAt(address: Address) {
  return closed.filter(({ range }) => readingsOf(address).some((one) => isIn(one, range)));
}

/** The address, and those of IPv4 that a translator on the way would take it for. */
function readingsOf(address: Address): Address[] {
  if (address instanceof ipaddr.IPv4) return [address];
  const bytes = address.toByteArray();
  return [
    address,
    ...translated
      .filter(({ range }) => isIn(address, range))
      .map(({ at }) => new ipaddr.IPv4(bytes.slice(at, at + 4)))
      // ::1 and :: are none of them.
      .filter(({ octets }) => octets[0] !== 0),
  ];
}

/** IPv4 in IPv6, and from which byte on: NAT64 (RFC 6052, 8215), 6to4 (RFC 3056), IPv4-compatible and translated (RFC 4291, 2765). */
const translated: readonly { range: Range; at: number }[] = (
  [
    ['64:ff9b::/96', 12],
    ['64:ff9b:1::/48', 12],
    ['2002::/16', 2],
    ['::/96', 12],
    ['::ffff:0:0:0/96', 12],
  ] as const
).map(([range, at]) => ({ range: ipaddr.parseCIDR(range), at }));

function isIn(address: Address, [base, bits]: Range): boolean {
  return address.kind() === base.kind() && address.match(base, bits);
}

function isWithin([base, bits]: Range, wide: Range): boolean {
  return bits >= wide[1] && isIn(base, wide);
}
