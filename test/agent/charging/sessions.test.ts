/** Sessions on a real journal and real metering; what is given out is judged by another implementation of OCMF. */
import { createPublicKey, verify } from 'node:crypto'
import { createRequire } from 'node:module'
import { createSessions, type Sessions, type SessionTerms, type SessionView } from '../../../agent/charging/sessions.ts'
import { sessionsRoute } from '../../../agent/charging/sessions-route.ts'
import { createOcmfBook, OCMF_KIND, type OcmfBook, recordDeals } from '../../../agent/metering/ocmf.ts'
import { createP256Signer } from '../../../drivers/crypto/signer.ts'
import { fromUtf8, toHex } from '../../../protocol/bytes.ts'
import type { EcdsaVerifier } from '../../../protocol/ocmf/key.ts'
import { verifyOcmf } from '../../../protocol/ocmf/verify.ts'
import { type Fault, fail, must, ok, type Result } from '../../../protocol/result.ts'
import { OBIS } from '../../../protocol/telegram/obis.ts'
import { assert, suite } from '../../harness.ts'
import { spkiOf } from '../../protocol/ocmf/sample.ts'
import { boot, codeOf, newSite, type Site, settle } from '../metering/site.ts'

const test = suite('charging sessions')

const require = createRequire(import.meta.url)
const { Verifier } = require('@road-labs/ocmf') as typeof import('@road-labs/ocmf')
const { Crypto } = require('@road-labs/ocmf-crypto-noble') as typeof import('@road-labs/ocmf-crypto-noble')

const second = createP256Signer(new Uint8Array(32).fill(5))
const spki = spkiOf(second.publicKey)
const roadLabs = new Verifier(new Crypto())
const roadLabsKey = new Crypto().decodeEcPublicKey(spki, 'spki-der')
const verifier: EcdsaVerifier = {
  verify: (key, hash, message, signature) => {
    const opened = createPublicKey({ key: Buffer.from(key.spki), format: 'der', type: 'spki' })
    return verify(hash, message, { key: opened, dsaEncoding: 'ieee-p1363' }, signature)
  },
}
const judged = (texts: readonly string[]) => verifyOcmf(texts, toHex(spki), verifier)
const payloadOf = (text: string) => JSON.parse(text.split('|')[1]!)
const rulesOf = (texts: readonly string[]) => [...new Set(judged(texts).broken.map(({ code }) => code))].sort()

const TERMS: SessionTerms = {
  ...{ port: 'garage', meter: 'L1', direction: 'import', tariff: '0.39 EUR/kWh' },
  user: { level: 'HEARSAY', flags: ['RFID_PLAIN'], type: 'ISO14443', id: '1F2D3A4F' },
  evseId: 'DE*TLN*E1',
}

interface Station extends Site {
  readonly sessions: Sessions
  readonly book: OcmfBook
}

/** Sessions as a boot sets them up, deals' own records beside them. */
function open(site: Site): Station {
  const book = createOcmfBook({ signer: second, journal: site.journal, station: { gateway: 'Tieline' } })
  let drawn = 0
  const sessions = createSessions({
    ...{ metering: site.metering, book, journal: site.journal, clock: site.time.clock, timers: site.time.timers },
    entropy: { bytes: count => new Uint8Array(count).fill(++drawn) },
    health: (what, fault) => void (fault === undefined ? site.health.delete(what) : site.health.set(what, fault)),
  })
  recordDeals(site.metering, book, () => {}, sessions.owns)
  for (const record of site.journal.kept()) {
    book.restore(record)
    sessions.restore(record)
  }
  return { ...site, sessions, book }
}
const station = async (strike?: Parameters<typeof newSite>[1]): Promise<Station> => open(await newSite({}, strike))
const begun = async (at: Station, terms = TERMS): Promise<SessionView> =>
  must(await settle(at, at.sessions.begin(terms)))
const ended = (at: Station, why?: Parameters<Sessions['end']>[1]): Promise<Result<SessionView>> =>
  settle(at, at.sessions.end('garage', why), 200_000)
const pagesIn = async ({ journal }: Site): Promise<string[]> => {
  const texts: string[] = []
  must(await journal.visit(({ kind, bytes }) => void (kind === OCMF_KIND && texts.push(fromUtf8(bytes)!))))
  return texts
}

