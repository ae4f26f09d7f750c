/** The API's document against the server that it describes: every route, and every answer. */
import type { SiteBill } from '../../../agent/bill/site-bill.ts'
import { sessionsRoute } from '../../../agent/charging/sessions-route.ts'
import { joinViews, viewAgent } from '../../../agent/web/agent-view.ts'
import { billRoute } from '../../../agent/web/bill-route.ts'
import { createCurveRing } from '../../../agent/web/curve-ring.ts'
import { historyRoute } from '../../../agent/web/history-route.ts'
import { relayRoutes } from '../../../agent/web/relay-routes.ts'
import { serveHttp } from '../../../drivers/http/server.ts'
import { micros, microsPerKwh, milliwattHours, wattHours } from '../../../protocol/quantity.ts'
import { fail, ok } from '../../../protocol/result.ts'
import { instant } from '../../../protocol/time.ts'
import { assert, suite } from '../../harness.ts'
import { createSite } from '../charging/one-site.ts'
import { lineBench } from '../relays/line-bench.ts'
import { exampleSnapshot } from '../snapshot-example.ts'
import { type Answer, cookieOf, FORM, guardedWeb, JSON_TYPE, PASSWORD } from './guarded-web.ts'
import { violationsOf } from './schema-check.ts'

const test = suite('openapi')

// biome-ignore lint/suspicious/noExplicitAny: the document is what is tested.
type Document = any

const NOON = instant(1_795_000_000_000)
const bill: SiteBill = {
  ...{ period: 'day', start: NOON, end: instant(NOON + 86_400_000), until: instant(NOON + 900_000), complete: false },
  missing: [{ start: NOON, end: instant(NOON + 900_000), why: 'not-settled' }],
  ...{ money: -1_234_000n, withoutTrading: -1_500_000n, saved: 266_000n, fees: micros(0n) },
  energy: { bought: wattHours(4000n), sold: wattHours(0n), drawn: wattHours(1000n), 'fed-in': wattHours(0n) },
  now: { pays: microsPerKwh(240_000n), gets: microsPerKwh(80_000n) },
  ahead: { from: NOON, money: micros(-600_000n) },
}
const bucket = { start: NOON, end: instant(NOON + 900_000), readings: 60, complete: true, touched: [] }

/** A server with every route that there is, beside real relay control on simulated wires. */
async function whole(auth?: false) {
  const bench = await lineBench()
  await bench.pass(4000)
  let served: string[] = []
  const web = await guardedWeb({
    ...(auth === false ? { auth } : {}),
    serve: options => {
      served = Object.keys(options.routes)
      return serveHttp(options)
    },
    page: ['/', '/page.css', '/page.js'].map(path => ({ path, contentType: 'text/plain', body: new Uint8Array(1) })),
    relays: relayRoutes(bench.agents.home.control, 'maple', ['L1', 'L2']),
    metrics: () => ({
      ...{ kind: 'bytes', status: 200, bytes: new Uint8Array(0) },
      type: 'application/openmetrics-text; version=1.0.0; charset=utf-8',
    }),
    bill: billRoute(
      { bill: async period => (period === 'day' ? ok(bill) : fail({ code: 'bill.future' })) },
      () => NOON,
    ),
    history: historyRoute(
      {
        energy: async ({ period }) =>
          period === 'month'
            ? fail({ code: 'history.index' })
            : ok({
                untimed: 0,
                buckets: [
                  { ...bucket, meterId: '19', energy: milliwattHours(12n), reach: { from: NOON, to: NOON } },
                  { ...bucket, readings: 0, complete: false, absent: ['no-reading'], touched: ['gap'] },
                ],
              }),
      },
      new Set(['grid']),
    ),
    sessions: sessionsRoute({
      list: () => [
        {
          ...{ id: '5f0c', port: 'garage', direction: 'import', tariff: '0.39 EUR/kWh', began: NOON, state: 'ended' },
          user: { level: 'HEARSAY', flags: ['RFID_PLAIN'], type: 'ISO14443', id: '1F2D' },
          ...{ ended: NOON, energy: milliwattHours(7n), ocmf: ['OCMF|{}|{}'] },
        },
        { id: '60', port: 'garage', direction: 'import', tariff: '-', began: NOON, state: 'open', ocmf: [] },
      ],
    }),
  })
  return { web, bench, served: () => served }
}

