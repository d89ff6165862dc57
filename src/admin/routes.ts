/** /admin/routes: which requests are about what, and where they go; each change a revision. */
import Joi from 'joi';
import { RouteRow } from '../policy/models.ts';
import { withRouteId } from '../policy/policy-document.ts';
import { type Route, routeAttributes } from '../policy/routes/route.ts';
import { routeSchema, shapeRoute } from '../policy/routes/route-schema.ts';
import type { Services } from '../services.ts';
import { partEndpoints } from './policy-parts.ts';

export function routeEndpoints(services: Services) {
  return partEndpoints<Route, RouteRow>(services, {
    path: 'routes',
    collection: 'routes',
    name: 'id',
    nameOf: ({ id }) => id,
    resource: 'castellan.route',
    schema: routeSchema,
    shape: (input) => {
      const shaped = shapeRoute(input);
      return shaped.problems.length > 0 ? shaped : { ...shaped, value: withRouteId(shaped.value) };
    },
    rows: (db) => RouteRow.query(db),
    attributesOf: routeAttributes,
    refuseRemoval: () => undefined,
    filters: {
      host: Joi.string(),
      resource: Joi.string(),
      action: Joi.string(),
      public: Joi.boolean(),
    },
  });
}