test('a session is two signed readings, and its OCMF says whose, at which point and how much: others agree', async () => {
  const at = await station()
  const view = await begun(at)
  assert.equal([view.state, view.ocmf], ['open', []])
  at.meter.energyWh += 7_421n
  await at.time.advance(60_000)
  const end = must(await ended(at))
  assert.equal([end.state, end.energy, end.why], ['ended', 7_421_000n, undefined])
  assert.is(end.ocmf.length, 1)
  const text = end.ocmf[0]!
  assert.ok((await roadLabs.parseAndVerify(text, await roadLabsKey)).verified)
  const verdict = judged(end.ocmf)
  assert.equal([verdict.broken, verdict.complete], [[], true])
  const { ID, IT, CT, CI, TT, RD } = payloadOf(text)
  assert.equal([ID, IT, CT, CI, TT], ['1F2D3A4F', 'ISO14443', 'EVSEID', 'DE*TLN*E1', end.id])
  assert.equal(
    RD.map(({ TX, RI, RV }: { TX: string; RI: string; RV: number }) => [TX, RI, RV]).filter(
      ([, RI]: string[]) => RI === '01-00:B0.08.00*FF' || RI === '01-00:B2.08.00*FF',
    ),
    [
      ['B', '01-00:B0.08.00*FF', 1],
      ['B', '01-00:B2.08.00*FF', 0],
      ['E', '01-00:B0.08.00*FF', 8.421],
      ['E', '01-00:B2.08.00*FF', 7.421],
    ],
  )
  // Once: what puts deals on record leaves it alone.
  assert.equal(await pagesIn(at), end.ocmf)
})

test('a car that gives is counted out of it', async () => {
  const at = await station()
  at.meter.values = energy =>
    energy.map(one => (one.obis === OBIS.energyExport ? { ...one, value: 5_000n, scaler: 0 } : one))
  await begun(at, { ...TERMS, direction: 'export' })
  at.meter.values = energy =>
    energy.map(one => (one.obis === OBIS.energyExport ? { ...one, value: 8_125n, scaler: 0 } : one))
  assert.is(must(await ended(at)).energy, 3_125_000n)
})

test('one port has one session, and one that is not there does not end', async () => {
  const at = await station()
  const two = Promise.all([at.sessions.begin(TERMS), at.sessions.begin(TERMS)])
  assert.equal((await settle(at, two)).map(codeOf), ['ok', 'session.open'])
  assert.is(codeOf(await settle(at, at.sessions.begin(TERMS))), 'session.open')
  const both = Promise.all([at.sessions.end('garage'), at.sessions.end('garage', 'charger-fault')])
  const [one, other] = await settle(at, both)
  assert.ok(must(one) === must(other))
  assert.is(codeOf(await ended(at)), 'session.none')
  assert.is((await pagesIn(at)).length, 1)
})

test('no car charges before its begin is durable, or by a counter that is not sound', async () => {
  let broken = false
  const at = await station(operation => (broken && operation === 'write' ? 'io' : undefined))
  await at.time.advance(2_000)
  broken = true
  assert.not.ok((await settle(at, at.sessions.begin(TERMS))).ok)
  broken = false
  await at.time.advance(60_000)
  at.meter.failing = { code: 'modbus.timeout' }
  assert.is(codeOf(await settle(at, at.sessions.begin(TERMS), 60_000)), 'modbus.timeout')
  at.meter.failing = undefined
  at.meter.values = energy => energy.filter(({ obis }) => obis !== OBIS.energyImport)
  assert.is(codeOf(await settle(at, at.sessions.begin(TERMS))), 'session.meter-unsound')
  at.meter.values = undefined
  await at.time.advance(30_000)
  assert.is((await begun(at)).state, 'open')
  // A tag that no journal could be read with is refused, not kept.
  const tag = { ...TERMS, port: 'yard', user: { ...TERMS.user!, id: 'a\nb' } }
  assert.is(codeOf(await settle(at, at.sessions.begin(tag))), 'record.shape')
})