/** What is wrong with an answer by the document. */
function judge(document: Document, method: string, path: string, { status, headers, text }: Answer): string[] {
  const operation = document.paths[path.split('?')[0]!]?.[method.toLowerCase()]
  const described = operation?.responses[status]
  if (described === undefined) return [`${method} ${path}: ${status} is not described`]
  const type = headers['content-type'] as string
  const content = described.content?.[type]
  if (content === undefined) return [`${method} ${path}: ${status} as ${type} is not described`]
  const value = type === 'application/json' && content.schema.type !== 'string' ? JSON.parse(text) : text
  return violationsOf(value, content.schema, document).map(wrong => `${method} ${path}: ${wrong}`)
}

const HISTORY = '/api/history?meter=grid&register=import&from=1795000000000&to=1795604800000'
const ASKED: readonly (readonly [method: string, path: string, status: number, body?: string])[] = [
  ['GET', '/', 200],
  ['GET', '/page.css', 200],
  ['GET', '/page.js', 200],
  ['GET', '/api/health', 200],
  ['GET', '/api/openapi.json', 200],
  ['GET', '/api/snapshot', 200],
  ['GET', `${HISTORY}&period=day`, 200],
  ['GET', `${HISTORY}&period=month`, 503],
  ['GET', HISTORY, 400],
  ['GET', '/api/bill?period=day', 200],
  ['GET', '/api/bill?period=month', 400],
  ['GET', '/api/bill?period=year', 400],
  ['GET', '/api/sessions', 200],
  ['GET', '/api/sessions?id=5f0c', 200],
  ['GET', '/api/sessions?id=60', 409],
  ['GET', '/api/sessions?id=61', 404],
  ['GET', '/metrics', 200],
  ['GET', '/api/relays', 200],
  ['POST', '/api/relays/open', 200, '{"line":"L1"}'],
  ['POST', '/api/relays/open', 409, '{"line":"L9"}'],
  ['POST', '/api/relays/open', 400, '{"line":1}'],
  ['POST', '/api/relays/manual', 200, '{"on":true}'],
  ['POST', '/api/relays/manual', 400, 'on'],
  ['POST', '/api/relays/clear-weld', 409, '{"contact":"L1.line"}'],
]

for (const guarded of [true, false]) {
  test(`every route of a server that asks ${guarded ? 'who comes' : 'nobody'} is described, and so is every answer`, async () => {
    const { web, bench, served } = await whole(guarded ? undefined : false)
    const wrong: string[] = []
    const seen = new Set<string>()
    try {
      const cookie = guarded ? { cookie: cookieOf(await web.login(PASSWORD)) } : {}
      const document: Document = JSON.parse((await web.ask('GET', '/api/openapi.json', cookie)).text)
      const described = Object.entries(document.paths).flatMap(([path, methods]) =>
        Object.keys(methods as object).map(method => `${method.toUpperCase()} ${path}`),
      )
      assert.equal(described.sort(), served().sort())
      const ask = async (method: string, path: string, status: number, headers: Record<string, string>, body = '') => {
        const answer = await web.ask(method, path, headers, body)
        assert.is(answer.status, status, `${method} ${path}: ${answer.text}`)
        seen.add(`${method} ${path.split('?')[0]}`)
        wrong.push(...judge(document, method, path, answer))
      }
      for (const [method, path, status, body] of ASKED) {
        await ask(method, path, status, { ...cookie, ...(method === 'POST' ? JSON_TYPE : {}) }, body)
        if (method === 'POST') await ask(method, path, 403, { ...cookie, 'content-type': 'text/plain' }, body)
        if (method === 'POST' && guarded) await ask(method, path, 403, { ...cookie, origin: 'http://evil.example' })
        if (!guarded || path === '/api/health') continue
        await ask(method, path, 401, {})
        if (method === 'GET') await ask(method, path, 303, { accept: 'text/html' })
      }
      if (guarded) {
        await ask('GET', '/login', 200, {})
        await ask('POST', '/login', 403, FORM, 'password=wrong')
        await ask('POST', '/login', 303, FORM, new URLSearchParams({ password: PASSWORD }).toString())
        for (let n = 0; n < 2; n++) await web.login('wrong')
        await ask('POST', '/login', 429, FORM, 'password=wrong')
        await ask('POST', '/logout', 303, { ...cookie, ...FORM })
      }
      assert.equal(
        served().filter(route => !seen.has(route)),
        ['GET /api/events'],
        'a stream has no end: see the events',
      )
      assert.equal(wrong, [])
    } finally {
      await web.close()
    }
    assert.equal(bench.violations, [])
  })
}

