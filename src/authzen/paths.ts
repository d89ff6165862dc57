/** Where each endpoint of the AuthZEN binding is: its default path, and the metadata parameter that tells it (section 10.1). */
export const paths = {
  evaluation: '/access/v1/evaluation',
  evaluations: '/access/v1/evaluations',
  searchSubject: '/access/v1/search/subject',
  searchResource: '/access/v1/search/resource',
  searchAction: '/access/v1/search/action',
} as const;

/** By the parameters of the metadata (section 9.1.1). What is not served is not named: its absence says so. */
export const metadataParameters: Readonly<Record<string, string>> = {
  access_evaluation_endpoint: paths.evaluation,
  access_evaluations_endpoint: paths.evaluations,
  search_subject_endpoint: paths.searchSubject,
  search_resource_endpoint: paths.searchResource,
  search_action_endpoint: paths.searchAction,
};

/** Inserted between the host and the path of the decision point's identifier (section 9.2). */
export const METADATA_PATH = '/.well-known/authzen-configuration';