test('a charger that restarts ends the session, aborted, with what its meter counted', async () => {
  const at = await station()
  await begun(at)
  at.meter.energyWh += 500n
  const end = must(await ended(at, 'charger-restarted'))
  assert.equal([end.state, end.why, end.energy], ['aborted', 'charger-restarted', 500_000n])
  assert.is(payloadOf(end.ocmf[0]!).RD.at(-1).TX, 'A')
  assert.equal([rulesOf(end.ocmf), judged(end.ocmf).complete], [[], true])
})

test('a meter that is silent for a moment is waited for: the counter of a car that is off stands still', async () => {
  const at = await station()
  await begun(at)
  at.meter.energyWh += 900n
  at.meter.failing = { code: 'modbus.timeout' }
  const ending = at.sessions.end('garage', 'meter-stale')
  await at.time.advance(20_000)
  assert.equal([at.health.get('session.garage')?.code, at.sessions.list()[0]?.state], ['modbus.timeout', 'closing'])
  at.meter.failing = undefined
  const end = must(await settle(at, ending, 200_000))
  assert.equal([end.state, end.energy, at.health.has('session.garage')], ['aborted', 900_000n, false])
  assert.is(judged(end.ocmf).complete, true)
})

test('a meter that stays silent closes the session with its last reading, marked, and without an energy', async () => {
  const at = await station()
  await begun(at)
  at.meter.energyWh += 900n
  await at.time.advance(31_000)
  at.meter.energyWh += 5_000n
  at.meter.failing = { code: 'modbus.timeout' }
  // Nobody says that it ends: the gap in its meter's chain does.
  await at.time.advance(200_000)
  const [end] = at.sessions.list()
  assert.equal([end?.state, end?.why, end?.energy], ['lost', 'meter-stale', undefined])
  const [first, last] = end!.ocmf.map(payloadOf)
  assert.equal([first.RD[0].TX, first.RD[0].EF, first.RD[0].ST], ['B', '', 'G'])
  // The last that was read, not what it would have been.
  assert.equal([last.RD[0].TX, last.RD[0].RV, last.RD[0].EF, last.RD[0].ST, last.TT], ['X', 1.9, 'E', 'T', end!.id])
  for (const text of end!.ocmf) assert.ok((await roadLabs.parseAndVerify(text, await roadLabsKey)).verified)
  const verdict = judged(end!.ocmf)
  assert.equal([verdict.authentic, verdict.ok, verdict.transactions[0]!.energies], [true, false, []])
  assert.equal(rulesOf(end!.ocmf), ['ocmf.error-flags', 'ocmf.exception', 'ocmf.meter-state'])
  // The point is free again when its meter is back.
  at.meter.failing = undefined
  await at.time.advance(5_000)
  assert.is((await begun(at)).state, 'open')
})

test('a counter that goes back, and another meter, close it without an energy and say which it was', async () => {
  for (const [strike, state] of [
    [{ energyWh: 800n }, 'E'],
    [{ id: '4712' }, 'X'],
  ] as const) {
    const at = await station()
    await begun(at)
    Object.assign(at.meter, strike)
    const end = must(await ended(at, 'charger-fault'))
    assert.equal([end.state, end.energy, end.ocmf.length], ['lost', undefined, 2])
    // Nothing was read since: the begin is what is known.
    const { RD } = payloadOf(end.ocmf[1]!)
    assert.equal([RD[0].TX, RD[0].RV, RD[0].EF, RD[0].ST], ['X', 1, 'E', state])
    assert.is(judged(end.ocmf).ok, false)
  }
})

test('an end that cannot be put on record is kept and tried anew, and its page is not made twice', async () => {
  let broken = false
  const at = await station(operation => (broken && operation === 'write' ? 'io' : undefined))
  await begun(at)
  at.meter.energyWh += 40n
  broken = true
  assert.not.ok((await ended(at)).ok)
  assert.is(at.sessions.list()[0]?.state, 'closing')
  broken = false
  // Nobody asks again.
  await at.time.advance(130_000)
  const [end] = at.sessions.list()
  assert.equal([end?.state, end?.energy], ['ended', 40_000n])
  assert.equal(await pagesIn(at), end?.ocmf)
})

