/**
 * A meter on a wired M-Bus, by its primary or its secondary address (EN 13757-2 and EN 13757-3, clause 11).
 *
 * A readout resets the meter's frame count bit, or selects the meter, and asks for its telegrams until one says that it is
 * the last. Each answer has to come from the address that was asked and to name the same meter. The sum of 8 bits is too weak
 * to believe one readout: see agreement.ts.
 */
import { concat } from '../../protocol/bytes.ts'
import { type Fault, fail, ok, type Result } from '../../protocol/result.ts'
import { type MbusIdentity, type MbusReading, mbusIdentityText, readMbusAnswer } from '../../protocol/telegram/mbus.ts'
import { mbusLongFrame, mbusShortFrame } from '../../protocol/telegram/mbus-frame.ts'
import { mbusValues } from '../../protocol/telegram/mbus-obis.ts'
import type { Clock, Log, Meter } from '../ports.ts'
import { createAgreedReader, type Heard } from './agreed-reading.ts'
import type { MbusAnswer, MbusExchange, MbusMaster } from './mbus-master.ts'

/** A primary address: 0 to 250, or 254 for the only meter on a line. A secondary one: what is left out matches any. */
export type MbusAddress =
  | { readonly primary: number }
  | {
      /** Eight digits; F stands for any. */
      readonly id: string
      readonly maker?: string
      readonly version?: number
      readonly medium?: number
    }

export interface MbusMeterParts {
  readonly master: MbusMaster
  readonly address: MbusAddress
  readonly clock: Clock
  /** The identity that this meter must have, as in `12345678-TLN-01-02`; without one, the first seen is pinned. */
  readonly meterId?: string
  readonly log?: Log
}

const PAGE = 'mbus'
const SND_NKE = 0x40
const SND_UD = 0x53
const REQ_UD2 = 0x5b
/** Frame count bit: a meter that sees it change goes on to its next telegram. */
const FCB = 0x20
const CI_SELECT = 0x52
/** Whichever meter is selected; whichever is there. */
const SELECTED = 0xfd
const ANY = 0xfe
/** Requests are repeated twice (EN 13757-2, clause 5.7.2). */
const ATTEMPTS = 3
/** More than any meter has; a meter that never comes to its end is none. */
const TELEGRAMS_MOST = 16
/** Status bits 2 to 4: power low, permanent and temporary error. */
const STATUS_ERRORS = 0x1c

