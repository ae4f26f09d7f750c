/**
 * `npm run bench:readings`: readings signed, verified and made durable a second, each beside what Node and the disk give at
 * best, how large they are beside OCMF, and what they cost a card.
 */
import { createPrivateKey, createPublicKey, generateKeyPairSync, sign, verify } from 'node:crypto'
import { closeSync, fdatasyncSync, mkdtempSync, openSync, readFileSync, rmSync, statSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createChain, type Identity, type SignedReading } from '../../agent/metering/chain.ts'
import { createSystemTime } from '../../drivers/clock.ts'
import { systemEntropy } from '../../drivers/crypto/entropy.ts'
import { createSigner } from '../../drivers/crypto/signer.ts'
import { createVerifier } from '../../drivers/crypto/verifier.ts'
import { openDisk } from '../../drivers/store/disk.ts'
import { makeFolder } from '../../drivers/store/folder.ts'
import { type Journal, openJournal } from '../../drivers/store/journal.ts'
import { utf8 } from '../../protocol/bytes.ts'
import { parseSign1, toBeSigned } from '../../protocol/crypto/cose.ts'
import { ueidOf } from '../../protocol/identity/key.ts'
import { ocmfText, writeOcmfPayload } from '../../protocol/ocmf/write.ts'
import { READING_PURPOSE } from '../../protocol/reading/reading.ts'
import { type VerifiedContext, verifyContext, verifyReadingIn } from '../../protocol/reading/verify.ts'
import { must, ok } from '../../protocol/result.ts'
import { type MeterValue, OBIS } from '../../protocol/telegram/obis.ts'
import { type Contestant, race } from './measure.ts'
import { type BenchOptions, floorOf, type Row, rateRow, runBench } from './report.ts'

const { clock, timers } = createSystemTime(undefined, () => 'synchronised')
const signer = createSigner(new Uint8Array(32).fill(7))
const identity: Identity = {
  device: ueidOf(signer.publicKey),
  software: new Uint8Array(32).fill(0x5f),
  trust: 'software',
  timeSource: () => 'ntp',
}

/** 123,456.789 kWh in and 98,765.432 kWh out, a watt-hour more each time. */
const energies = (n: number): MeterValue[] => [
  { obis: OBIS.energyImport, value: 123_456_789n + BigInt(n), scaler: 0, unit: 'Wh' },
  { obis: OBIS.energyExport, value: 98_765_432n, scaler: 0, unit: 'Wh' },
]
const five = (n: number): MeterValue[] => [
  ...energies(n),
  { obis: OBIS.power, value: -43_470_000n, scaler: -3, unit: 'W' },
  { obis: OBIS.voltageL1, value: 2301n, scaler: -1, unit: 'V' },
  { obis: OBIS.frequency, value: 4998n, scaler: -2, unit: 'Hz' },
]

/** A meter's chain over any journal; each call signs the next reading and has it kept there. */
function readingsOn(journal: Pick<Journal, 'append' | 'flush'>) {
  const chain = createChain({
    name: 'grid',
    meterId: '19041234',
    page: 'eastron-sdm630',
    signer,
    journal: journal as Journal,
    clock,
    identity,
    boot: 1,
    clockSets: () => 0,
    restored: undefined,
  })
  let n = 0
  return async (urgent: boolean, registers = energies(n++)): Promise<SignedReading> => {
    const [taken, takenMono] = [clock.now(), clock.mono()]
    const worth = { quality: 'synchronised', beforeSync: false, errors: [] } as const
    return must(await chain.sign({ registers, reason: 'periodic', taken, takenMono, ...worth, urgent }))
  }
}

/** Keeps nothing: what signing alone costs. */
const nowhere: Pick<Journal, 'append' | 'flush'> = {
  append: async () => ok({ index: 0, segment: 1, at: 0 }),
  flush: () => {},
}

/** How many distinct readings are verified in turn: no verdict is remembered, but the processor must not know them by heart. */
const DISTINCT = 256

/** Node's own Ed25519 over as many bytes, with the key imported once: what signing and verifying cannot be faster than. */
function nodeCrypto(message: Uint8Array) {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519')
  const pkcs8 = privateKey.export({ format: 'der', type: 'pkcs8' })
  const key = createPrivateKey({ key: pkcs8, format: 'der', type: 'pkcs8' })
  const spki = createPublicKey({ key: publicKey.export({ format: 'der', type: 'spki' }), format: 'der', type: 'spki' })
  const signature = sign(null, message, key)
  return { sign: () => sign(null, message, key), verify: () => verify(null, message, spki, signature) }
}

