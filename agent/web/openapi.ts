/** The API in its own words: an OpenAPI 3.1 document of the routes that a server serves. */
import { object, oneOf, ref, SCHEMAS, type Schema } from './openapi-schemas.ts'

interface Operation {
  readonly summary: string
  /** By name; with `must` it may not be left out. */
  readonly query?: Readonly<Record<string, Schema & { readonly must?: true }>>
  readonly body?: { readonly type: string; readonly schema: Schema }
  /** By status; a media type without a schema is described by its name alone. */
  readonly answers: Readonly<Record<number, { readonly type?: string; readonly schema?: Schema }>>
  /** Answered to anybody. */
  readonly open?: true
}

const json = (name: keyof typeof SCHEMAS) => ({ type: 'application/json', schema: ref(name) })
const bytes = (type: string) => ({ type, schema: { type: 'string' } })
const HTML = bytes('text/html; charset=utf-8')
const PLAIN = bytes('text/plain; charset=utf-8')
/** The server refuses another origin, and the route what is not JSON. */
const EITHER = { type: 'application/json', schema: { anyOf: [ref('Refusal'), ref('Fault')] } }
const moment: Schema = { type: 'integer', minimum: 0, description: 'Unix milliseconds' }

const order = (summary: string, field: Readonly<Record<string, Schema>>): Operation => ({
  summary,
  body: { type: 'application/json', schema: object(field) },
  answers: { 200: json('Relays'), 400: json('Fault'), 403: EITHER, 409: json('Reason') },
})

const OPERATIONS: Readonly<Record<string, Operation>> = {
  'GET /api/health': {
    summary: 'Whether the agent runs, and runs well.',
    answers: { 200: json('Health') },
    open: true,
  },
  'GET /api/openapi.json': { summary: 'This document.', answers: { 200: bytes('application/json') } },
  'GET /api/snapshot': { summary: 'All that the page shows, now.', answers: { 200: json('Snapshot') } },
  'GET /api/events': {
    summary: 'Server-sent events named snapshot, whose data is a Snapshot: one at once, then one a second.',
    answers: { 200: bytes('text/event-stream'), 503: json('Refusal') },
  },
  'GET /api/history': {
    summary: 'What a meter counted, by quarter of an hour, day or month. Energies are milliwatt-hours as text.',
    query: {
      meter: { type: 'string', must: true },
      register: { ...oneOf('import', 'export'), must: true },
      period: { ...oneOf('quarter', 'day', 'month'), must: true },
      from: { ...moment, must: true },
      to: { ...moment, must: true },
    },
    answers: { 200: json('History'), 400: json('Fault'), 503: json('Fault') },
  },
  'GET /api/bill': {
    summary:
      'What the site pays and is paid in a day or month. Money is micro-units as text, negative where the site pays.',
    query: { period: { ...oneOf('day', 'month'), must: true }, at: moment },
    answers: { 200: json('Bill'), 400: json('Fault'), 503: json('Fault') },
  },
  'GET /api/sessions': {
    summary: 'Charging sessions, the newest first; with an id, the records of OCMF of one, a line each.',
    query: { id: { type: 'string' } },
    answers: {
      200: { type: 'application/json or text/plain; charset=utf-8', schema: ref('Sessions') },
      404: json('Fault'),
      409: json('Fault'),
    },
  },
  'GET /api/status': {
    summary: 'Which agent this is, since when it runs, its meters and what is wrong.',
    answers: { 200: json('Status') },
  },
  'GET /api/deals': {
    summary:
      "The site's deals, the newest first, those of the journal behind those at work; `since` and `before` are of their windows' begin. Energies and money are whole numbers as text.",
    query: {
      since: moment,
      before: moment,
      limit: { type: 'integer' },
      id: { type: 'string', pattern: '^[0-9a-f]*$' },
    },
    answers: { 200: json('Deals'), 400: json('Fault') },
  },
  'GET /api/deals/records': {
    summary:
      'What one deal rests on, as a file that `tieline verify` checks: contract, signatures, receipts, records and proofs of the ledgers.',
    query: { id: { type: 'string', pattern: '^[0-9a-f]{64}$', must: true } },
    answers: {
      ...{ 200: json('DealRecords'), 400: json('Fault'), 404: json('Fault') },
      ...{ 410: json('Fault'), 503: json('Fault') },
    },
  },
  'GET /api/wallet': {
    summary: "The site's account on its ledger as it was last proven, and what is locked for its deals.",
    answers: { 200: json('Wallet') },
  },
  'GET /api/light': {
    summary: 'What the light client believes, and on whose word.',
    answers: { 200: json('Light') },
  },
  'GET /api/config': {
    summary: 'The configuration as it stands in its file, and every setting that is in force.',
    answers: { 200: json('Config'), 503: json('Fault') },
  },
  'POST /api/config': {
    summary: 'Edits of the file, whole or not at all; they count from the next start. null leaves a setting out.',
    body: { type: 'application/json', schema: ref('ConfigChange') },
    answers: {
      ...{ 200: json('ConfigChanged'), 400: json('Fault'), 403: EITHER, 409: json('Fault') },
      ...{ 422: json('Mistakes'), 503: json('Fault') },
    },
  },
  'GET /api/update': {
    summary: 'Which release runs, what works with it, and what a restart would interrupt.',
    answers: { 200: json('Update') },
  },
  'POST /api/update/restart': {
    summary: 'Restarts the agent for another release; what runs meanwhile is interrupted only with `now`.',
    body: { type: 'application/json', schema: object({ now: { type: 'boolean' } }) },
    answers: { 200: json('Update'), 400: json('Reason'), 403: EITHER, 409: json('Reason') },
  },
  'GET /api/relays': { summary: 'Each contact, where it is and why.', answers: { 200: json('Relays') } },
  'POST /api/relays/open': order('Opens a direct line.', { line: { type: 'string' } }),
  'POST /api/relays/manual': order('Opens every contact and holds it open, or no longer.', { on: { type: 'boolean' } }),
  'POST /api/relays/clear-weld': order('A person has been at a welded contact.', { contact: { type: 'string' } }),
  'GET /metrics': {
    summary: 'OpenMetrics 1.0 in base units.',
    answers: { 200: bytes('application/openmetrics-text; version=1.0.0; charset=utf-8') },
  },
  'GET /login': { summary: 'A form that asks for the password.', answers: { 200: HTML }, open: true },
  'POST /login': {
    summary: 'Opens a session in a cookie.',
    body: { type: 'application/x-www-form-urlencoded', schema: object({ password: { type: 'string' } }) },
    answers: { 303: PLAIN, 403: HTML, 429: HTML },
    open: true,
  },
  'POST /logout': { summary: 'Ends the session.', answers: { 303: PLAIN }, open: true },
}

