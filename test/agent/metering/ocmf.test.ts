import { keepForRestart } from '../../../agent/keeping.ts'
import type { SignedReading } from '../../../agent/metering/chain.ts'
import { createOcmfBook, OCMF_KIND, type OcmfBook, recordDays, recordDeals } from '../../../agent/metering/ocmf.ts'
import { createP256Signer } from '../../../drivers/crypto/signer.ts'
import { drainPromises } from '../../../drivers/drain.ts'
import type { Signer } from '../../../drivers/ports.ts'
import { type Journal, openJournal } from '../../../drivers/store/journal.ts'
import { createSimTime } from '../../../hw/sim/clock.ts'
import { createSimDisk, type SimDisk, type Strike } from '../../../hw/sim/disk.ts'
import { seededRandom } from '../../../hw/sim/random.ts'
import { fromUtf8, toHex, utf8 } from '../../../protocol/bytes.ts'
import { fromBase64 } from '../../../protocol/chain/base64.ts'
import { parseOcmf } from '../../../protocol/ocmf/parse.ts'
import { judgeRun } from '../../../protocol/ocmf/run.ts'
import type { BrokenRule } from '../../../protocol/ocmf/verdict.ts'
import type { Reading } from '../../../protocol/reading/reading.ts'
import { verifyContext, verifyReading } from '../../../protocol/reading/verify.ts'
import { fail, must, ok } from '../../../protocol/result.ts'
import { instant } from '../../../protocol/time.ts'
import { OWNED } from '../../drivers/store/owned.ts'
import { assert, suite } from '../../harness.ts'
import {
  energies,
  firstReading,
  sampleContext,
  sealContext,
  sealReading,
  verifier,
} from '../../protocol/reading/sample.ts'

const test = suite('ocmf book')

const time = createSimTime(1_795_000_000_000, drainPromises)
const second = createP256Signer(new Uint8Array(32).fill(5))
const session = { contract: new Uint8Array(32).fill(0xc7), line: 'L1', direction: 'import' } as const

/** Of the meter and boot named, signed by the first key. */
async function signed(change: Partial<Reading>, meterId = sampleContext.meterId, boot = 1): Promise<SignedReading> {
  const context = await sealContext({ ...sampleContext, meterId, boot })
  const draft = {
    ...firstReading(new Uint8Array(8)),
    ...(change.sequence === 1 ? {} : { previous: new Uint8Array(32) }),
  }
  const { hash } = must(verifyContext(context, sampleContext.key, verifier))
  const reading: Reading = { ...draft, ...change, context: hash.subarray(0, 8) }
  const envelope = await sealReading(reading)
  return { envelope, context, reading, hash: must(verifyReading(envelope, context, sampleContext.key, verifier)).hash }
}
const begin = await signed({ sequence: 5, reason: 'begin', session })
const ending = {
  sequence: 9,
  reason: 'end',
  session,
  registers: energies(123_999_999n, 98_765_432n),
  time: instant(1_795_003_600_000),
} as const
const end = await signed(ending)
const fiscal = await signed({ sequence: 12 })

async function boot(
  sim: SimDisk,
  parts: Partial<Parameters<typeof createOcmfBook>[0]> = {},
): Promise<{ journal: Journal; book: OcmfBook; texts: () => Promise<string[]> }> {
  const { clock, timers } = time
  const journal = must(
    await openJournal({ disk: sim.mount(), ...OWNED, keeping: keepForRestart, clock, timers, segmentBytes: 64 * 4096 }),
  )
  const book = createOcmfBook({ signer: second, journal, station: { gateway: 'Tieline' }, ...parts })
  for (const record of journal.kept()) book.restore(record)
  const texts = async () => {
    const found: string[] = []
    must(await journal.visit(({ kind, bytes }) => void (kind === OCMF_KIND && found.push(fromUtf8(bytes)!))))
    return found
  }
  return { journal, book, texts }
}
const disk = (strike?: (operation: string) => Strike | undefined) =>
  createSimDisk({ random: seededRandom(5), ...(strike === undefined ? {} : { strike }) })