test('every answer keeps other pages away from it, and nothing of it is kept', async () => {
  const { web } = await whole()
  try {
    const cookie = cookieOf(await web.login(PASSWORD))
    for (const [method, path, headers] of [
      ...ASKED.map(([method, path]) => [method, path, { cookie }] as const),
      ['GET', '/', {}],
      ['GET', '/login', {}],
      ['GET', '/none', { cookie }],
      ['PUT', '/api/snapshot', { cookie }],
      ['POST', '/login', { origin: 'http://evil.example' }],
    ] as const) {
      const { headers: answered } = await web.ask(method, path, headers)
      assert.is(answered['x-content-type-options'], 'nosniff', path)
      assert.match(String(answered['content-security-policy']), /default-src 'none'.*frame-ancestors 'none'/, path)
      assert.is(answered['cross-origin-resource-policy'], 'same-origin', path)
      assert.is(answered['cross-origin-opener-policy'], 'same-origin', path)
      assert.is(answered['referrer-policy'], 'same-origin', path)
      assert.is(answered['access-control-allow-origin'], undefined)
      const file = answered['cache-control'] === 'no-cache'
      assert.is(file, 'cookie' in headers && /^\/(page\..*)?$/.test(path), path)
      assert.ok(file || answered['cache-control'] === 'no-store', path)
    }
  } finally {
    await web.close()
  }
})

test('what a whole agent shows is a Snapshot, and one that is changed anywhere is none', async () => {
  const { web } = await whole(false)
  const document: Document = await web
    .ask('GET', '/api/openapi.json')
    .then(({ text }) => JSON.parse(text))
    .finally(web.close)
  const schema = { $ref: '#/components/schemas/Snapshot' }
  const wrong = (value: unknown) => violationsOf(JSON.parse(JSON.stringify(value)), schema, document)
  const site = await createSite(1)
  await site.time.advance(20_000)
  const { clock } = site.time
  const around = { title: 'maple', time: clock.now(), speed: 1, violations: [], log: [] }
  const shown = joinViews([viewAgent(site.agent, clock, createCurveRing(1, 60_000))], around)
  assert.ok(shown.sites[0]!.chargers!.length === 3 && shown.sites[0]!.meters[0]!.values.length > 0)
  assert.equal(wrong(shown), [])
  await site.stop()
  assert.equal(wrong(exampleSnapshot), [])
  assert.equal(wrong({ ...exampleSnapshot, secret: 1 }), ['$.secret is not named'])
  assert.equal(wrong({ ...exampleSnapshot, time: 0.5 }), ['$.time is number, not integer'])
  const [first, ...others] = exampleSnapshot.sites
  assert.equal(wrong({ ...exampleSnapshot, sites: [{ ...first, powerMw: '0' }, ...others] }), [
    '$.sites[0].powerMw is string, not integer,null',
  ])
  const { title: _, ...untitled } = exampleSnapshot
  assert.equal(wrong(untitled), ['$.title is missing'])
})

test.run()