/** What the server itself may answer before a route is asked. */
const REFUSALS: Operation['answers'] = { 429: json('Refusal'), 500: json('Refusal') }

const answersOf = (method: string, { answers, open }: Operation, guarded: boolean): Operation['answers'] => ({
  ...REFUSALS,
  ...(guarded && open !== true ? { 401: json('Refusal') } : {}),
  // A person who comes without a session is sent to the form.
  ...(guarded && open !== true && method === 'GET' ? { 303: PLAIN } : {}),
  ...(guarded && method === 'POST' ? { 403: json('Refusal') } : {}),
  ...answers,
})

const describe = (status: string, { type, schema }: Operation['answers'][number]) => ({
  description: MEANINGS[status] ?? 'refused, with the reason',
  ...(type === undefined ? {} : { content: contentOf(type, schema) }),
})

/** Several media types have the schema of the first. */
const contentOf = (types: string, schema: Schema | undefined) =>
  Object.fromEntries(
    types
      .split(' or ')
      .map((type, n) => [type, { schema: n === 0 && schema !== undefined ? schema : { type: 'string' } }]),
  )

const MEANINGS: Readonly<Record<string, string>> = {
  200: 'done',
  303: 'see the page that is named',
  401: 'log in or show a token',
  429: 'too many requests: see Retry-After',
  500: 'a mistake of the agent, which is in its log',
  503: 'not now',
}

/** `served` by method and path, as in `GET /api/bill`; `files` are served as they are. With `guarded`, who asks must be known. */
export function openApi(
  served: readonly string[],
  files: readonly { readonly path: string; readonly contentType: string }[],
  guarded: boolean,
): Schema {
  const known: Readonly<Record<string, Operation>> = {
    ...OPERATIONS,
    ...Object.fromEntries(
      files.map(({ path, contentType }) => [
        `GET ${path}`,
        { summary: 'A file of the page.', answers: { 200: bytes(contentType) } },
      ]),
    ),
  }
  const paths: Record<string, Record<string, Schema>> = {}
  for (const route of served) {
    const [method = '', path = ''] = route.split(' ')
    const operation = known[route]
    if (operation === undefined) continue
    const { summary, query, body, open } = operation
    const answers = Object.entries(answersOf(method, operation, guarded))
    paths[path] = {
      ...paths[path],
      [method.toLowerCase()]: {
        summary,
        ...(open === true && guarded ? { security: [] } : {}),
        ...(query === undefined ? {} : { parameters: Object.entries(query).map(parameter) }),
        ...(body === undefined
          ? {}
          : { requestBody: { required: true, content: { [body.type]: { schema: body.schema } } } }),
        responses: Object.fromEntries(answers.map(([status, answer]) => [status, describe(status, answer)])),
      },
    }
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'Tieline',
      version: '1',
      description:
        'What an agent on a meter gateway says and takes. A POST is taken as JSON and from its own origin only.',
    },
    ...(guarded ? { security: [{ session: [] }, { token: [] }] } : {}),
    paths,
    components: {
      schemas: SCHEMAS,
      ...(guarded ? { securitySchemes: SECURITY } : {}),
    },
  }
}

const SECURITY = {
  session: { type: 'apiKey', in: 'cookie', name: 'tieline-SITE', description: 'SITE is the name of the site.' },
  token: { type: 'http', scheme: 'bearer' },
} as const

const parameter = ([name, { must, ...schema }]: [string, Schema & { readonly must?: true }]) => ({
  ...{ name, in: 'query', required: must === true, schema },
})
