/** `tieline relay` against a relay control on simulated wires, over the real server. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { EXIT } from '../../../agent/cli/exit-codes.ts'
import { sentenceOf } from '../../../agent/relays/sentences.ts'
import { relayRoutes } from '../../../agent/web/relay-routes.ts'
import { createWeb } from '../../../agent/web/server.ts'
import { serveHttp } from '../../../drivers/http/server.ts'
import { must } from '../../../protocol/result.ts'
import { assert, suite } from '../../harness.ts'
import { type LineBench, lineBench } from '../relays/line-bench.ts'
import { smallSite } from '../small-site.ts'
import { runTieline } from './cli-run.ts'

const test = suite('tieline relay')
const KEYS = `{seed: ${'01'.repeat(32)}}`

/** The buyer of the bench as the agent of site maple. */
async function site(body: (bench: LineBench, at: Awaited<ReturnType<typeof serve>>) => Promise<void>) {
  const bench = await lineBench()
  await bench.pass(4000)
  const at = await serve(bench)
  try {
    await body(bench, at)
  } finally {
    await at.close()
  }
}

async function serve(bench: LineBench, named = 'maple') {
  const web = must(
    await createWeb({
      serve: serveHttp,
      host: '127.0.0.1',
      port: 0,
      page: [],
      snapshot: () => assert.unreachable() as never,
      relays: relayRoutes(bench.agents.home.control, named, ['L1', 'L2']),
      everyMs: 1000,
      timers: bench.time.timers,
      onBug: error => assert.unreachable(String(error)),
    }),
  )
  const folder = mkdtempSync(join(tmpdir(), 'tieline-relay-'))
  const config = (name: string, page: string) => {
    const file = join(folder, name)
    writeFileSync(file, `${smallSite(KEYS)}bench: true\npage: ${page}\n`)
    return file
  }
  const file = config('site.yaml', `{listen: 127.0.0.1:${web.port}}`)
  return {
    url: web.url,
    port: web.port,
    config,
    relay: (...args: string[]) => runTieline(['relay', ...args, '--config', file]),
    async close() {
      await web.close()
      rmSync(folder, { recursive: true })
    },
  }
}

