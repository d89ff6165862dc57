/** The setting UPSTREAM_HOSTS: where routes may lead, checked. */
import { isIP } from 'node:net';
import ipaddr from 'ipaddr.js';
import Joi from 'joi';
import { itemsOf } from './comma-list.ts';

/** An address and how many of its first bits count. */
export type Range = [ipaddr.IPv4 | ipaddr.IPv6, number];

/** One host or many, at one port or (undefined) at any. Names are in lower case. */
export type UpstreamHost = { port: number | undefined } & (
  | { kind: 'name'; name: string }
  /** Whatever ends in this, which begins with a dot. */
  | { kind: 'below'; suffix: string }
  | { kind: 'range'; range: Range }
);

/** The setting as joi checks it; empty: anywhere. */
export const upstreamHostsSetting = Joi.string()
  .empty('')
  .default([])
  .custom((text: string, helpers) => {
    const items = itemsOf(text);
    const read = items.map((item) => readHost(item));
    const wrong = items[read.indexOf(undefined)];
    return wrong === undefined
      ? read
      : helpers.message({
          custom: `"${wrong}" is no host name, *.suffix, address or CIDR, each with :port or without ([::1]:443)`,
        });
  });

/** As it may be written. */
export function showHosts(hosts: unknown): string {
  return Array.isArray(hosts) ? hosts.map((host: UpstreamHost) => showHost(host)).join(',') : '';
}

function showHost({ port, ...host }: UpstreamHost): string {
  const text =
    host.kind === 'name' ? host.name : host.kind === 'below' ? `*${host.suffix}` : showRange(host.range);
  if (port === undefined) return text;
  return text.includes(':') ? `[${text}]:${port}` : `${text}:${port}`;
}

function showRange([address, bits]: Range): string {
  return bits === address.toByteArray().length * 8 ? String(address) : `${address}/${bits}`;
}

function readHost(item: string): UpstreamHost | undefined {
  const { 1: host = '', 2: digits } = partsOf(item) ?? [];
  const port = digits === undefined ? undefined : Number(digits);
  if (port !== undefined && (port < 1 || port > 65_535)) return undefined;
  const range = readRange(host);
  if (range) return { kind: 'range', range, port };
  const name = host.toLowerCase();
  if (name.startsWith('*.'))
    return isName(name.slice(2)) ? { kind: 'below', suffix: name.slice(1), port } : undefined;
  return isName(name) ? { kind: 'name', name, port } : undefined;
}

/** Host and port. An IPv6 address without brackets is full of colons, and none of them is before a port. */
function partsOf(item: string): RegExpExecArray | null {
  if (item.startsWith('[')) return /^\[([^[\]]*:[^[\]]*)\](?::(\d{1,5}))?$/.exec(item);
  return /:.*:/.test(item) ? /^(.*)$/.exec(item) : /^([^:]+)(?::(\d{1,5}))?$/.exec(item);
}

function readRange(text: string): Range | undefined {
  const [address = '', bits, ...more] = text.split('/');
  const family = isIP(address);
  if (family === 0 || address.includes('%') || more.length > 0) return undefined;
  const most = family === 4 ? 32 : 128;
  if (bits !== undefined && !(/^\d{1,3}$/.test(bits) && Number(bits) <= most)) return undefined;
  const parsed = ipaddr.parse(address);
  // The addresses that it is held against are IPv4 then.
  if (parsed instanceof ipaddr.IPv6 && parsed.isIPv4MappedAddress()) return undefined;
  return [parsed, bits === undefined ? most : Number(bits)];
}

/** As URLs have it: what a URL takes for an address in another spelling (`127.1`) is no name. */
function isName(name: string): boolean {
  const label = '[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?';
  if (name.length > 253 || !new RegExp(`^${label}(\\.${label})*$`).test(name)) return false;
  return URL.canParse(`http://${name}`) && new URL(`http://${name}`).hostname === name;
}
