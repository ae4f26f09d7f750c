/** Meters on a wired M-Bus at the far end of a line, several on one, with the faults that such lines have. */
import type { DeviceEnd } from '../../drivers/line/device-end.ts'
import type { Timers } from '../../drivers/ports.ts'
import { concat } from '../../protocol/bytes.ts'
import { decodeMbusFrame, mbusLongFrame } from '../../protocol/telegram/mbus-frame.ts'
import { type Noise, noise, type Random } from './noise.ts'
import { sendPaced } from './pace.ts'

export interface MbusSlaveOptions {
  readonly address: number
  /** Number, maker, version and medium, as the eight bytes of a header. */
  readonly identity: Uint8Array
  /** The records of each telegram of a readout that begins now; all but the last end in DIF 1F. */
  readonly telegrams: () => readonly Uint8Array[]
}

/** What is wrong with a meter; set at any time. */
export interface MbusFaults extends Noise {
  silent: boolean
  /** Added to the answer time. */
  lateMs: number
  /** Does not confirm that it was reset. */
  unconfirming: boolean
  flippedBits: number
  lostBytes: number
}

export interface MbusSlave {
  readonly faults: MbusFaults
}

export interface MbusBusOptions {
  readonly end: DeviceEnd
  readonly slaves: readonly MbusSlaveOptions[]
  readonly baud: number
  /** Whether to keep the pace of the wire, where the end keeps none of its own. */
  readonly paced: boolean
  /** The level converter hears what it sends. */
  readonly echo?: boolean
  readonly timers: Timers
  readonly random: Random
}

const BITS = 11
const FCB = 0x20
const DONE = Uint8Array.of(0xe5)
const SELECTED = 0xfd
const ANY = 0xfe
/** A meter answers after 11 to 330 bit times and 50 ms; most take some 30 bit times. */
const ANSWER_BITS = 30

export function startMbusSlaves(options: MbusBusOptions): { readonly slaves: readonly MbusSlave[]; stop(): void } {
  const { end, baud, paced, echo = false, timers, random } = options
  const bitMs = 1000 / baud
  let live = true
  let held: Uint8Array = new Uint8Array(0)
  const slaves = options.slaves.map(makeSlave)

  end.onBytes(chunk => {
    if (!live) return
    if (echo) end.write(chunk)
    held = concat(held, chunk)
    for (;;) {
      const pull = decodeMbusFrame(held)
      if (pull.kind === 'need') break
      const size = pull.kind === 'frame' ? pull.used : pull.skip
      const frame = pull.kind === 'frame' ? pull.value : undefined
      held = held.slice(size)
      if (frame === undefined || frame.kind === 'done') continue
      const answers = slaves.flatMap(slave => {
        const bytes = slave.hear(frame)
        return bytes === undefined || slave.faults.silent
          ? []
          : [{ bytes: noise(bytes, slave.faults, random), lateMs: slave.faults.lateMs }]
      })
      // Those that speak at the same moment are heard as one: a meter pulls the line, so every pulled bit stands.
      const punctual = answers.filter(({ lateMs }) => lateMs === 0)
      if (punctual.length > 0) say(together(punctual.map(({ bytes }) => bytes)), 0, size)
      for (const { bytes, lateMs } of answers) if (lateMs > 0) say(bytes, lateMs, size)
    }
  })

  /** `asked`: bytes of the request, which has come at once where the end keeps no pace. */
  function say(bytes: Uint8Array, lateMs: number, asked: number): void {
    const characterMs = paced ? BITS * bitMs : 0
    const timing = { afterMs: asked * characterMs + ANSWER_BITS * bitMs + lateMs, characterMs }
    sendPaced({ write: slice => live && end.write(slice) }, bytes, timing, timers)
  }

  return {
    slaves,
    stop: () => {
      live = false
    },
  }
}

type Frame = Exclude<ReturnType<typeof frameOf>, undefined>
const frameOf = (bytes: Uint8Array) => {
  const pull = decodeMbusFrame(bytes)
  return pull.kind === 'frame' && pull.value.kind !== 'done' ? pull.value : undefined
}

function makeSlave({ address, identity, telegrams }: MbusSlaveOptions) {
  const faults: MbusFaults = { silent: false, lateMs: 0, unconfirming: false, flippedBits: 0, lostBytes: 0 }
  let selected = false
  let lastFcb: number | undefined
  let readout: readonly Uint8Array[] = []
  let next = 0
  let repeated = new Uint8Array(0)
  let access = 0

  function answer(fcb: number): Uint8Array {
    if (fcb === lastFcb) return repeated
    lastFcb = fcb
    if (next === 0) readout = telegrams()
    const header = concat(identity, Uint8Array.of(access++ & 0xff, 0, 0, 0))
    repeated = Uint8Array.from(mbusLongFrame(8, address, 0x72, concat(header, readout[next]!)))
    next = (next + 1) % readout.length
    return repeated
  }

  function hear(frame: Frame): Uint8Array | undefined {
    const mine = frame.address === address || frame.address === ANY || (frame.address === SELECTED && selected)
    if (frame.kind === 'long') {
      if (frame.address !== SELECTED || frame.ci !== 0x52) return undefined
      selected = frame.data.length === 8 && frame.data.every((byte, i) => fits(byte, identity[i]!, i))
      lastFcb = undefined
      next = 0
      return selected ? DONE : undefined
    }
    if (frame.control === 0x40) {
      if (frame.address === SELECTED) selected = false
      else if (!mine) return undefined
      lastFcb = undefined
      next = 0
      return frame.address === SELECTED || faults.unconfirming ? undefined : DONE
    }
    return mine && (frame.control & ~FCB) === 0x5b ? answer(frame.control & FCB) : undefined
  }

  return { faults, hear }
}

/** A nibble F of the number, a byte FF of the rest, stand for any. */
function fits(wanted: number, own: number, at: number): boolean {
  if (at >= 4) return wanted === 0xff || wanted === own
  return [4, 0].every(shift => ((wanted >> shift) & 15) === 15 || ((wanted ^ own) >> shift) % 16 === 0)
}

function together(answers: readonly Uint8Array[]): Uint8Array {
  const out = new Uint8Array(Math.max(...answers.map(({ length }) => length))).fill(0xff)
  // A mark is the quiet state: a pulled bit reads 0.
  for (const bytes of answers) for (const [i, byte] of bytes.entries()) out[i]! &= byte
  return out
}