test('status and why tell commanded, seen and every reason in words, and as JSON with the values compared', () =>
  site(async (bench, { relay }) => {
    const status = await relay('status')
    assert.is(status.exit, EXIT.ok)
    assert.match(status.out, /^L1, buyer, at rest\n {2}L1\.line: commanded open, seen open\n/)
    assert.match(status.out, /heat pump\.own: commanded closed, seen closed\n/)
    const why = await relay('why', 'L1.line')
    assert.match(why.out, /^L1\.line is commanded open, seen open, and may not be closed\n/)
    assert.match(why.out, /\n {2}no deal is to flow now\n/)
    assert.match(why.out, /\n {2}the buyer's payment is not proven to be locked\n/)
    assert.match(why.out, /\n {2}heat pump\.own must be open first: it is commanded closed and seen closed\n/)
    const [{ ok, contacts }] = (await relay('why', 'L1.line', '--json')).json()
    const codes = contacts[0].because.map(({ code }: { code: string }) => code)
    assert.equal([ok, contacts.length, contacts[0].may], [true, 1, false])
    assert.ok(codes.includes('permit.payment-unproven') && codes.includes('permit.interlock'), codes.join())

    await bench.start('L1')
    assert.match((await relay('why', 'L1')).out, /^L1\.line is commanded closed, seen closed, and may stay closed\n/)
    assert.match((await relay('why', 'heat pump.own')).out, /L1\.line must be open first/)
  }))

test('open says what would open, then opens the line and tells whoever runs the deal', () =>
  site(async (bench, { relay }) => {
    await bench.start('L1')
    const dry = await relay('open', 'L1', '--dry-run')
    assert.equal([dry.exit, dry.out], [EXIT.ok, 'L1.line would open\n'])
    assert.is(bench.position('buyer', 'L1'), 'closed')
    const done = await relay('open', 'L1')
    assert.equal([done.exit, done.out], [EXIT.ok, 'L1.line opens\n'])
    assert.is(bench.position('buyer', 'L1'), 'open')
    const told = bench.agents.home.events.at(-1)
    assert.is(told?.kind === 'tripped' && told.because[0]?.code, 'control.by-hand')
    await bench.pass(5000)
    assert.equal([bench.position('buyer', 'L1'), bench.violations.length], ['open', 0])
    assert.is((await relay('open', 'L1')).out, 'L1 is open already\n')
  }))

test('manual opens everything and holds it open until it is off', () =>
  site(async (bench, { relay }) => {
    await bench.start('L1')
    assert.is((await relay('manual', 'on')).exit, EXIT.ok)
    await bench.pass(8000)
    assert.equal([bench.position('buyer', 'L1'), bench.position('own', 'home')], ['open', 'open'])
    assert.match((await relay('status')).out, /^manual: every contact is held open/)
    assert.match((await relay('why', 'L1.line')).out, /a person has taken the contacts over: manual is on/)
    assert.equal((await relay('manual', 'off', '--json')).json(), [{ ok: true, manual: false }])
    await bench.pass(8000)
    assert.is(bench.position('own', 'home'), 'closed')
    assert.is((await relay('manual', 'maybe')).exit, EXIT.usage)
  }))

test('a weld is told, and cleared only where there is one', () =>
  site(async (bench, { relay }) => {
    await bench.start('L1')
    bench.weld('buyer', 'L1')
    await relay('open', 'L1')
    await bench.pass(3000)
    assert.match((await relay('status')).out, /\nwelded: L1\.line: /)
    assert.match(
      (await relay('why', 'heat pump.own')).out,
      /welded, until a person has been there and clears it: L1\.line/,
    )
    const wrong = await relay('clear-weld', 'L2.line')
    assert.equal(
      [wrong.exit, wrong.err],
      [EXIT.no, 'tieline relay: L2.line is not held to be welded; what is: L1.line\n'],
    )
    bench.weld('buyer', 'L1', false)
    await bench.agents.home.control.openNow('L1', { code: 'control.by-hand' })
    await bench.pass(1000)
    assert.is((await relay('clear-weld', 'L1.line')).exit, EXIT.ok)
    assert.equal(bench.agents.home.kept.welds, [])
  }))

test('where no agent answers, another one does, or the page is off, it is said in one line with 69', () =>
  site(async (bench, { config, close: _, ...at }) => {
    const taken = await serve(bench, 'oak')
    const none = await serve(bench)
    await none.close()
    const asked = async (page: string) => runTieline(['relay', 'status', '--config', config('other.yaml', page)])
    const silent = await asked(`{listen: 127.0.0.1:${none.port}}`)
    assert.is(silent.exit, EXIT.unavailable)
    assert.match(
      silent.err,
      /^tieline relay: no agent of maple answers at 127\.0\.0\.1:\d+ \(ECONNREFUSED\); start it: /,
    )
    const other = await asked(`{listen: 127.0.0.1:${taken.port}}`)
    assert.equal([other.exit, other.err.includes('is that of oak, not of maple')], [EXIT.unavailable, true])
    assert.is((await asked('{off: true}')).exit, EXIT.unavailable)
    assert.is((await at.relay('why', 'L3.line')).exit, EXIT.usage)
    await taken.close()
  }))

/** A POST with these headers; its status. */
const post = (port: number, path: string, headers: Record<string, string>, body: string): Promise<number> =>
  new Promise((resolve, reject) => {
    const call = request({ port, path, method: 'POST', headers, agent: false }, response => {
      response.resume()
      response.on('end', () => resolve(response.statusCode ?? 0))
    })
    call.on('error', reject)
    call.end(body)
  })

test('no page of another origin, no form and no other shape commands anything', () =>
  site(async (bench, { port, url }) => {
    const json = { 'content-type': 'application/json' }
    const path = '/api/relays/manual'
    const refused: [Record<string, string>, string, number][] = [
      [{}, '{"on":true}', 403],
      [{ 'content-type': 'text/plain' }, '{"on":true}', 403],
      [{ 'content-type': 'application/x-www-form-urlencoded' }, 'on=true', 403],
      [{ ...json, origin: 'https://elsewhere.example' }, '{"on":true}', 403],
      [{ ...json, origin: 'null' }, '{"on":true}', 403],
      [{ ...json, 'sec-fetch-site': 'cross-site' }, '{"on":true}', 403],
      [{ ...json, host: 'elsewhere.example' }, '{"on":true}', 421],
      [json, '{"on":"true"}', 400],
      [json, '{"on":true,"close":"L1.line"}', 400],
      [json, '[]', 400],
      [json, 'on', 400],
    ]
    for (const [headers, body, status] of refused) assert.is(await post(port, path, headers, body), status, body)
    assert.is(bench.agents.home.control.isManual(), false)
    assert.is(await post(port, path, { ...json, origin: url, host: url.slice('http://'.length) }, '{"on":true}'), 200)
    assert.is(bench.agents.home.control.isManual(), true)
    assert.is(await post(port, '/api/relays/close', json, '{"line":"L1"}'), 404)
  }))

test('a reason without a sentence of its own is told by its code and values', () => {
  assert.is(sentenceOf({ code: 'modbus.timeout', unit: 3 }), 'modbus.timeout (unit=3)')
  assert.is(sentenceOf({ code: 'permit.reading', limitMs: 1500 }), "the line meter's reading is not known")
  assert.is(
    sentenceOf({ code: 'permit.expired', now: 1, end: 1_700_000_000_000 }),
    'the deal ended at 2023-11-14T22:13:20.000Z',
  )
})

test.run()