const pageOf = (text: string): string => {
  const { record, broken } = parseOcmf(text)
  assert.equal(broken, [])
  return record!.payload.PG
}

test('transactions and fiscal readings are counted apart, meter by meter, however many are asked for at once', async () => {
  const { book, texts } = await boot(disk())
  const other = await signed({ sequence: 3 }, 'B-2')
  const given = await Promise.all([
    book.session(begin, end),
    book.fiscal(fiscal),
    book.fiscal(other),
    book.session(begin, end),
    book.fiscal(fiscal),
  ])
  const all = given.flatMap(result => must<string | readonly string[]>(result))
  assert.equal(all.map(pageOf), ['T1', 'F1', 'F1', 'T2', 'F2'])
  assert.equal(await texts(), all)
})

test('pages go on after a power cut', async () => {
  const sim = disk()
  const first = await boot(sim)
  must(await first.book.session(begin, end))
  must(await first.book.fiscal(fiscal))
  sim.cut()
  const again = await boot(sim)
  assert.is(pageOf(must(await again.book.session(begin, end))[0]!), 'T2')
  assert.is(pageOf(must(await again.book.fiscal(fiscal))), 'F2')
  assert.equal((await again.texts()).map(pageOf), ['T1', 'F1', 'T2', 'F2'])
  await again.journal.close()
})

test('a text is durable before it is given out, and a page whose writing failed is used again', async () => {
  let broken = false
  const sim = disk(operation => (broken && operation === 'write' ? 'io' : undefined))
  const { book } = await boot(sim)
  must(await book.fiscal(fiscal))
  broken = true
  const refused = await book.fiscal(fiscal)
  assert.is(refused.ok ? 'given' : refused.fault.code, 'journal.io')
  broken = false
  await time.advance(60_000)
  assert.is(pageOf(must(await book.fiscal(fiscal))), 'F2')
  sim.cut()
  assert.equal((await (await boot(sim)).texts()).map(pageOf), ['F1', 'F2'])
})

test('a token that is gone costs no page', async () => {
  let gone = true
  const signer: Signer = {
    ...second,
    sign: message => (gone ? Promise.resolve(fail({ code: 'token.gone' })) : second.sign(message)),
  }
  const { book } = await boot(disk(), { signer })
  const refused = await book.fiscal(fiscal)
  assert.is(refused.ok ? 'given' : refused.fault.code, 'token.gone')
  gone = false
  assert.is(pageOf(must(await book.fiscal(fiscal))), 'F1')
})

test('a restart in the middle of a transaction makes two records, one page after the other', async () => {
  const { book } = await boot(disk())
  const after = await signed(ending, sampleContext.meterId, 2)
  const texts = must(await book.session(begin, after))
  assert.equal(texts.map(pageOf), ['T1', 'T2'])
  assert.equal(
    texts.map(text => parseOcmf(text).record!.readings[0]!.reason),
    ['B', 'E'],
  )
})

test('the begin and the end of a deal are put on record as they are signed, and trouble with it is told', async () => {
  const { book, texts } = await boot(disk())
  const listeners: ((name: string, signed: SignedReading) => void)[] = []
  const health: string[] = []
  const hear = async (...readings: readonly SignedReading[]) => {
    for (const reading of readings) for (const listener of listeners) listener('roof', reading)
    await time.advance(1000)
  }
  recordDeals({ onSigned: listener => void listeners.push(listener) }, book, (what, fault) =>
    health.push(`${what} ${fault?.code}`),
  )
  const { session: _, ...free } = begin.reading
  await hear(
    begin,
    fiscal,
    await signed({ ...begin.reading, sequence: 7, reason: 'periodic' }),
    await signed(free),
    end,
  )
  const all = await texts()
  assert.equal(all.map(pageOf), ['T1', 'T2'])
  const broken: BrokenRule[] = []
  const transactions = judgeRun(
    all.map((text, i) => ({ record: parseOcmf(text).record!, number: i + 1 })),
    broken,
  )
  assert.equal(broken, [])
  const [moved] = transactions[0]!.energies
  // 123,999.999 kWh less 123,456.789 kWh.
  assert.is(moved!.value * 10n ** BigInt(moved!.scaler + 9), 543_210n * 10n ** 9n)
  assert.equal(health, ['meter.roof.ocmf undefined', 'meter.roof.ocmf undefined'])
  const bare = await signed({ ...begin.reading, registers: [{ obis: '1-0:16.7.0', value: 5n, scaler: 0, unit: 'W' }] })
  await hear(bare)
  assert.is(health.at(-1), 'meter.roof.ocmf ocmf.no-energy')
})

