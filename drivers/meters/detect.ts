/**
 * Finds which units answer on a line and which pages fit them. Only reads are sent, and nothing that a slave could take for
 * more than a question.
 */
import { fromUtf8 } from '../../protocol/bytes.ts'
import type { Fault } from '../../protocol/result.ts'
import type { ModbusMaster } from '../modbus/master.ts'
import type { AnswerLimits } from '../modbus/slave-record.ts'
import type { Clock, Line, LineListener, Timers } from '../ports.ts'
import { type Fit, fitsOf, type Held, mayBe, spansToJudge } from './detect-decide.ts'
import { createEar } from './ear.ts'
import type { MeterPage, Span } from './page.ts'
import { createSunspecMeter } from './sunspec-meter.ts'
import { TELEGRAMS } from './telegrams.ts'

export interface FoundUnit {
  readonly unit: number
  readonly fits: readonly Fit[]
  /** What the device says of itself (function 43/14): maker, product, version. */
  readonly says: readonly string[]
  /** The ids of its SunSpec models; empty where it has none. */
  readonly models: readonly number[]
}

export interface DetectParts {
  readonly master: ModbusMaster
  readonly pages: readonly MeterPage[]
  readonly clock: Clock
  readonly timers: Timers
  /** Asked before each unit. */
  readonly live: () => boolean
  readonly onUnit: (unit: number, found: number) => void
  /** Where a unit was asked, bytes were heard that make no answer. */
  readonly onGarbled: () => void
}

/**
 * For a line that is searched: most units are not there, and each costs this. An answer that comes later is still heard, and
 * its unit is asked again with patience.
 */
export const SEARCH_ANSWERS: AnswerLimits = { initialMs: 160, floorMs: 160, ceilingMs: 400, marginMs: 80 }

/** Gateways answer for a unit that is not there: 10 no path to it, 11 it did not respond (V1.1b3, 7). */
const NOT_THERE: ReadonlySet<unknown> = new Set([10, 11])
/** Asked again where the line was just being opened anew, the unit rested, or noise struck. */
const TRIES = 3
const RETRY_MS = 150
const SUNS = [0x53, 0x75, 0x6e, 0x53]
const SUNSPEC_BASES = [40_000, 50_000, 0]
const NO_ANSWER: ReadonlySet<string> = new Set(['modbus.timeout', 'modbus.unit', 'modbus.other-unit'])

export async function detectUnits(parts: DetectParts, units: readonly number[]): Promise<readonly FoundUnit[]> {
  const { master, live, onUnit } = parts
  const present: number[] = []
  for (const unit of units) {
    if (!live()) break
    if (await isThere(parts, unit)) present.push(unit)
    onUnit(unit, present.length)
  }
  // Answers that came too late have been heard all the same.
  const late = master.health().slaves.filter(({ unit, longestMs }) => longestMs > 0 && !present.includes(unit))
  for (const { unit } of late) if (live() && (await isThere(parts, unit))) present.push(unit)
  const found: FoundUnit[] = []
  for (const unit of present.sort((a, b) => a - b)) if (live()) found.push(await whatIsIt(parts, unit))
  return found
}

/** Any answer shows a slave, an exception as well as another. */
async function isThere({ master, timers, onGarbled }: DetectParts, unit: number): Promise<boolean> {
  for (let tries = 0; tries < TRIES; tries++) {
    const answer = await master.readRegisters(unit, 'holding', 0, 1)
    if (answer.ok) return true
    const { fault } = answer
    if (fault.code === 'modbus.exception') return !NOT_THERE.has(fault['exception'])
    if (NO_ANSWER.has(fault.code)) return false
    if (fault.code === 'modbus.garbled') onGarbled()
    await timers.sleep(pauseOf(fault))
  }
  return false
}

const pauseOf = (fault: Fault): number => Number(fault['retryInMs'] ?? RETRY_MS)

async function whatIsIt(parts: DetectParts, unit: number): Promise<FoundUnit> {
  const held = new Map<string, Uint8Array | undefined>()
  const key = ({ table, address, count }: Span) => `${table} ${address} ${count}`
  const look = async (span: Span): Promise<Uint8Array | undefined> => {
    if (!held.has(key(span))) held.set(key(span), await readSpan(parts, unit, span))
    return held.get(key(span))
  }
  const known: Held = span => held.get(key(span))
  const { pages } = parts
  for (const page of pages) {
    await look(page.identity)
    if (mayBe(page, known)) for (const span of spansToJudge(page)) await look(span)
  }
  const models = await sunspecModels(parts, unit, look)
  return { unit, fits: fitsOf(pages, known), models, says: await saysOf(parts, unit) }
}

async function readSpan({ master, timers }: DetectParts, unit: number, span: Span): Promise<Uint8Array | undefined> {
  for (let tries = 0; tries < TRIES; tries++) {
    const block = await master.readRegisters(unit, span.table, span.address, span.count)
    if (block.ok) return block.value.bytes
    if (block.fault.code === 'modbus.exception') return undefined
    await timers.sleep(pauseOf(block.fault))
  }
  return undefined
}

async function sunspecModels(
  { master, clock }: DetectParts,
  unit: number,
  look: (span: Span) => Promise<Uint8Array | undefined>,
): Promise<readonly number[]> {
  for (const address of SUNSPEC_BASES) {
    const marker = await look({ table: 'holding', address, count: 2 })
    if (!SUNS.every((byte, i) => marker?.[i] === byte)) continue
    const models = await createSunspecMeter({ master, unit, clock, which: 'meter' }).models()
    return models.ok ? models.value.map(({ id }) => id) : []
  }
  return []
}

/** Last of all: a slave that does not know the function may say nothing, and then rests. */
async function saysOf({ master }: DetectParts, unit: number): Promise<readonly string[]> {
  const answer = await master.readIdentification(unit, 1, 0)
  if (!answer.ok) return []
  return answer.value.objects.map(({ bytes }) => (fromUtf8(bytes) ?? '').replace(/[^\x20-\x7e]/g, '').trim())
}

export interface Heard {
  /** Every kind of telegram of which a whole one was heard, with the meter's name for itself. */
  readonly telegrams: readonly { readonly kind: string; readonly meterId: string | undefined }[]
  /** Of telegrams that are whole and cannot be opened: who sent them. */
  readonly encrypted: readonly { readonly kind: string; readonly maker: string | undefined }[]
  readonly bytes: number
}

/** Meters that speak unasked do so every second, some every two. */
const LISTEN_MS = 2_500

/** Listens on a line that is not open, for so long that whoever speaks unasked is heard; a fault where it does not open. */
export async function listenTo(line: Line, timers: Timers): Promise<Heard | Fault> {
  const ears = [...TELEGRAMS].map(([kind, make]) => createEar(kind, make({})))
  let bytes = 0
  const listener: LineListener = {
    bytes: chunk => {
      bytes += chunk.length
      for (const ear of ears) ear.hear(chunk)
    },
    down: () => {},
  }
  const opened = await line.open(listener)
  if (!opened.ok) return opened.fault
  await timers.sleep(LISTEN_MS)
  await line.close()
  return {
    telegrams: ears.flatMap(ear => ear.heard()),
    encrypted: ears.flatMap(ear => ear.encrypted()),
    bytes,
  }
}
