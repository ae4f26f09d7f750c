/**
 * What a contact that is commanded closed must have, written down from the design's list and not from the permit's rules:
 * whatever the machine remembers, this keeps its own record of what was asked, seen and commanded.
 */
import { type Input, lookAt, nameOf, readingNow, type Spot, type World } from './sequence-model.ts'

/** Milliseconds, millivolts and milliamperes of the design and of the defaults; by value, so that a changed default is seen. */
const HEARTBEAT = 1000
const READING = 1500
const WATCHDOG = 1000
const PROOF = 60_000
const DRIFT = 10_000
const DEAD_MV = 50_000
const PERSIST = 1000
const SETTLE = 200
const CHANGEOVER = 100
const OFF = 3000
const READ_BACK = 1000
const WELD = 1000
const WELD_MA = 100
const LIMIT_MA = 16_000

/** What a judge remembers of the past. */
export interface Memory {
  readonly asked: readonly string[]
  readonly forced: boolean
  /** Lines that a reading showed dead behind their opened contact. */
  readonly deadSeen: readonly string[]
  /** Since when L1 ought to be live, and since when it is not as it should be. */
  readonly liveFrom: number | undefined
  readonly outsideFrom: number | undefined
  readonly welded: readonly string[]
  /** The earliest end of the deal that was ever known while it stood. */
  readonly dealEnd: number | undefined
}

export const blank: Memory = {
  asked: [],
  forced: false,
  deadSeen: [],
  liveFrom: undefined,
  outsideFrom: undefined,
  welded: [],
  dealEnd: undefined,
}

const LONG = 10_200
export function rememberedName(world: World, memory: Memory): string {
  const age = (at: number | undefined) => (at === undefined ? 'x' : Math.min(world.t - at, LONG))
  const { asked, forced, deadSeen, welded, liveFrom, outsideFrom, dealEnd } = memory
  const ends = dealEnd === undefined ? 'x' : Math.max(dealEnd - world.t, -1)
  return `${nameOf(world)}|${[asked, forced, deadSeen, welded, age(liveFrom), age(outsideFrom), ends].join(';')}`
}

const with_ = (list: readonly string[], one: string): readonly string[] =>
  list.includes(one) ? list : [...list, one].sort()
const without = (list: readonly string[], one: string): readonly string[] => list.filter(other => other !== one)

/** `seen` as far as it can be believed: an old look is none. */
function seenOf(contact: string, spot: Spot, world: World): 'open' | 'closed' | 'unknown' {
  const look = lookAt(contact, world.now)
  if (look === 'old') return 'unknown'
  return look === 'follows' ? (spot.closed ? 'closed' : 'open') : look
}

/** What one line's meter says: [is it dead, is it live, milliamperes, complete, when]. */
function meterOf(line: string, world: World) {
  if (line === 'L2') return { mv: world.now.siblingLive ? 230_000 : 49_999, ma: 0, whole: true, taken: world.t }
  const { voltages, currents, missing, taken } = readingNow(world)
  return { mv: Math.max(0, ...voltages), ma: Math.max(0, ...currents), whole: missing.length === 0, taken }
}

/** The record after an input, with what the step after it saw; `before` are the contacts as they stood then. */
export function remember(side: 'seller' | 'buyer', memory: Memory, input: Input, before: World, after: World): Memory {
  let { asked, forced, deadSeen, welded, liveFrom, outsideFrom, dealEnd } = memory
  const { t, now } = after
  if (input.what === 'wish') {
    asked = input.wish === 'energise' ? with_(asked, input.line) : without(asked, input.line)
    if (input.line === 'L1') forced = input.forced === true
  }
  if (input.what === 'clear') welded = without(welded, input.contact)
  const said = after.dealEnd + now.setBack
  dealEnd = now.deal === 'none' ? undefined : Math.min(dealEnd ?? said, said)

  for (const line of side === 'seller' ? ['L1'] : ['L1', 'L2']) {
    const spot = before.spots.get(`${line}.line`)!
    const { mv, ma, whole, taken } = meterOf(line, after)
    const openFor = spot.closed ? -1 : t - spot.since
    const fresh = t - taken <= READING && taken >= spot.since + SETTLE
    if (!spot.closed && whole && mv < DEAD_MV && taken >= spot.since + SETTLE) deadSeen = with_(deadSeen, line)
    const current = fresh && ma > WELD_MA
    // A buyer's line is live by its seller's doing as well.
    const voltage = fresh && side === 'seller' && mv >= DEAD_MV
    if (openFor >= WELD && (current || voltage)) welded = with_(welded, `${line}.line`)
  }
  for (const [contact, spot] of before.spots) {
    const stuck = !spot.closed && t - spot.since >= WELD && seenOf(contact, spot, after) === 'closed'
    if (stuck) welded = with_(welded, contact)
  }
  const line = before.spots.get('L1.line')!
  if (!line.closed) [liveFrom, outsideFrom] = [undefined, undefined]
  else {
    liveFrom ??= side === 'seller' ? line.since : now.peerLine === 'closed' ? t : undefined
    const { mv, whole, taken } = meterOf('L1', after)
    const judged = liveFrom !== undefined && taken >= liveFrom + SETTLE
    outsideFrom = judged && (!whole || mv < 195_500 || mv > 253_000) ? (outsideFrom ?? t) : undefined
  }
  for (const [contact, { closed }] of after.spots) {
    if (closed && !before.spots.get(contact)!.closed) deadSeen = without(deadSeen, contact.replace('.line', ''))
  }
  return { asked, forced, deadSeen, liveFrom, outsideFrom, welded, dealEnd }
}