export function createMbusMeter(parts: MbusMeterParts): Meter {
  const { master, address, clock, meterId, log } = parts
  const agreed = createAgreedReader({
    page: PAGE,
    clock,
    ...(meterId === undefined ? {} : { meterId }),
    ...(log && { log }),
  })
  const linkAddress = 'primary' in address ? address.primary : SELECTED

  async function readout(bus: MbusExchange): Promise<Result<Heard>> {
    const prepared = await ('primary' in address ? reset(bus) : select(bus, address))
    if (prepared !== undefined) return fail(prepared)
    const telegrams: MbusReading[] = []
    const frames: MbusAnswer[] = []
    for (let n = 0; n < TELEGRAMS_MOST; n++) {
      const request = mbusShortFrame(REQ_UD2 | (n % 2 === 0 ? FCB : 0), linkAddress)
      const answer = await askAgain(bus, request)
      if (!answer.ok) return answer
      const read = understand(answer.value)
      if (!read.ok) return read
      const first = telegrams[0] ?? read.value
      if (mbusIdentityText(read.value.identity) !== mbusIdentityText(first.identity))
        return fail({ code: 'mbus.other-meter', page: PAGE, ...told(first.identity, read.value.identity) })
      telegrams.push(read.value)
      frames.push(answer.value)
      if (!read.value.more) return ok(said(telegrams, frames))
    }
    return fail({ code: 'mbus.endless', page: PAGE, telegrams: TELEGRAMS_MOST })
  }

  function said(telegrams: readonly MbusReading[], frames: readonly MbusAnswer[]): Heard {
    const { identity } = telegrams[0]!
    const status = telegrams.reduce((bits, one) => bits | one.status, 0)
    const name = mbusIdentityText(identity)
    if ((status & STATUS_ERRORS) !== 0)
      log?.('warn', 'meters', `${name} reports errors`, { code: 'meter.error-register', status })
    return {
      meterId: name,
      values: mbusValues(
        identity.medium,
        telegrams.flatMap(({ records }) => records),
      ),
      raw: concat(...frames.map(({ raw }) => raw)),
      began: frames[0]!.began,
    }
  }

  /** What an answer says, if it comes from whom it was asked of. */
  function understand({ frame }: MbusAnswer): Result<MbusReading> {
    if (frame.kind === 'done') return fail({ code: 'mbus.no-data', page: PAGE })
    const read = readMbusAnswer(frame)
    if ('code' in read) return fail(read)
    if ('primary' in address) {
      const asked = address.primary
      if (asked !== ANY && read.address !== asked)
        return fail({ code: 'mbus.other-meter', page: PAGE, expected: asked, received: read.address })
    } else if (!matches(address, read.identity))
      return fail({ code: 'mbus.other-meter', page: PAGE, ...told(address, read.identity) })
    return ok(read)
  }

  /** The same request again: a meter repeats what it said while the frame count bit stands still. */
  async function askAgain(bus: MbusExchange, request: Uint8Array): Promise<Result<MbusAnswer>> {
    for (let attempt = 1; ; attempt++) {
      const answer = await bus.ask(request)
      if (answer.ok || attempt === ATTEMPTS || !WORTH_ANOTHER.has(answer.fault.code)) return answer
    }
  }

  /** Back to the first telegram. Meters that do not confirm it answer the request all the same. */
  async function reset(bus: MbusExchange): Promise<Fault | undefined> {
    const answer = await askAgain(bus, mbusShortFrame(SND_NKE, linkAddress))
    if (!answer.ok) return answer.fault.code === 'mbus.silent' ? undefined : answer.fault
    return answer.value.frame.kind === 'done' ? undefined : { code: 'mbus.not-confirmed', page: PAGE }
  }

  async function select(
    bus: MbusExchange,
    wanted: Exclude<MbusAddress, { primary: number }>,
  ): Promise<Fault | undefined> {
    // Nobody confirms that he is no longer selected; if one does, or several do, the selection that follows is what counts.
    await bus.ask(mbusShortFrame(SND_NKE, SELECTED))
    const answer = await askAgain(bus, mbusLongFrame(SND_UD, SELECTED, CI_SELECT, selection(wanted)))
    if (answer.ok) return answer.value.frame.kind === 'done' ? undefined : { code: 'mbus.not-confirmed', page: PAGE }
    if (answer.fault.code === 'mbus.garbled')
      return { ...answer.fault, code: 'mbus.collision', hint: 'several meters have this address: give more of it' }
    return answer.fault.code === 'mbus.silent' ? { ...answer.fault, code: 'mbus.not-selected' } : answer.fault
  }

  return {
    page: PAGE,
    read: () => agreed(() => master.run(readout)),
    // The line belongs to the master, which serves others too.
    close: async () => {},
  }
}

const WORTH_ANOTHER: ReadonlySet<string> = new Set(['mbus.silent', 'mbus.garbled'])

const told = (expected: { readonly id: string }, received: MbusIdentity) => ({
  expected: expected.id,
  received: mbusIdentityText(received),
})

type Secondary = Exclude<MbusAddress, { primary: number }>

function matches({ id, maker, version, medium }: Secondary, seen: MbusIdentity): boolean {
  return (
    id.length === 8 &&
    [...id].every((digit, i) => digit.toUpperCase() === 'F' || digit === seen.id[i]) &&
    (maker ?? seen.maker) === seen.maker &&
    (version ?? seen.version) === seen.version &&
    (medium ?? seen.medium) === seen.medium
  )
}

/** Number, maker, version and medium as a header has them, with FF for any. */
function selection({ id, maker, version = 0xff, medium = 0xff }: Secondary): Uint8Array {
  const number = [3, 2, 1, 0].map(i => Number.parseInt(id.slice(2 * i, 2 * i + 2), 16))
  const letters =
    maker === undefined ? 0xffff : [...maker].reduce((sum, letter) => sum * 32 + letter.charCodeAt(0) - 64, 0)
  return Uint8Array.of(...number, letters & 0xff, letters >> 8, version, medium)
}