test('what a restart finds open ends then, in two records, with what flowed meanwhile', async () => {
  const before = await station()
  await begun(before)
  before.meter.energyWh += 300n
  await before.metering.stop()
  before.sim.cut()
  const at = open(await boot(before, {}))
  const starting = at.sessions.start()
  assert.is(codeOf(await settle(at, at.sessions.begin(TERMS))), 'session.open')
  await settle(at, starting)
  const [end] = at.sessions.list()
  assert.equal([end?.state, end?.why, end?.energy], ['aborted', 'agent-restarted', 300_000n])
  assert.equal(
    end!.ocmf.map(text => payloadOf(text).RD[0].TX),
    ['B', 'P'],
  )
  assert.equal([judged(end!.ocmf).broken, judged(end!.ocmf).complete], [[], true])
  // Ended is ended: the next start finds nothing.
  await at.metering.stop()
  at.sim.cut()
  const later = open(await boot(at, {}))
  await settle(later, later.sessions.start())
  assert.equal(later.sessions.list(), [])
})

test('a journal whose session cannot be read says so', async () => {
  const at = await station()
  at.sessions.restore({ kind: 'charging-session/garage', bytes: new Uint8Array(3) })
  await settle(at, at.sessions.start())
  assert.is(at.health.get('session.garage')?.code, 'session.journal-form')
})

test('stopped while it waits for a meter, a session stays open for the next start', async () => {
  const at = await station()
  await begun(at)
  at.meter.failing = { code: 'modbus.timeout' }
  const ending = at.sessions.end('garage')
  await at.time.advance(5_000)
  at.sessions.stop()
  assert.is(codeOf(await settle(at, ending, 60_000)), 'session.stopped')
  await at.time.advance(300_000)
  assert.equal(await pagesIn(at), [])
})

test('sessions are listed and downloaded', async () => {
  const at = await station()
  const route = sessionsRoute(at.sessions)
  const get = async (query: string) => {
    const request = { method: 'GET', path: '/api/sessions', query: new URLSearchParams(query), body: new Uint8Array(0) }
    return route(request)
  }
  const { id } = await begun(at)
  const early = await get(`id=${id}`)
  assert.equal(early.kind === 'json' && [early.status, (early.value as Fault).code], [409, 'session.not-ended'])
  at.meter.energyWh += 10n
  const end = must(await ended(at))
  const list = await get('')
  const [one] =
    list.kind === 'json' ? (list.value as { sessions: { energyMwh: string; pages: number }[] }).sessions : []
  assert.equal([one?.energyMwh, one?.pages], ['10000', 1])
  const file = await get(`id=${id}`)
  assert.is(file.kind === 'bytes' && fromUtf8(file.bytes), `${end.ocmf.join('\n')}\n`)
  const none = await get('id=beef')
  assert.equal(none.kind === 'json' && none.status, 404)
})

test('two readings that are sound each by itself and fall from one to the other settle nothing', async () => {
  const at = await station()
  const asked: string[] = []
  const sessions = createSessions({
    ...{ metering: at.metering, journal: at.journal, clock: at.time.clock, timers: at.time.timers },
    book: {
      session: async () => fail({ code: 'ocmf.counter-fell' }),
      lost: async (begin, last, state) => {
        asked.push(`${begin.reading.reason} ${last.reading.sequence >= begin.reading.sequence} ${state}`)
        return ok(['OCMF|1', 'OCMF|2'])
      },
    },
    entropy: { bytes: count => new Uint8Array(count) },
    health: () => {},
  })
  must(await settle(at, sessions.begin(TERMS)))
  const end = must(await settle(at, sessions.end('garage'), 200_000))
  assert.equal([end.state, end.energy, asked], ['lost', undefined, ['begin true E']])
})

test('a key that is gone gives nothing out, and the session stays open to be ended', async () => {
  const at = await station()
  const sessions = createSessions({
    ...{ metering: at.metering, journal: at.journal, clock: at.time.clock, timers: at.time.timers },
    book: { session: async () => fail({ code: 'token.gone' }), lost: async () => fail({ code: 'token.gone' }) },
    entropy: { bytes: count => new Uint8Array(count) },
    health: () => {},
  })
  must(await settle(at, sessions.begin(TERMS)))
  assert.is(codeOf(await settle(at, sessions.end('garage'), 200_000)), 'token.gone')
  assert.equal(
    sessions.list().map(({ state, ocmf }) => [state, ocmf]),
    [['closing', []]],
  )
})

test.run()
