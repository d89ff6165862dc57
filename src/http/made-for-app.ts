/**
 * Requests and answers that are an app's own from the beginning. Express makes them so by another prototype, and V8 then
 * takes each property that is set on one for the first of its kind: that took a request longer than its decision.
 */
import { type IncomingMessage, ServerResponse } from 'node:http';
import express, { type Express } from 'express';
import { UpgradableRequest } from './upgradable.ts';

/** What a server makes of what it reads and answers. */
export interface MadeForApp {
  IncomingMessage: typeof IncomingMessage;
  ServerResponse: typeof ServerResponse;
}

/** Classes with the methods of Express; from here on the app knows theirs as its own. */
export function madeForApp(app: Express): MadeForApp {
  class AppRequest extends UpgradableRequest {
    /** Room for what Express and our first steps set on each. */
    override id: string | undefined = undefined;
    override log: IncomingMessage['log'] = undefined;
    access = undefined;
    res = undefined;
    params = undefined;
    body = undefined;
    originalUrl = undefined;
    baseUrl = undefined;
    next = undefined;
  }
  class AppResponse extends ServerResponse {
    locals = undefined;
  }
  app.request = withMethods(AppRequest.prototype, express.request, app);
  app.response = withMethods(AppResponse.prototype, express.response, app);
  return { IncomingMessage: AppRequest, ServerResponse: AppResponse as typeof ServerResponse };
}

/** The prototype with what Express adds to one: its methods, and the app by which they know its settings. */
export function withMethods<Methods extends object>(
  prototype: object,
  methods: Methods,
  app: Express,
): Methods {
  const added = { ...Object.getOwnPropertyDescriptors(methods), app: { ...OPEN, value: app } };
  return Object.defineProperties(prototype, added) as Methods;
}

/** As Express itself defines it. */
const OPEN = { configurable: true, enumerable: true, writable: true };