test('the first sound reading of a day is put on record as fiscal, once, and again where that failed', async () => {
  const asked: string[] = []
  const listeners: ((name: string, signed: SignedReading) => void)[] = []
  let works = true
  recordDays(
    { onSigned: listener => void listeners.push(listener) },
    {
      fiscal: async ({ reading }) => {
        asked.push(`${reading.sequence}`)
        return works ? ok('OCMF|') : fail({ code: 'journal.full' })
      },
    },
    () => {},
  )
  const hear = async (sequence: number, change: Partial<Reading> = {}, name = 'grid') => {
    const reading = await signed({ sequence, ...change })
    for (const listener of listeners) listener(name, reading)
    await drainPromises()
  }
  // 2026-11-18T23:59:59.999Z, and a millisecond later.
  const evening = { time: instant(1_795_046_399_999) }
  const midnight = { time: instant(1_795_046_400_000) }
  await hear(2)
  await hear(3, evening)
  await hear(4, { ...midnight, errors: ['energy'] })
  await hear(5, { ...midnight, quality: 'unknown' })
  await hear(6, { ...midnight, reason: 'begin', session })
  assert.equal(asked, ['2'], 'one a day, and none that must not be settled on')
  works = false
  await hear(7, midnight)
  works = true
  await hear(8, midnight)
  await hear(9, midnight)
  await hear(10, midnight, 'L1')
  assert.equal(asked, ['2', '7', '8', '10'])
})

test('with attachments nothing is lost: what travels inside is the reading as signed', async () => {
  const { book } = await boot(disk(), { attach: true })
  const [text] = must(await book.session(begin, end))
  const { XE } = JSON.parse(text!.split('|')[1]!)
  const [context, ...envelopes] = XE.map((one: string) => fromBase64(one)!)
  const readings = envelopes.map(
    (one: Uint8Array) => must(verifyReading(one, context, sampleContext.key, verifier)).reading,
  )
  assert.equal(readings, [begin.reading, end.reading])
  const { XR } = JSON.parse(must(await (await boot(disk())).book.fiscal(fiscal)).split('|')[1]!)
  assert.equal(XR, [toHex(fiscal.hash)])
})

test('a journal whose page cannot be read gives out nothing, rather than a page twice', async () => {
  const { book, texts } = await boot(disk())
  book.restore({ kind: OCMF_KIND, bytes: utf8('OCMF|{"PG":"T7"') })
  const refused = await book.fiscal(fiscal)
  assert.is(refused.ok ? 'given' : refused.fault.code, 'ocmf.journal-form')
  assert.equal(await texts(), [])
  // A restart finds it again: it is carried like the pages.
  assert.equal(keepForRestart({ kind: OCMF_KIND, bytes: utf8('OCMF|') }), { as: 'ocmf' })
})

test('a signer of another curve is our own bug', () => {
  const journal = { append: () => Promise.reject(new Error('nothing is to be written')) }
  const signer: Signer = { ...second, alg: 'EdDSA' }
  assert.throws(() => createOcmfBook({ signer, journal, station: { gateway: 'Tieline' } }), /P-256/)
})

test.run()