const times = (count: number, work: () => unknown) => () => {
  for (let i = 0; i < count; i++) work()
  return count
}

async function cryptoRows({ effort }: BenchOptions): Promise<Row[]> {
  const verifier = createVerifier()
  const next = readingsOn(nowhere)
  const made: SignedReading[] = []
  for (let n = 0; n < DISTINCT; n++) made.push(await next(false))
  const context: VerifiedContext = must(verifyContext(made[0]!.context, signer.publicKey, verifier))
  const parts = must(parseSign1(made.at(-1)!.envelope))
  const raw = nodeCrypto(toBeSigned(parts.protectedBytes, parts.payload, READING_PURPOSE))
  let at = 0
  const contestants: Contestant[] = [
    {
      name: 'sign',
      run: async () => {
        for (let n = 0; n < DISTINCT; n++) await next(false)
        return DISTINCT
      },
    },
    { name: 'node sign', run: times(DISTINCT, raw.sign) },
    {
      name: 'verify',
      run: times(DISTINCT, () => must(verifyReadingIn(context, made[at++ % DISTINCT]!.envelope, verifier))),
    },
    { name: 'node verify', run: times(DISTINCT, raw.verify) },
  ]
  const timed = await race(contestants, effort)
  const [signs, nodeSigns] = [timed.get('sign')!, timed.get('node sign')!]
  const [verifies, nodeVerifies] = [timed.get('verify')!, timed.get('node verify')!]
  return [
    rateRow(
      {
        id: 'sign',
        what: 'readings signed: written, read back, signed, chained',
        unit: '/s',
        asked: '10,000',
        floor: floorOf('node:crypto sign', '/s by node:crypto', nodeSigns, 1, signs),
      },
      signs,
    ),
    rateRow(
      {
        id: 'verify',
        what: 'readings verified: parsed, canonical, context, signature',
        unit: '/s',
        asked: '4,000',
        floor: floorOf('node:crypto verify', '/s by node:crypto', nodeVerifies, 1, verifies),
      },
      verifies,
    ),
  ]
}

const BLOCK = 4096
/** Urgent readings of as many meters that come at once. */
const METERS = 16

async function openOn(folder: string, name: string, segmentBytes = SEGMENT_BYTES): Promise<Journal> {
  const path = join(folder, name)
  must(await makeFolder(path))
  const disk = must(await openDisk(path))
  const parts = { disk, clock, timers, entropy: systemEntropy, owner: identity.device, segmentBytes }
  const journal = must(await openJournal(parts))
  const close = async () => {
    await journal.close()
    await disk.close()
  }
  return { ...journal, close }
}

async function appendRows({ effort }: BenchOptions, folder: string): Promise<Row[]> {
  const journal = await openOn(folder, 'durable')
  const meters = Array.from({ length: METERS }, () => readingsOn(journal))
  const file = openSync(join(folder, 'floor'), 'w')
  const block = new Uint8Array(BLOCK).fill(0xa5)
  // Preallocated like a segment: the floor is data alone, no file that grows.
  for (let n = 0; n < 1024; n++) writeSync(file, block, 0, BLOCK, n * BLOCK)
  fdatasyncSync(file)
  let at = 0
  const timed = await race(
    [
      {
        name: 'alone',
        clock: 'wall',
        run: async () => {
          await meters[0]!(true)
          return 1
        },
      },
      {
        name: 'together',
        clock: 'wall',
        run: async () => {
          await Promise.all(meters.map(next => next(true)))
          return METERS
        },
      },
      {
        name: 'fdatasync',
        clock: 'wall',
        run: () => {
          writeSync(file, block, 0, BLOCK, (at++ % 1024) * BLOCK)
          fdatasyncSync(file)
          return 1
        },
      },
    ],
    effort,
  )
  closeSync(file)
  await journal.close()
  const floor = timed.get('fdatasync')!
  const row = (id: string, name: string, what: string, each: number): Row =>
    rateRow(
      {
        id,
        what,
        unit: '/s',
        asked: '1,000',
        floor: floorOf('fdatasync of 4 kB', '/s of 4 kB written and fdatasync', floor, each, timed.get(name)!),
        note: 'wall',
      },
      timed.get(name)!,
    )
  return [
    row('append.alone', 'alone', 'readings signed and durable, one after the other', 1),
    row('append.together', 'together', `the same, of ${METERS} meters at once`, 1 / METERS),
  ]
}

