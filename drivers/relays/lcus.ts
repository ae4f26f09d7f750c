/**
 * Relays on an LCUS board: one to eight channels behind a USB serial adapter, 9,600 baud 8N1. Second-hand, from sellers'
 * pages and other projects' drivers, not tried on hardware:
 *
 *     A0 channel op sum    op 1 on, 0 off; the sum of the first three bytes; nothing comes back
 *     FF                   asks for all channels: a line `CH1: ON` or `CH1: OFF` for each (LCUS-4, CR LF), or a byte 1 or 0
 *                          for each (an LCUS-8); boards of one channel mostly say nothing
 *
 * A command is not acknowledged, so each is followed by the question, and counts as taken only when the answer shows it. An
 * answer does not say what it answers: after one that did not come, none is believed until a late one can no longer come.
 * The board knows no dead-man timer, and a board that says nothing is never known to be open: no contact closes on it.
 */
import { concat } from '../../protocol/bytes.ts'
import { done, type Fault, fail, ok, type Pull, type Result } from '../../protocol/result.ts'
import { later, type Mono } from '../../protocol/time.ts'
import { keepOpen } from '../line/keep-open.ts'
import { afterListening } from '../listening.ts'
import type { Cancel, Clock, Line, Log, Observed, Relay, Timers } from '../ports.ts'

export interface LcusContact {
  readonly name: string
  /** As printed on the board, from 1. */
  readonly channel: number
}

export interface LcusOptions {
  readonly name: string
  readonly line: Line
  readonly clock: Clock
  readonly timers: Timers
  /** Of the board, whether a contact hangs on them or not. */
  readonly channels: number
  readonly contacts: readonly LcusContact[]
  /** Contacts stay closed when the agent dies: usable only when that is said here. */
  readonly allowUnsupervised?: boolean
  readonly log?: Log
}

const MOST_CHANNELS = 8
const START = 0xa0
const QUESTION = 0xff
/** Between two frames: other projects' drivers wait 10 ms and 100 ms, because the board takes one at a time. */
const PAUSE_MS = 30
/** Eight lines of text take 85 ms on the wire; the rest is for the adapter. */
const ANSWER_MS = 300
/** How long a late answer is feared: far longer than adapter and board can hold one back. */
const FEARED_MS = 3_000

