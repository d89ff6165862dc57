/** The setting FORWARD_AUTH: whose questions are answered, proxy by proxy. */
import Joi from 'joi';
import { itemsOf } from './comma-list.ts';

/** Proxies that there is a contract with. */
export const proxyNames = ['nginx', 'traefik', 'caddy', 'haproxy', 'envoy'] as const;

export type ProxyName = (typeof proxyNames)[number];

const known: ReadonlySet<string> = new Set(proxyNames);

/** The setting as joi checks it: names with commas between; empty: none is answered. */
export const forwardAuthSetting = Joi.string()
  .empty('')
  .default([])
  .custom((text: string, helpers) => {
    const names = itemsOf(text);
    const wrong = names.find((name) => !known.has(name));
    return wrong === undefined
      ? [...new Set(names)]
      : helpers.message({ custom: `"${wrong}" is none of ${proxyNames.join(', ')}` });
  });