/** Each condition that a contact, commanded closed after the step from `before` to `after`, does not meet. */
export function wrongs(side: 'seller' | 'buyer', before: World, after: World, memory: Memory): string[] {
  const { t, now, spots } = after
  const out: string[] = []
  const spotOf = (contact: string) => spots.get(contact)!
  const seen = (contact: string, at = spotOf(contact)) => seenOf(contact, at, after)
  const isOpen = (contact: string) => !spotOf(contact).closed && seen(contact) === 'open'

  for (const [contact, spot] of spots) {
    if (!spot.closed) continue
    const was = before.spots.get(contact)!
    const closing = !was.closed
    const say = (what: string, wrong: boolean) => {
      if (wrong) out.push(`${contact} ${closing ? 'closes' : 'stays closed'}: ${what}`)
    }
    const name = contact.replace(/\..*/, '')
    say('manual', now.manual)
    say('watchdog', now.watchdogAge > WATCHDOG)
    say('weld', memory.welded.length > 0)
    say('closing not on record', closing && !now.recorded)
    say('not seen closed', !closing && t - spot.since > READ_BACK && seen(contact) !== 'closed')

    if (side === 'buyer') {
      const others = [...spots.keys()].filter(other => other !== contact)
      for (const other of others) {
        say('interlock', !isOpen(other))
        say('changeover', closing && t - spotOf(other).since < CHANGEOVER)
      }
    }
    if (contact === 'C.own') {
      say('line not seen dead', closing && memory.deadSeen.join() !== 'L1,L2')
      continue
    }
    say('nobody asked', closing && !memory.asked.includes(name))
    say('off time', closing && t - was.since < OFF)
    const { mv, ma, whole, taken } = meterOf(name, after)
    say('line live', closing && mv >= DEAD_MV)
    // The other line's own facts are always well.
    if (name === 'L2') continue

    const line = spotOf('L1.line')
    const kept = contact === 'L1.upstream' && !closing && !line.closed && t - line.since <= SETTLE + READING
    if (kept) continue
    say('nobody asks any more', (side === 'seller' || memory.forced) && !memory.asked.includes(name))
    say('deal', now.deal !== 'runs')
    say('deal over', memory.dealEnd === undefined || t >= memory.dealEnd || t - now.setBack >= after.dealEnd)
    say('unpaid', now.proofAge === undefined)
    if (now.proofAge !== undefined) {
      const age = now.proofAge - now.setBack
      say('proof ahead of the clock', -age > DRIFT)
      say('proof old', age > PROOF && (closing || now.light !== 'no-witness'))
    }
    say('light', now.light !== 'healthy' && (closing || now.light !== 'no-witness'))
    say('own heartbeat', now.ownAge > HEARTBEAT)
    say('peer heartbeat', now.peerAge > HEARTBEAT)
    say('peer welded', now.peerWelded)
    say('reading', t - taken > READING)
    say('reading incomplete', !whole)
    say('current', ma > LIMIT_MA)
    say('window', !closing && memory.outsideFrom !== undefined && t - memory.outsideFrom >= PERSIST)
    if (side === 'buyer') {
      say('seller position', closing ? now.peerLine !== 'open' : now.peerLine === 'unknown')
      say('peer heard too early', closing && t - now.peerAge < was.since + HEARTBEAT)
      const changed = Math.max(spotOf('C.own').since, was.since + HEARTBEAT)
      say('read too early', closing && taken < changed + SETTLE)
    } else {
      say('buyer position', now.peerLine !== 'closed')
      const upstream = spotOf('L1.upstream')
      if (contact === 'L1.upstream') say('order', closing && !isOpen('L1.line'))
      else {
        say('order', !upstream.closed || seen('L1.upstream') !== 'closed')
        say('read too early', closing && taken < upstream.since + SETTLE)
      }
    }
  }
  return out
}
