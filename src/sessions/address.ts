/** Client addresses: in one spelling, and as the range that counts as one client. */
import ipaddr from 'ipaddr.js';

/** Bits of an IPv6 address that a customer is given at the least; the rest is theirs to vary (RFC 6177). */
const IPV6_CLIENT_BITS = 64;

/** The address in its usual spelling, IPv4-mapped IPv6 as IPv4, without a zone; null: it is not known. */
export function plainAddress(ip: string | undefined): string | null {
  return read(ip)?.toString() ?? null;
}

/** What counts as one client: an IPv4 address, or the /64 of an IPv6 address. What is not known is one client. */
export function clientRange(ip: string | undefined): string {
  const address = read(ip);
  if (!address) return 'unknown';
  if (!(address instanceof ipaddr.IPv6)) return address.toString();
  const network = ipaddr.IPv6.networkAddressFromCIDR(`${address.toString()}/${IPV6_CLIENT_BITS}`);
  return `${network.toString()}/${IPV6_CLIENT_BITS}`;
}

function read(ip: string | undefined): ipaddr.IPv4 | ipaddr.IPv6 | undefined {
  const bare = ip?.replace(/%.*$/, '');
  return bare !== undefined && ipaddr.isValid(bare) ? ipaddr.process(bare) : undefined;
}