/**
 * Bytes that the device under a folder has written since it was plugged in, everybody's; undefined where there is no such
 * device. /proc/self/io is of no use: Linux counts there the whole folio of a page cache of which one block is dirty.
 */
function writtenToDevice(folder: string): number | undefined {
  const { dev } = statSync(folder)
  // makedev(3): major and minor number as glibc packs them.
  const [major, minor] = [(dev >> 8) & 0xfff, (dev & 0xff) | ((dev >> 12) & 0xfff00)]
  try {
    const fields = readFileSync(`/sys/dev/block/${major}:${minor}/stat`, 'utf8').trim().split(/\s+/)
    // Documentation/block/stat.rst: the seventh is sectors of 512 bytes written.
    return Number(fields[6]) * 512
  } catch {
    return undefined
  }
}

/** Ten meters that are signed once a second share one commit: each chain waits for its own reading to be durable. */
const PER_SECOND = 10
/** Of a segment that fills within a minute of ours; a larger one is preallocated at the same cost a block. */
const QUICK_SEGMENT_BYTES = 1 << 20
const SEGMENT_BYTES = 16 << 20

async function wearRow({ quick, smoke }: BenchOptions, folder: string): Promise<Row> {
  const segmentBytes = quick ? QUICK_SEGMENT_BYTES : SEGMENT_BYTES
  const journal = await openOn(folder, 'wear', segmentBytes)
  const meters = Array.from({ length: PER_SECOND }, () => readingsOn(journal))
  const second = async () => {
    const signed = meters.map(next => next(false))
    // All are queued; what ends the group is here not the second but this word.
    await new Promise(resolve => setImmediate(resolve))
    journal.flush()
    await Promise.all(signed)
  }
  await second()
  const [before, deviceBefore] = [journal.stats(), writtenToDevice(folder)]
  // Through the whole of a segment and into the next, so that its zeros count in their share.
  const seconds = smoke ? 10 : segmentBytes / BLOCK
  for (let n = 0; n < seconds; n++) await second()
  const [after, deviceAfter] = [journal.stats(), writtenToDevice(folder)]
  await journal.close()
  const readings = seconds * PER_SECOND
  const byDevice =
    deviceBefore === undefined || deviceAfter === undefined
      ? 'no device counts'
      : `the device wrote ${Math.round((deviceAfter - deviceBefore) / readings)} B each, other programs’ writes included`
  return {
    id: 'wear',
    what: `bytes written a reading, ${PER_SECOND} meters signed a second, zeros of new segments included`,
    value: (after.bytesWritten - before.bytesWritten) / readings,
    unit: 'B',
    asked: '<= 1,000',
    note: `${readings} readings in ${after.commits - before.commits} commits; ${byDevice}`,
  }
}

async function sizeRows(): Promise<Row[]> {
  const next = readingsOn(nowhere)
  await next(false)
  const rows: Row[] = []
  for (const [id, what, registers, asked] of [
    ['two', 'import and export', energies(1), '<= 200'],
    ['five', 'five registers', five(1), '<= 240'],
  ] as const) {
    const signed = await next(false, registers)
    const { context } = must(verifyContext(signed.context, signer.publicKey, createVerifier()))
    const readings = [{ reading: signed.reading, context, hash: signed.hash }]
    const payload = must(writeOcmfPayload({ series: 'F', number: 1, readings, station: { gateway: 'Tieline' } }))
    const text = ocmfText(payload, new Uint8Array(64).fill(0x5a))
    rows.push({
      id: `size.${id}`,
      what: `a reading of ${what}, signed`,
      value: signed.envelope.length,
      unit: 'B',
      asked,
      floor: { what: 'OCMF 1.4', value: utf8(text).length, unit: 'B as OCMF text of its energy' },
    })
  }
  return rows
}

await runBench(
  'bench:readings',
  'Readings signed, verified and made durable a second, their size beside OCMF, and what they cost a card.',
  async bench => {
    const folder = mkdtempSync(join(tmpdir(), 'tieline-readings-'))
    try {
      return [
        ...(await cryptoRows(bench)),
        ...(await appendRows(bench, folder)),
        ...(await sizeRows()),
        await wearRow(bench, folder),
      ]
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  },
)