/** The contacts of one board, in the order given. A line that does not open yet is tried on; nothing is sent before a command. */
export async function lcusRelays(options: LcusOptions): Promise<Result<readonly Relay[]>> {
  const { name, line, clock, timers, channels, contacts, log } = options
  if (!(Number.isInteger(channels) && channels >= 1 && channels <= MOST_CHANNELS))
    return fail({ code: 'lcus.channels', board: name, channels, most: MOST_CHANNELS })
  const wrong = contacts.find(({ channel }) => !(Number.isInteger(channel) && channel >= 1 && channel <= channels))
  if (wrong !== undefined)
    return fail({ code: 'lcus.channel', board: name, contact: wrong.name, channel: wrong.channel, channels })
  if (options.allowUnsupervised !== true)
    return fail({
      code: 'lcus.unsupervised',
      board: name,
      hint: 'contacts on this board stay closed when the agent dies; say allowUnsupervised to accept that',
    })

  type Taken = (answer: Result<readonly boolean[]>) => void
  /** What each channel is to be next, and who waits to hear that it is. */
  const wanted = new Map<number, { readonly on: boolean; readonly heard: readonly Taken[] }>()
  let lookers: Taken[] = []
  let busy = false
  let heard: Uint8Array = new Uint8Array(0)
  let wake: (() => void) | undefined
  let fearedUntil: Mono | undefined

  const link = keepOpen(line, timers, {
    bytes: chunk => {
      if (wake === undefined) {
        // Nobody asked: an old answer, or a board of more channels than were named.
        doubt()
        return
      }
      // No answer is longer: of a board that babbles no more is kept than shows that it does.
      heard = concat(heard, chunk).subarray(0, channels * LONGEST_LINE + 1)
      wake()
    },
    up: () => log?.('info', 'relays', `${name} is up`),
    down: fault => {
      log?.('warn', 'relays', `${name} is down`, fault)
      fearedUntil = undefined
      wake?.()
    },
  })

  function doubt(): void {
    fearedUntil = later(clock.mono(), FEARED_MS)
  }

  async function write(bytes: Uint8Array): Promise<Result<void>> {
    const down = link.fault()
    return down === undefined ? line.write(bytes) : fail(down)
  }

  /** One question and its answer. */
  async function ask(): Promise<Result<readonly boolean[]>> {
    const leftMs = fearedUntil === undefined ? 0 : fearedUntil - clock.mono()
    if (leftMs > 0) return fail({ code: 'lcus.late-feared', board: name, leftMs })
    fearedUntil = undefined
    heard = new Uint8Array(0)
    let late = false
    let cancel: Cancel = () => {}
    wake = () => {}
    const asked = await write(Uint8Array.of(QUESTION))
    if (!asked.ok) {
      wake = undefined
      return asked
    }
    const answer = await new Promise<Result<readonly boolean[]>>(resolve => {
      const look = () => {
        const down = link.fault()
        if (down !== undefined) return resolve(fail(down))
        const pull = readStatus(heard, channels)
        if (pull.kind === 'frame' && pull.used === heard.length) return resolve(ok(pull.value))
        if (pull.kind === 'frame') return resolve(fail({ code: 'lcus.more-channels', board: name, channels }))
        if (pull.kind === 'junk') return resolve(fail({ ...pull.fault, board: name }))
        if (late) resolve(fail({ code: 'lcus.no-answer', board: name, afterMs: ANSWER_MS, hint: MUTE_HINT }))
      }
      cancel = afterListening(ANSWER_MS, clock, timers, () => {
        late = true
        look()
      })
      wake = look
      look()
    })
    cancel()
    wake = undefined
    if (!answer.ok && link.fault() === undefined) doubt()
    return answer
  }

  /** Openings before closings. */
  const nextChannel = (): number | undefined => [...wanted].find(([, { on }]) => !on)?.[0] ?? wanted.keys().next().value

  /** Sends whatever is wanted, asks once, and tells everybody who waited before the question. */
  async function round(): Promise<void> {
    const sent: { channel: number; on: boolean; heard: readonly Taken[]; written: Result<void> }[] = []
    for (let channel = nextChannel(); channel !== undefined; channel = nextChannel()) {
      const { on, heard: waiting } = wanted.get(channel)!
      wanted.delete(channel)
      const written = await write(frameOf(channel, on))
      sent.push({ channel, on, heard: waiting, written })
      if (written.ok) await timers.sleep(PAUSE_MS)
    }
    const looking = lookers
    lookers = []
    const answer = await ask()
    for (const taken of looking) taken(answer)
    for (const [n, { channel, on, heard: waiting, written }] of sent.entries()) {
      // Of a channel that was sent twice only the last command can be seen.
      const last = !sent.slice(n + 1).some(other => other.channel === channel)
      const missed = answer.ok && last && answer.value[channel - 1] !== on
      const shown: Result<readonly boolean[]> = missed
        ? fail({ code: 'lcus.not-taken', board: name, channel, commanded: on ? 'closed' : 'open' })
        : answer
      for (const taken of waiting) taken(written.ok ? shown : written)
    }
  }

  async function work(): Promise<void> {
    if (busy) return
    busy = true
    while (wanted.size > 0 || lookers.length > 0) await round()
    busy = false
  }

  function set(channel: number, on: boolean): Promise<Result<void>> {
    return new Promise(resolve => {
      const taken: Taken = answer => resolve(answer.ok ? done : answer)
      // What was not sent yet is superseded, and told what becomes of the later one.
      wanted.set(channel, { on, heard: [...(wanted.get(channel)?.heard ?? []), taken] })
      // An opening does not wait for an answer that may not come. Should the board be deaf meanwhile: it is sent again.
      if (!on && wake !== undefined) void write(frameOf(channel, false))
      void work()
    })
  }

  const opened = await link.open()
  if (!opened.ok) log?.('warn', 'relays', `${name} is not open`, opened.fault)
  const open = new Set(contacts)
  return ok(
    contacts.map(contact => ({
      name: contact.name,
      onAgentDeath: { kind: 'stays', allowUnsupervised: true },
      command: position => set(contact.channel, position === 'closed'),
      async observe(): Promise<Observed> {
        const answer = await new Promise<Result<readonly boolean[]>>(resolve => {
          lookers.push(resolve)
          void work()
        })
        if (!answer.ok) return { seen: 'unknown', why: answer.fault }
        return { seen: answer.value[contact.channel - 1] ? 'closed' : 'open' }
      },
      async close() {
        if (!open.has(contact)) return
        await set(contact.channel, false)
        open.delete(contact)
        if (open.size === 0) await link.close()
      },
    })),
  )
}

function frameOf(channel: number, on: boolean): Uint8Array {
  const op = on ? 1 : 0
  return Uint8Array.of(START, channel, op, (START + channel + op) & 0xff)
}

const MUTE_HINT = 'a board that does not answer FF cannot be read back, and its contacts are not closed'

/** `CH8: OFF` and its end. */
const LONGEST_LINE = 12
const LINE = /^CH([1-8]) ?: ?(ON|OFF)\r?$/

/** The answer to the question, as text or as bytes; each channel once and in order. */
export function readStatus(bytes: Uint8Array, channels: number): Pull<readonly boolean[]> {
  const [first] = bytes
  if (first === undefined) return { kind: 'need', bytes: 1 }
  const on: boolean[] = []
  if (first <= 1) {
    for (const byte of bytes.subarray(0, channels)) {
      if (byte > 1) return junk(byte)
      on.push(byte === 1)
    }
    if (on.length < channels) return { kind: 'need', bytes: channels - on.length }
    return { kind: 'frame', value: on, used: channels }
  }
  let used = 0
  while (on.length < channels) {
    const end = bytes.indexOf(0x0a, used)
    if (end < 0) {
      const rest = bytes.length - used
      const wrong = bytes.subarray(used).find(byte => byte !== 0x0d && (byte < 0x20 || byte > 0x7e))
      return rest >= LONGEST_LINE || wrong !== undefined ? junk(wrong ?? bytes[used]!) : { kind: 'need', bytes: 1 }
    }
    const match = LINE.exec(String.fromCharCode(...bytes.subarray(used, end)))
    if (match === null || Number(match[1]) !== on.length + 1) return junk(bytes[used]!)
    on.push(match[2] === 'ON')
    used = end + 1
  }
  return { kind: 'frame', value: on, used }
}

const junk = (received: number): Pull<never, Fault> => ({
  kind: 'junk',
  skip: 1,
  fault: { code: 'lcus.answer', received },
})
