/**
 * Relays on a Modbus coil board: closed through the board's timed-on register, so that a contact opens by itself when
 * nobody renews it, opened and read back through the coil. The coil says what the relay's drive is, not where a welded
 * contact stands: the line meter sees that.
 */
import { fail, ok, type Result } from '../../protocol/result.ts'
import type { ModbusMaster } from '../modbus/master.ts'
import type { Observed, OnAgentDeath, Relay } from '../ports.ts'

export interface CoilContact {
  readonly name: string
  /** As printed on the board, from 1. */
  readonly channel: number
}

export interface CoilRelayOptions {
  readonly name: string
  readonly master: ModbusMaster
  readonly unit: number
  readonly contacts: readonly CoilContact[]
  /** What is written to the timed-on register: a contact opens this long after its last closing. Absent: the board has none. */
  readonly timedMs?: number
  /** A board without timed-on leaves contacts closed when the agent dies: usable only when that is said here. */
  readonly allowUnsupervised?: boolean
}

/** A register holds 16 bits. */
const LONGEST_TIMED_MS = 65_535

/**
 * One deadline for every command: within the relay rank the master serves the earliest first, so that equal deadlines keep
 * the order of the commands, and an opening never overtakes the closing before it. Twice the master's longest wait for a
 * dead slave, so that none makes an opening expire.
 */
const COMMAND = { priority: 'relay', deadlineMs: 2000 } as const

/**
 * A look is a read like a meter's, with the master's whole defence against late answers, which a relay command gives up to
 * be sent at once. Its short deadline puts it before meters.
 */
const LOOK = { priority: 'read', deadlineMs: 500 } as const

/**
 * A closing names one of so many times, each a millisecond shorter, so that its echo is not taken for one that was lost: a relay
 * whose command is in doubt opens.
 */
const TIMED_FORMS = 8

/**
 * A look whose answer could be an owed one asks for more coils, where the board has them: the answer is a byte longer for each
 * eight.
 */
const LOOK_WIDER = [0, 8, 16, 24] as const
/** Exceptions by which a board refuses a function, coils that it does not have, or so many of them. */
const REFUSALS: ReadonlySet<unknown> = new Set([1, 2, 3])

/** The contacts of one board, in the order given. Sends nothing. */
export function coilRelays(options: CoilRelayOptions): Result<readonly Relay[]> {
  const { name, master, unit, contacts, timedMs } = options
  if (timedMs !== undefined && !(Number.isInteger(timedMs) && timedMs > 0 && timedMs <= LONGEST_TIMED_MS)) {
    return fail({ code: 'coil.timed', board: name, timedMs, mostMs: LONGEST_TIMED_MS })
  }
  const wrong = contacts.find(({ channel }) => !(Number.isInteger(channel) && channel >= 1 && channel <= 256))
  if (wrong !== undefined)
    return fail({ code: 'coil.channel', board: name, contact: wrong.name, channel: wrong.channel })
  const onAgentDeath = deathOf(options)
  if (!onAgentDeath.ok) return onAgentDeath

  const first = Math.min(...contacts.map(({ channel }) => channel)) - 1
  const count = Math.max(...contacts.map(({ channel }) => channel)) - first
  let joining: Promise<Result<readonly boolean[]>> | undefined

  /** The first look that is too wide for this board, and whether it refuses function 15. */
  let tooWide = Number.POSITIVE_INFINITY
  let oneByOne = false

  async function lookOnce(): Promise<Result<readonly boolean[]>> {
    const forms = LOOK_WIDER.filter(wider => wider < tooWide)
    const clear = forms.find(wider => !master.isMistakable(unit, { fn: 1, address: first, count: count + wider }))
    const wider = clear ?? 0
    const coils = await master.readCoils(unit, first, count + wider, LOOK)
    if (wider > 0 && !coils.ok && REFUSALS.has(coils.fault['exception'])) tooWide = wider
    return coils
  }

  /** One read for all that look at the board in the same turn; a read that is on its way shows the past and is not joined. */
  function lookAtBoard(): Promise<Result<readonly boolean[]>> {
    joining ??= Promise.resolve().then(() => {
      joining = undefined
      return lookOnce()
    })
    return joining
  }

  /** Function 5, or where its echo could be an owed one function 15; the second form only while no other command came after. */
  async function switchCoil(coil: number, on: boolean, isLast: () => boolean): Promise<Result<void>> {
    if (master.isMistakable(unit, { fn: 5, address: coil, on }) && !oneByOne) {
      const many = await master.writeCoils(unit, coil, [on], COMMAND)
      if (many.ok || many.fault.code !== 'modbus.exception') return many
      oneByOne = REFUSALS.has(many.fault['exception'])
      if (!isLast()) return many
    }
    return master.writeCoil(unit, coil, on, COMMAND)
  }

  /** Closes for a time. */
  function closeFor(coil: number, ms: number): Promise<Result<void>> {
    const forms = Array.from({ length: Math.min(TIMED_FORMS, ms) }, (_, i) => ms - i)
    const clear = forms.find(value => !master.isMistakable(unit, { fn: 6, address: coil, value }))
    return master.writeRegister(unit, coil, clear ?? ms, COMMAND)
  }

  return ok(
    contacts.map(({ name: contact, channel }): Relay => {
      const coil = channel - 1
      let last = 0
      const switchTo = (on: boolean) => {
        const mine = ++last
        return switchCoil(coil, on, () => mine === last)
      }
      const open = () => switchTo(false)
      const close = () => {
        if (timedMs === undefined) return switchTo(true)
        last++
        return closeFor(coil, timedMs)
      }
      return {
        name: contact,
        onAgentDeath: onAgentDeath.value,
        command: position => (position === 'closed' ? close() : open()),
        async observe(): Promise<Observed> {
          const coils = await lookAtBoard()
          if (!coils.ok) return { seen: 'unknown', why: coils.fault }
          return { seen: coils.value[coil - first] ? 'closed' : 'open' }
        },
        async close() {
          await open()
        },
      }
    }),
  )
}

function deathOf({ name, timedMs, allowUnsupervised }: CoilRelayOptions): Result<OnAgentDeath> {
  if (timedMs !== undefined) return ok({ kind: 'opens', withinMs: timedMs, by: `timed-on register of ${name}` })
  if (allowUnsupervised === true) return ok({ kind: 'stays', allowUnsupervised: true })
  return fail({
    code: 'coil.unsupervised',
    board: name,
    hint: 'contacts on this board stay closed when the agent dies; say allowUnsupervised to accept that',
  })
}
